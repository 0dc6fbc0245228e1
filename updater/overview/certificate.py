"""Until when the certificate of the public address holds; whoever answers there sends it, mostly a proxy."""

from __future__ import annotations

import asyncio
import ssl
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from updater.logs.loggers import get_logger

_ANSWER_S: Final = 5.0
_log = get_logger(__name__)


class PublicCertificate:
    """`ends_at` is what was seen last; None: nothing was seen yet, or the address is not https."""

    def __init__(self, public_url: str | None) -> None:
        parts = urlsplit(public_url or "")
        self.host = parts.hostname or ""
        self.ends_at: datetime | None = None
        self._address = (self.host, parts.port or 443) if parts.scheme == "https" else None

    async def look(self) -> None:
        """Ask for the certificate. Raises nothing: one that cannot be had now says nothing about its end."""
        if self._address is not None:
            self.ends_at = await asyncio.to_thread(self._find_end, self._address) or self.ends_at

    @staticmethod
    def _find_end(address: tuple[str, int]) -> datetime | None:
        """Return the end of a certificate, whether it verifies or not: an expired one has to be told, too."""
        # Here, in a thread: 4 MiB that only services with an https address need.
        from cryptography.x509 import load_pem_x509_certificate

        try:
            text = ssl.get_server_certificate(address, timeout=_ANSWER_S)
            return load_pem_x509_certificate(text.encode()).not_valid_after_utc
        except (OSError, ValueError) as failure:
            # Perhaps the machine cannot reach its own public address; that is for clients to notice.
            _log.info("certificate.not_seen", host=address[0], reason=str(failure))
            return None
