"""The values of webhooks: receivers, and tries to deliver. PURE."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Receiver:
    """Who is told of events. `events` empty: of all. Its secret is derived from `salt`, and stands nowhere.

    `cursor` is the number of the last audit row that is done with; `turn` grows when somebody moves it by hand.
    """

    id: str
    application_id: str | None
    configured: bool
    name: str
    url: str
    form: str
    events: tuple[str, ...]
    enabled: bool
    salt: str
    old_salt: str | None
    old_until: datetime | None
    cursor: int
    turn: int
    attempts: int
    next_at: datetime | None
    parked: bool
    last_error: str | None
    last_delivered_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @property
    def state(self) -> str:
        """Return one word: off, parked, retrying or active."""
        if not self.enabled:
            return "off"
        return "parked" if self.parked else "retrying" if self.attempts else "active"

    @property
    def host(self) -> str:
        """Return the host of the address; the rest of it may be a secret."""
        return urlsplit(self.url).hostname or ""

    def is_due(self, now: datetime) -> bool:
        """Tell whether it may be tried at `now`."""
        return self.enabled and not self.parked and (self.next_at is None or self.next_at <= now)


@dataclass(frozen=True, slots=True)
class Try:
    """One try to deliver: what the receiver answered, and why that is none; `asked_s` is how long it asks to wait."""

    event_id: str
    event: str
    attempt: int
    at: datetime
    duration_ms: int
    status: int | None
    error: str | None
    asked_s: float | None = None

    @property
    def delivered(self) -> bool:
        """Tell whether the receiver took it."""
        return self.error is None

    @property
    def gone(self) -> bool:
        """Tell whether the receiver wants no more. Source: Standard Webhooks, "410"."""
        return self.status == 410
