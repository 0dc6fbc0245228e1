"""What `scripts/package` makes, installed and used."""
