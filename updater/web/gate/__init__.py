"""The gate: what every request passes before its handler, and what is known of it there."""
