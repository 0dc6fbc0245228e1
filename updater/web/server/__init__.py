"""aiohttp's server: connections, their limits, and what several workers share."""
