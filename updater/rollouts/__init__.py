"""Releases for a share of clients: their plans, their stages, what reports say of them, and when they stop."""
