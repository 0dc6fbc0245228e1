"""Bring a git checkout on this machine up to date, step by step, watched, and back when it fails."""
