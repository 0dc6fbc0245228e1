"""TUF repositories: what a developer signed, handed out byte for byte. Signatures are the clients' business."""
