"""To-do tasks, kept for the front end of the updates interface. Small, and apart from everything else."""
