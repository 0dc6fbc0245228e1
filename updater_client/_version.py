"""The version of the client, which is that of the server beside which it was built."""

__version__ = "0.1.0"
