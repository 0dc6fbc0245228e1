"""What the exit status of every command says. Scripts may rely on these numbers."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """The exit statuses; `MEANINGS` has them in words."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    NO_UPDATE = 3
    FORBIDDEN = 4
    NOT_FOUND = 5
    CONFLICT = 6
    INVALID = 7
    UNAVAILABLE = 8
    DIGEST_MISMATCH = 9
    LOCAL_FILE = 10
    INTERRUPTED = 130


MEANINGS = {
    Exit.OK: "done",
    Exit.FAILURE: "failed for another reason",
    Exit.USAGE: "the command line does not fit",
    Exit.NO_UPDATE: "there is no newer release (check, fetch --current-version)",
    Exit.FORBIDDEN: "no valid key, or one that does not allow this",
    Exit.NOT_FOUND: "no such application or release",
    Exit.CONFLICT: "exists already, or does not fit the present state",
    Exit.INVALID: "the server does not take a value: wrong, or too large",
    Exit.UNAVAILABLE: "no server there, or it stays busy after all retries",
    Exit.DIGEST_MISMATCH: "other bytes came than were announced",
    Exit.LOCAL_FILE: "a local file cannot be read or written",
    Exit.INTERRUPTED: "interrupted; a started fetch goes on the next time",
}


def as_help() -> str:
    """Return the table as the last part of `updater --help`, in the order of the numbers."""
    rows = (f"  {code.value:>3}  {meaning}" for code, meaning in MEANINGS.items())
    return "\n".join(("\b", "Exit status:", *rows))
