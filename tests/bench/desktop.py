"""The desktop API's two questions, against a bare handler with the same bytes."""

from __future__ import annotations

import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from tests.bench.checks import per_cpu_s
from tests.bench.processes import KEY, SERVER_CORE, Process, running, service
from tests.bench.rows import Figure, Pace, Row, interleave, rate
from tests.bench.seed import seed
from tests.ports import free_port

PREFIX = "/wp-json/bkgt/v1/updates"
_LATEST = [f"{PREFIX}/latest"]
_COMPATIBILITY = [f"{PREFIX}/compatibility/1.0.{patch}" for patch in range(20)]
_MOUNT = {"prefix": PREFIX, "application": "my-app"}
# Clients state a version and a platform, and ask for few versions in turn.
_SCRIPT = """
local paths = {%s}
local requests, turn = {}, 0
init = function(args)
  for patch = 0, 19 do
    local headers = {["X-API-Key"] = "%s", ["User-Agent"] = "BKGT-Manager/1.0." .. patch .. " (linux-x64)"}
    requests[patch + 1] = wrk.format("GET", paths[patch %% #paths + 1], headers)
  end
end
request = function()
  turn = turn %% #requests + 1
  return requests[turn]
end
"""


def latest(folder: Path, pace: Pace) -> Sequence[Figure]:
    """Compare what the latest version costs with a handler that returns the same bytes."""
    return [_against_bare_handler(folder, pace, _LATEST, "latest versions a second, against a bare aiohttp handler")]


def compatibility(folder: Path, pace: Pace) -> Sequence[Figure]:
    """Compare what a compatibility question costs with a handler that returns the same bytes."""
    return [
        _against_bare_handler(folder, pace, _COMPATIBILITY, "compatibility answers a second, against a bare handler")
    ]


def _against_bare_handler(folder: Path, pace: Pace, paths: list[str], what: str) -> Figure:
    script = folder / "desktop.lua"
    script.write_text(_SCRIPT % (", ".join(f'"{each}"' for each in paths), KEY))
    seed(folder, 100)
    with service(folder, desktop=[_MOUNT]) as own:
        body = folder / "body.json"
        body.write_bytes(_ask(own, paths[0]))
        port = free_port()
        command = [sys.executable, "-m", "tests.bench.bare", str(port), str(body)]
        with running(command, port, folder / "bare.log", core=SERVER_CORE) as bare:
            mine, theirs = interleave(pace, lambda: per_cpu_s(own, script, pace), lambda: per_cpu_s(bare, script, pace))
    return rate(what, mine, theirs, at_least=0.55)


def _ask(server: Process, path: str) -> bytes:
    request = urllib.request.Request(server.url + path, headers={"X-API-Key": KEY})
    with urllib.request.urlopen(request) as response:
        return bytes(response.read())


ROWS = (Row("desktop-latest", latest), Row("desktop-compatibility", compatibility))
