"""To-do tasks, stored for the front end of the updates interface. Small, and independent of everything else."""
