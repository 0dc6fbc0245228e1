"""What an examination finds. PURE."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class State(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


class Finding(NamedTuple):
    """One thing that was looked at: its name, how it is, what was seen, and what to do about it (empty: nothing)."""

    subject: str
    state: State
    seen: str
    remedy: str = ""


def good(subject: str, seen: str) -> Finding:
    """Return a finding without a fault."""
    return Finding(subject, State.OK, seen)


def warning(subject: str, seen: str, remedy: str) -> Finding:
    """Return what works, and hardly anybody wants."""
    return Finding(subject, State.WARNING, seen, remedy)


def error(subject: str, seen: str, remedy: str) -> Finding:
    """Return what keeps the service, or a part of it, from working."""
    return Finding(subject, State.ERROR, seen, remedy)
