"""A backup in a folder, and back from it."""
