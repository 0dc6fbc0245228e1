"""What a person who runs the service wants to know first."""
