"""The only aiohttp server code: one package per documented interface, and what they share."""
