"""The system's certificates are read with the first connection that needs them, not with the import of aiohttp.

aiohttp makes two SSL contexts when it is imported, and each reads all certificates: 60 ms and 2 MiB for every command
and every service, of which few ever ask an address of https.
"""

from __future__ import annotations

import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class _Late(ssl.SSLContext):
    """A context that reads the certificates before it wraps its first connection, which takes 30 ms, once."""

    def wrap_bio(self, *given: Any, **named: Any) -> ssl.SSLObject:
        """As ever, for asyncio."""
        return _read(self).wrap_bio(*given, **named)

    def wrap_socket(self, *given: Any, **named: Any) -> ssl.SSLSocket:
        """As ever, for a socket."""
        return _read(self).wrap_socket(*given, **named)


def _read(context: ssl.SSLContext) -> ssl.SSLContext:
    context.__class__ = ssl.SSLContext
    context.set_default_verify_paths()
    return context


@contextmanager
def late_certificates() -> Iterator[None]:
    """Have contexts that are made in the block read the certificates late. For imports: nothing else may run beside.

    Where aiohttp is there already, nothing is changed.
    """
    if "aiohttp" in sys.modules:
        yield
        return

    def later(context: ssl.SSLContext) -> None:
        context.__class__ = _Late

    # Python's class inherits the method from that of C: for the block it has one of its own.
    ssl.SSLContext.set_default_verify_paths = later  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        del ssl.SSLContext.set_default_verify_paths
