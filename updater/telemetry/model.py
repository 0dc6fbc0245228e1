"""The values of telemetry. PURE."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import NamedTuple

# Stands for a version, platform or country that a client does not send.
UNKNOWN = "unknown"
STATUSES = ("completed", "failed", "cancelled")


class Kept(Enum):
    """What is stored of a report; it is counted in any case."""

    ALL = "all"
    ROW = "row"  # without its error message
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of an install as its installer reports it."""

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
    # The channel that the client says it is on.
    channel: str | None = None
    # Who sent it: whose its id is, whose bytes these are, and who counts once in a rollout. Never stored in clear.
    client_id: str | None = None
    address: str = ""
    kept: Kept = Kept.ALL


class Download(NamedTuple):
    """Responses with a build's bytes that count alike.

    `started`: the response held the first byte. `finished`: the last byte left. `rate`: the bucket of its throughput in
    bytes per second (`histograms.bucket_of`), None when it was not measured. `amount`: the number of such responses.
    """

    build_id: int
    started: bool
    finished: bool
    ended_at: datetime
    rate: int | None = None
    amount: int = 1


Event = Report | Download


class ClientFacts(NamedTuple):
    """The client of an update check as it describes itself, else `UNKNOWN`. `target` has the form `linux/amd64`."""

    application_id: str
    version: str
    target: str
