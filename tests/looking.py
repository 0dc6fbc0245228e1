"""What the kernel says of a process that is not ours."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def worked_s(pid: int) -> float:
    """Return how many seconds of the processor a process has used, in all of its threads.

    How long something took is the machine's affair, too; this is not.
    """
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def open_files(pid: int) -> list[str]:
    """Return what the descriptors of a process are, such as `socket:[123]`, or a path."""
    found = []
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since the folder was listed
            found.append(str(each.readlink()))
    return found


def status_of(pid: int) -> dict[str, int]:
    """Return the numbers of /proc/PID/status; sizes are in KiB. Source: proc_pid_status(5)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    pairs = [(name, text.split()) for name, _, text in (line.partition(":") for line in lines)]
    return {name: int(words[0]) for name, words in pairs if words and words[0].isdigit()}
