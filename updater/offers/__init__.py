"""What a client gets: snapshots of applications, and the decision on them."""
