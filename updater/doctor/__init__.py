"""What could keep a service with these settings from working: looked at, and nothing changed."""
