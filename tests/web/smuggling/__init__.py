"""What could make a proxy and the service see different requests in the same bytes."""
