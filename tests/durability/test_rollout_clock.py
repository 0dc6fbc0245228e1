"""A running service whose clock jumps: stages are never skipped, and none begins twice."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from tests.durability.conftest import Launch, Server

UPDATES = "/updates/my-app"
HOUR_S = 3_600
# All code takes the time from one function; this one adds what a file says. Intervals are of another clock.
JUMPS = """
import sys
from datetime import UTC, datetime, timedelta
import updater.clock
def utc_now():
    return datetime.now(UTC) + timedelta(seconds=float(open({offset!r}).read()))
updater.clock.utc_now = utc_now
from updater.cli import main
main()
"""
LOOKS_S = 5.0  # SC-1: a stage begins so soon after its time is over


def call(server: Server, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    found, _, content = server.call(method, path, body)
    assert found == status, content
    return json.loads(content)


def stage(server: Server, version: str) -> tuple[str, int]:
    """Return the state and the number of the present stage, 0 for none."""
    found = call(server, "GET", f"{UPDATES}/releases/{version}/rollout")
    return found["state"], found["stage"]["number"] if found["stage"] else 0


def begun(server: Server, version: str) -> list[int]:
    """Return the stages that began by themselves, in order."""
    entries = call(server, "GET", f"{UPDATES}/history?version={version}")["entries"]
    return [
        each["after"]["stage"]
        for each in reversed(entries)
        if each["action"] in ("rollout.started", "rollout.advanced")
    ]


def settle(server: Server, version: str, wanted: tuple[str, int]) -> None:
    """Wait until a stage has begun; and then for as long again that nothing else does."""
    deadline_s = time.monotonic() + LOOKS_S + 10  # a new process waits for the lease of the one before
    while stage(server, version) != wanted:
        assert time.monotonic() < deadline_s, stage(server, version)
        time.sleep(0.1)
    time.sleep(LOOKS_S)
    assert stage(server, version) == wanted


def test_a_clock_that_jumps(launch: Launch, tmp_path: Path) -> None:
    offset = tmp_path / "offset"

    def jump(seconds: float) -> None:
        fresh = offset.with_suffix(".new")
        fresh.write_text(str(seconds))
        fresh.rename(offset)

    def start() -> Server:
        return launch(program=("-c", JUMPS.format(offset=str(offset))))

    jump(0)
    server = start()
    server.create_application()
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + HOUR_S))
    stages = [{"percent": percent, "for_s": HOUR_S} for percent in (1, 10, 50)]
    for version, start_at in (("1.1.0", None), ("1.2.0", at)):
        body = {
            "application_id": "my-app",
            "version": version,
            "platform": "linux",
            "architecture": "amd64",
            "download_url": f"https://releases.example.com/{version}",
            "checksum": "ab" * 32,
            "checksum_type": "sha256",
            "rollout": {"stages": [*stages, {"percent": 100}], "min_reports": 0, "start_at": start_at},
        }
        call(server, "POST", f"{UPDATES}/register", body, 201)
    assert (stage(server, "1.1.0"), stage(server, "1.2.0")) == (("active", 1), ("scheduled", 0))

    jump(HOUR_S + 1)
    settle(server, "1.1.0", ("active", 2))
    assert stage(server, "1.2.0") == ("active", 1)

    jump(-HOUR_S)  # back to before it all began
    settle(server, "1.1.0", ("active", 2))
    assert stage(server, "1.2.0") == ("active", 1)
    server.kill()
    server = start()
    settle(server, "1.1.0", ("active", 2))

    jump(10 * 24 * HOUR_S)  # every stage is over, and still the next one gets its whole time
    settle(server, "1.1.0", ("active", 3))
    assert stage(server, "1.2.0") == ("active", 2)
    server.kill()
    server = start()
    settle(server, "1.1.0", ("active", 3))
    assert (begun(server, "1.1.0"), begun(server, "1.2.0")) == ([2, 3], [1, 2])
