"""Is the clock right? Asked before anything is removed for its age."""
