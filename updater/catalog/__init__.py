"""What exists, and which build a client gets."""
