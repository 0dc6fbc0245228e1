"""Secrets of receivers: derived, so that neither database nor backup of it alone can sign. PURE."""

from __future__ import annotations

import base64
import hmac
from datetime import UTC, datetime

from standardwebhooks import Webhook

from updater.webhooks.model import Receiver


def secret_of(installation: bytes, salt: str) -> str:
    """Return the secret that a salt stands for: `whsec_` and 32 bytes in base64, as receivers' libraries take it."""
    key = hmac.digest(installation, f"webhook:{salt}".encode(), "sha256")
    return f"whsec_{base64.b64encode(key).decode()}"


def sign(installation: bytes, receiver: Receiver, event_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """Return the headers that sign a body; while a secret is being exchanged, with both. Source: Standard Webhooks."""
    salts = [receiver.salt]
    if receiver.old_salt is not None and receiver.old_until is not None and at < receiver.old_until:
        salts.append(receiver.old_salt)
    second, text = at.astimezone(UTC).replace(microsecond=0), body.decode()
    signatures = [Webhook(secret_of(installation, salt)).sign(event_id, second, text) for salt in salts]
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(second.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
