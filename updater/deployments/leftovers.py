"""Processes that a command leaves behind: found by their mark, by their descent or by a noted name, and ended.

A daemon leaves its group and session, and may clear its environment. Its descent stays: the process that carries a run
out adopts what its commands leave, so that each of them is below it until it ends.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path

MARK = "UPDATER_RUN"
_PROC = Path("/proc")
_PR_SET_CHILD_SUBREAPER = 36
_ROUNDS = 20  # a process that forks faster than this would escape any number of rounds


def adopt(on: bool) -> bool:
    """Take over the orphans below this process instead of init, or stop doing so. Source: prctl(2).

    Returns whether this system has it: Linux does. Without it, and without /proc, only groups are ended.
    """
    if not _PROC.is_dir():
        return False
    import ctypes  # here: for the process that carries a run out, not for the service

    try:
        return bool(ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(on), 0, 0, 0) == 0)
    except (OSError, AttributeError):
        return False


def identify(pid: int) -> str | None:
    """Return a name for a process that no later process with the same id gets: its id and start time. Source: proc(5).

    None when the process has ended.
    """
    stat = _stat(pid)
    return None if stat is None else f"{pid}:{stat[19]}"


def children() -> set[str]:
    """Return the names of this process's children, as `identify` gives them."""
    return {name for pid in _family().get(os.getpid(), ()) if (name := identify(pid)) is not None}


def leavers(group: int, spared: Collection[str]) -> set[str]:
    """Return the names of the processes below this one that have left a group; `spared` as for `end_descendants`."""
    found = set()
    for pid in _descendants(spared):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getpgid(pid) != group and (name := identify(pid)) is not None:
                found.add(name)
    return found


def end_descendants(spared: Collection[str]) -> int:
    """Kill the processes below this one, and return their number. Raises nothing.

    `spared` names children that stay, with everything below them.
    """
    ended: set[int] = set()
    for _ in range(_ROUNDS):
        found = _descendants(spared) - ended
        if not found:
            break
        for pid in found:
            _kill(pid)
        ended |= found
    for pid in _family().get(os.getpid(), ()):
        if pid in ended:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
    return len(ended)


def end_named(names: Collection[str]) -> int:
    """Kill the processes with these names that still run, and everything below them; return the number of names met.

    Raises nothing.
    """
    met = 0
    for name in names:
        pid = int(name.partition(":")[0])
        if identify(pid) == name:
            met += 1
            for each in (*_below(pid, _family()), pid):
                _kill(each)
    return met


def end_identified(name: str | None) -> bool:
    """Kill the group of a process named by `identify`, if that process still runs; return whether it did.

    Raises nothing. None names no process.
    """
    if name is None or identify(int(name.partition(":")[0])) != name:
        return False
    signal_group(int(name.partition(":")[0]), signal.SIGKILL)
    return True


def end_marked(mark: str | None) -> int:
    """Kill every process that carries this run's mark in its environment; return their number. Raises nothing.

    A child with a session of its own leaves its group, but keeps the mark it inherited. Without /proc this does
    nothing, and only the group is killed.
    """
    if not mark or not _PROC.is_dir():
        return 0
    wanted = f"{MARK}={mark}".encode()
    ended: set[int] = set()
    for _ in range(_ROUNDS):
        found = {pid for pid in _marked(wanted) if pid not in ended}
        if not found:
            break
        for pid in found:
            _kill(pid)
        ended |= found
    return len(ended)


def signal_group(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process group. Raises nothing when it is gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _descendants(spared: Collection[str]) -> set[int]:
    family = _family()
    found: set[int] = set()
    for child in family.get(os.getpid(), ()):
        if identify(child) not in spared:
            found |= {child, *_below(child, family)}
    return found


def _below(pid: int, family: dict[int, list[int]]) -> set[int]:
    found: set[int] = set()
    waiting = list(family.get(pid, ()))
    while waiting:
        each = waiting.pop()
        if each not in found:
            found.add(each)
            waiting += family.get(each, ())
    return found


def _family() -> dict[int, list[int]]:
    """Return each parent and its children."""
    found: dict[int, list[int]] = defaultdict(list)
    with contextlib.suppress(OSError):
        for entry in _PROC.iterdir():
            if entry.name.isdecimal() and (stat := _stat(int(entry.name))) is not None:
                found[int(stat[1])].append(int(entry.name))
    return found


def _stat(pid: int) -> list[str] | None:
    """Return the fields of a process after its name: the first is its state, the second its parent."""
    try:
        return (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def _marked(wanted: bytes) -> set[int]:
    found = set()
    for entry in _PROC.iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found.add(int(entry.name))
    return found
