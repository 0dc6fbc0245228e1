"""Reports in, figures out."""
