"""Backups: write one into a folder, and restore it from there."""
