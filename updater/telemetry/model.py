"""The values of telemetry. PURE."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

# What stands for a version, platform or country that a client does not tell.
UNKNOWN = "unknown"
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


class Download(NamedTuple):
    """Responses with a build's bytes that count alike: did they hold the first byte, and did the last one leave.

    `rate` is the bucket of their throughput (`histograms.bucket_of`), None where it tells nothing.
    """

    build_id: int
    started: bool
    finished: bool
    ended_at: datetime
    rate: int | None = None
    amount: int = 1


Event = Report | Download


class ClientFacts(NamedTuple):
    """What an update check says of the client that asks, or `UNKNOWN`. `target` is written `linux/amd64`."""

    application_id: str
    version: str
    target: str
