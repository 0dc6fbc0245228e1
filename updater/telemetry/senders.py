"""Who sent a report: whose its id is, and how many bytes of raw reports one source may leave behind in a day."""

from __future__ import annotations

import dataclasses
import hashlib
from datetime import date
from typing import Final

from updater.telemetry.model import Kept, Report

# What a row costs beside its error message, with its two indexes.
ROW_BYTES: Final = 300
# Sources that are told apart; further ones share one bound.
MAX_SOURCES: Final = 50_000
_REST: Final = ""


def own(report: Report) -> Report:
    """Return the report with an id that is its sender's alone: 64 hex digits, from the sender and the id it gave.

    The sender is the client's own id, else its address (the /64 of IPv6). So nobody can take an id that another sender
    will use, and a report repeated by the same sender counts once. A key is no sender: a fleet shares it. Behind a Unix
    socket that names no clients, all are one sender.
    """
    if report.report_id is None or not (report.client_id or report.address):
        return report
    sender = f"address {report.address}" if report.client_id is None else f"client {report.client_id}"
    scoped = hashlib.sha256(f"{sender}\0{report.report_id}".encode()).hexdigest()
    return dataclasses.replace(report, report_id=scoped)


class StoredBytes:
    """Bounds the bytes of raw reports that one address leaves behind in a day (UTC), for one process.

    Every report is counted. Above the bound those without an id leave no row. Those with one keep a row without their
    error message, by which a repetition is known, up to twice the bound. Memory: at most `MAX_SOURCES` addresses.
    """

    def __init__(self, bytes_a_day: int) -> None:
        self.shortened = 0
        self._bound = bytes_a_day
        self._day = date.min
        self._held: dict[str, int] = {}

    def fit(self, report: Report) -> Report:
        """Return the report with what is kept of it (`Report.kept`), and add that to its source."""
        day = report.received_at.date()
        if day != self._day:
            self._day, self._held = day, {}
        source = report.address
        if source not in self._held and len(self._held) >= MAX_SOURCES:
            source = _REST
        held = self._held.get(source, 0)
        size = ROW_BYTES + len((report.error_message or "").encode())
        if held + size <= self._bound:
            self._held[source] = held + size
            return report
        self.shortened += 1
        if report.report_id is None or held + ROW_BYTES > 2 * self._bound:
            return dataclasses.replace(report, kept=Kept.NOTHING)
        self._held[source] = held + ROW_BYTES
        return dataclasses.replace(report, kept=Kept.ROW)
