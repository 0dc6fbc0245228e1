"""Bytes by digest: receiving, keeping and opening them."""
