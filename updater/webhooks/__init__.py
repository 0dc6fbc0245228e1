"""What happens here, told to other programs: receivers of events, and their delivery."""
