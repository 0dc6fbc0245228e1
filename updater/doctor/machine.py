"""What this machine gives: the data folder, room on its disk, open files, the port, the clock."""

from __future__ import annotations

import http.client
import json
import os
import resource
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

from updater.artifacts.reserve import Reserve
from updater.backups.marker import is_restoring
from updater.clock import utc_now
from updater.database.embedded import FILE_NAME
from updater.doctor.model import Finding, error, good, warning
from updater.errors import ConfigurationError
from updater.permissions import PRIVATE_FOLDER, SHARED_FOLDER
from updater.processes.listening import FILES_EACH, LEAST_FILES, affordable_connections, close_sockets, open_sockets
from updater.settings import Settings
from updater.timekeeping.judgement import find_doubt

_ANSWER_S: Final = 5.0
_MOST_BYTES: Final = 64 << 10


class Answer(NamedTuple):
    """What answers at an address: whether it is this program, and what it says of its health (None: nothing)."""

    is_updater: bool
    health: dict[str, Any] | None


def look_at_folder(settings: Settings) -> Iterator[Finding]:
    """Look at the data folder: is it there, this user's, and closed to others?"""
    subject, root = "data folder", Path(settings.storage.root).absolute()
    if not root.exists():
        parent = next(each for each in root.parents if each.exists())
        if os.access(parent, os.W_OK | os.X_OK):
            yield good(subject, f"{root} is not there yet; `updater serve` makes it")
        else:
            yield error(subject, f"{root} cannot be made: {parent} is not writable", "name another storage.root")
        return
    if not root.is_dir():
        yield error(subject, f"{root} is no folder", "name another storage.root")
        return
    if not os.access(root, os.R_OK | os.W_OK | os.X_OK):
        remedy = "run this command, and the service, as the folder's owner; or chown the folder"
        yield error(subject, f"{root} is not writable for user {os.geteuid()}", remedy)
        return
    if is_restoring(root):
        yield error(subject, f"a restore into {root} did not end", "run `updater restore` again")
        return
    mode = root.stat().st_mode & 0o777
    wanted = SHARED_FOLDER if settings.storage.group_reads else PRIVATE_FOLDER
    if mode & ~wanted:
        yield warning(subject, f"{root} has mode {mode:o}", f"chmod {wanted:o} {root}; `updater serve` does it, too")
    else:
        yield good(subject, str(root))


def look_at_space(settings: Settings) -> Iterator[Finding]:
    """Look at the free space beside what is kept for the database."""
    root = _nearest(Path(settings.storage.root).absolute())
    free = shutil.disk_usage(root).free
    room = Reserve(root, settings.storage.reserve_bytes).measure_bytes()
    seen = f"{free / 1e9:.1f} GB free where {root} is, {max(room, 0) / 1e9:.1f} GB of it for uploads"
    remedy = "free some space, move storage.root, or set storage.reserve_bytes"
    if room <= 0:
        yield error("free space", seen, remedy)
    elif room < settings.storage.max_upload_bytes:
        yield warning("free space", f"{seen}: less than one upload may have (storage.max_upload_bytes)", remedy)
    else:
        yield good("free space", seen)


def look_at_files(settings: Settings) -> Iterator[Finding]:
    """Look at the limit of open files. The service raises its own as far as the system allows."""
    subject, (_, hard) = "open files", resource.getrlimit(resource.RLIMIT_NOFILE)
    remedy = "raise LimitNOFILE= of the unit, or ulimit -Hn"
    most, wanted = affordable_connections(hard), settings.server.max_connections
    if hard < LEAST_FILES:
        yield error(subject, f"a process may open {hard}, the service needs {LEAST_FILES}", remedy)
    elif most < wanted:
        seen = f"{hard} allow {most} connections, server.max_connections is {wanted}"
        yield warning(subject, seen, f"{remedy} to {wanted * FILES_EACH + LEAST_FILES}")
    else:
        yield good(subject, f"{hard}")


def look_at_port(settings: Settings) -> Iterator[Finding]:
    """Look at the port: the service answers there, or it is free. What the service says of itself follows."""
    subject, server = "port", settings.server
    where = f"{server.host}:{server.port}"
    answer = ask_health(_reachable(server.host), server.port)
    if answer is not None and answer.is_updater:
        yield good(subject, f"the service answers at {where}")
        yield _health("service", answer.health)
        return
    try:
        close_sockets(open_sockets(server))
    except ConfigurationError as failure:
        remedy = "stop the program that has it, or set server.port; ports below 1024 need a right of their own"
        yield error(subject, str(failure), remedy)
        return
    yield good(subject, f"{where} is free; no service runs there")


def ask_health(host: str, port: int, context: Any = None) -> Answer | None:
    """Ask a server for its health; None when none answers in time. With an ssl context by https."""
    make = http.client.HTTPConnection if context is None else http.client.HTTPSConnection
    more = {} if context is None else {"context": context}
    connection = make(host, port, timeout=_ANSWER_S, **more)
    try:
        connection.request("GET", "/health", headers={"Accept": "application/json", "User-Agent": "updater-doctor"})
        response = connection.getresponse()
        body = response.read(_MOST_BYTES)
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    try:
        told = json.loads(body)
    except ValueError:
        told = None
    health = told if isinstance(told, dict) and "status" in told else None
    return Answer(response.getheader("Server") == "updater" or health is not None, health)


def look_at_clock(settings: Settings) -> Iterator[Finding]:
    """Compare the clock with the time at which the embedded database was last written."""
    subject, now = "clock", utc_now()
    written = [_changed_at(Path(settings.storage.root) / name) for name in (FILE_NAME, f"{FILE_NAME}-wal")]
    seen_at = max((each for each in written if each is not None), default=None)
    remedy = "set the clock (timedatectl set-ntp true); when it is right: updater retain --confirm-clock"
    doubt = find_doubt(now, seen_at, timedelta())
    if doubt is not None:
        yield warning(subject, doubt, remedy)
    else:
        yield good(subject, now.isoformat(timespec="seconds"))


def _health(subject: str, health: dict[str, Any] | None) -> Finding:
    """Say how a service that answers says it does. Source: GET /health."""
    if health is None:
        return warning(subject, "it says nothing of its health", "look at GET /health")
    ill = [
        f"{name}: {part.get('message', part.get('status'))}"
        for name, part in (health.get("components") or {}).items()
        if isinstance(part, dict) and part.get("status") != "healthy"
    ]
    if health["status"] == "healthy":
        return good(subject, "healthy")
    make = error if health["status"] == "unhealthy" else warning
    return make(subject, f"{health['status']}; {'; '.join(ill)}", "see the service's log")


def _reachable(host: str) -> str:
    """Return the address at which this machine reaches a service that listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not listened on


def _nearest(path: Path) -> Path:
    return next(each for each in (path, *path.parents) if each.exists())


def _changed_at(path: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError:
        return None
