"""What rollouts cost: the same clients with and without releases under rollout in their way."""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench.checks import QUESTIONS, per_cpu_s, write_script
from tests.bench.processes import KEY, SERVER_CORE, Process, create_application, running, service, wrk
from tests.bench.rows import Figure, Pace, Row, Runs, interleave, rate
from tests.bench.seed import seed
from tests.ports import free_port

_CHANNELS = ["stable", "beta", "nightly"]
# All rollouts that an application may have.
_MOST = 8
_IDS = 100_000
_PLENTY = 1_000_000_000
# The first of the limits that clients with ids meet.
LIMITS: dict[str, Any] = {"rate_limit__checks_per_minute": _PLENTY}
_ID_SCRIPT = """
local questions = {%s}
local turn = %d
request = function()
  turn = turn + 1
  local id = %s
  return wrk.format("GET", string.format("%%s&client_id=%%032x", questions[turn %% #questions + 1], id))
end
"""
# A prime, so that neighbours are far from each other.
_KNOWN_ID, NEW_ID = f"(turn * 7919) % {_IDS}", "turn"
# Half about the release under rollout, half about the one before; each by a client and an address of its own.
_REPORT_SCRIPT = """
wrk.method = "POST"
local turn = %d
local body = '{"current_version": "1.0.0", "target_version": "%%s", "platform": "linux", "architecture": "amd64", \
"status": "completed", "install_time_seconds": 12, "client_id": "%%032x"}'
request = function()
  turn = turn + 1
  local version = turn %% 2 == 0 and "1.1.0" or "1.0.0"
  local address = string.format("10.%%d.%%d.%%d", turn / 65536 %% 256, turn / 256 %% 256, turn %% 256)
  local headers = {["Content-Type"] = "application/json", ["X-Forwarded-For"] = address}
  return wrk.format("POST", nil, headers, string.format(body, version, turn))
end
"""


def against_none(folder: Path, pace: Pace) -> Sequence[Figure]:
    """Ask with 100,000 ids, with a release at 50 % in the way and without."""
    seed(folder / "own", 100)
    seed(folder / "peer", 100)
    script = ask_by_id(folder, _KNOWN_ID)
    plain = write_script(folder)
    with service(folder / "own", **LIMITS) as own, service(folder / "peer", **LIMITS) as peer:
        _roll_out(own, 1)
        mine, theirs, no_ids = interleave(
            pace,
            lambda: per_cpu_s(own, script, pace),
            lambda: per_cpu_s(peer, script, pace),
            lambda: per_cpu_s(peer, plain, pace),
        )
    what = f"checks a second of {_IDS:,} ids with a rollout at 50 %, against"
    return [
        rate(f"{what} none", mine, theirs, at_least=0.90),
        rate(f"{what} none and no ids", mine, no_ids, at_least=0.90),
    ]


def never_seen(folder: Path, pace: Pace) -> Sequence[Figure]:
    """Ask each time with another id: against a bare handler, and with all rollouts that there may be in the way."""
    seed(folder / "own", 100)
    seed(folder / "hindered", 100)

    def ask(server: Process) -> float:
        return per_cpu_s(server, ask_by_id(folder, NEW_ID), pace)

    with service(folder / "own", **LIMITS) as own, service(folder / "hindered", **LIMITS) as hindered:
        _roll_out(hindered, _MOST)
        body = folder / "body.json"
        body.write_bytes(urllib.request.urlopen(own.url + QUESTIONS[0]).read())
        port = free_port()
        command = [sys.executable, "-m", "tests.bench.bare", str(port), str(body)]
        with running(command, port, folder / "bare.log", core=SERVER_CORE) as bare:
            mine, theirs, slower = interleave(pace, lambda: ask(own), lambda: ask(bare), lambda: ask(hindered))
    new = "checks a second, each with a new id,"
    return [
        rate(f"{new} against a bare handler", mine, theirs, at_least=0.60),
        rate(f"{new} {_MOST} rollouts, against none", slower, mine, at_least=0.75),
    ]


