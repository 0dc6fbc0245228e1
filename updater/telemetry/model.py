"""The values of telemetry. PURE."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

STATUSES = ("completed", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Report:
    """What an installer tells after an install."""

    application_id: str
    current_version: str
    target_version: str
    platform: str
    architecture: str
    status: str
    received_at: datetime
    error_message: str | None = None
    install_time_seconds: int | None = None
    report_id: str | None = None
    # The keyed hash of the API key it was sent with; never the key.
    key_hash: str | None = None


@dataclass(frozen=True, slots=True)
class Download:
    """One response with a build's bytes: did it hold the first byte, and did the last one leave."""

    build_id: int
    started: bool
    finished: bool


Event = Report | Download