def counted_reports(folder: Path, pace: Pace) -> Sequence[Figure]:
    """Let 64 clients report at once while a rollout counts all that they say."""
    more: dict[str, Any] = {"server__trusted_proxies": ["127.0.0.1/32"]}
    path = "/api/v1/updates/my-app/status"
    scripts, load_s = iter(range(1, 100)), 2 * pace.load_s

    def report(server: Process) -> float:
        script = folder / "reports.lua"
        script.write_text(_REPORT_SCRIPT % (next(scripts) * 1_000_000))
        return wrk(server.url + path, script, seconds=load_s) / load_s

    with service(folder / "own", **more) as own, service(folder / "peer", **more) as peer:
        for each in (own, peer):
            create_application(each)
            _register(each, "1.0.0")
            _register(each, "1.1.0", **({"rollout": 50} if each is own else {}))
        mine, theirs = interleave(pace, lambda: report(own), lambda: report(peer))
    what = "durable reports a second, 64 clients, counted by a rollout, against none"
    return [rate(what, mine, theirs, at_least=0.85)]


def start(folder: Path, pace: Pace) -> Sequence[Figure]:
    """Start with 100,000 releases, with three channels and all rollouts that there may be, and without."""
    for name in ("own", "peer"):
        seed(folder / name, 100_000)
    admin = [{"name": "bench", "key": KEY, "permissions": ["admin"]}]
    with service(folder / "own", access__api_keys=admin) as own:
        _give_channels(own)
        _roll_out(own, _MOST, _CHANNELS)
    rounds = [(*_started(folder / "own"), *_started(folder / "peer")) for _ in range(pace.rounds)]
    own_s, own_mib, peer_s, peer_mib = (Runs(values) for values in zip(*rounds, strict=True))
    what = f"100,000 releases, {len(_CHANNELS)} channels, {_MOST} rollouts:"
    return [
        Figure(f"{what} start", own_s, own_s, peer_s, "{:.2f} s", at_most=3, unit=" s"),
        Figure(f"{what} idle", own_mib.less(peer_mib), own_mib, peer_mib, "{:.1f} MiB", at_most=5, unit=" MiB"),
    ]


def _started(root: Path) -> tuple[float, float]:
    """Return the seconds that a start took, and the MiB once it is idle."""
    with service(root, core=None) as server:
        time.sleep(2)
        return server.started_s, server.memory_mib()


def ask_by_id(folder: Path, formula: str) -> Path:
    """Write what wrk asks for; each script begins at another number."""
    path, begin = folder / "ids.lua", time.monotonic_ns() % 1_000_000_000
    path.write_text(_ID_SCRIPT % (", ".join(f'"{each}"' for each in QUESTIONS), begin, formula))
    return path


def _roll_out(server: Process, count: int, channels: Sequence[str] = ("stable",)) -> None:
    """Publish releases above all others, each for half of the clients."""
    for number in range(count):
        _register(server, f"900.0.{number}", rollout=50, channel=channels[number % len(channels)])


def _give_channels(server: Process) -> None:
    _call(server, "PUT", "/api/v1/applications/my-app", {"channels": _CHANNELS})


def _register(server: Process, version: str, **more: Any) -> None:
    release = {
        "application_id": "my-app",
        "version": version,
        "platform": "linux",
        "architecture": "amd64",
        "download_url": f"https://cdn.example.com/my-app/{version}/my-app.tar.gz",
        "checksum": "ab" * 32,
        "checksum_type": "sha256",
    }
    _call(server, "POST", "/api/v1/updates/my-app/register", {**release, **more})


def _call(server: Process, method: str, path: str, body: dict[str, Any]) -> None:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
    request = urllib.request.Request(server.url + path, json.dumps(body).encode(), headers, method=method)
    urllib.request.urlopen(request).close()


ROWS = (
    Row("rollout-checks", against_none),
    Row("rollout-new-ids", never_seen),
    Row("rollout-reports", counted_reports),
    Row("rollout-start", start),
)
