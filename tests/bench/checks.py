"""Update checks: the service against a bare handler, and with many releases against few."""

from __future__ import annotations

import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from tests.bench.processes import SERVER_CORE, Process, running, service, wrk
from tests.bench.rows import Figure, Pace, Row, interleave, rate
from tests.bench.seed import seed
from tests.ports import free_port

CHECK_PATH = "/api/v1/updates/{app_id}/check"
# Installed clients are of a few versions, so the load asks a few questions in turn.
VERSIONS = [
    f"{CHECK_PATH.format(app_id='my-app')}?current_version=1.0.{patch}&platform=linux&architecture=amd64"
    for patch in range(200)
]
QUESTIONS = VERSIONS[:20]
_SCRIPT = """
local questions = {%s}
local requests, turn = {}, 0
init = function(args)
  for i, each in ipairs(questions) do requests[i] = wrk.format("GET", each) end
end
request = function()
  turn = turn %% #requests + 1
  return requests[turn]
end
"""


def against_bare_handler(folder: Path, pace: Pace) -> Sequence[Figure]:
    """Compare with a handler that reads the query and returns the same bytes."""
    script, many = write_script(folder), write_script(folder, VERSIONS, "versions.lua")
    seed(folder, 100)
    with service(folder) as own:
        body = folder / "body.json"
        body.write_bytes(urllib.request.urlopen(own.url + QUESTIONS[0]).read())
        port = free_port()
        command = [sys.executable, "-m", "tests.bench.bare", str(port), str(body)]
        with running(command, port, folder / "bare.log", core=SERVER_CORE) as bare:
            mine, theirs = interleave(pace, lambda: per_cpu_s(own, script, pace), lambda: per_cpu_s(bare, script, pace))
            own_many, bare_many = interleave(
                pace, lambda: per_cpu_s(own, many, pace), lambda: per_cpu_s(bare, many, pace)
            )
    what = "against a bare aiohttp handler"
    return [
        rate(f"checks a second, {what}", mine, theirs, at_least=0.80),
        rate(f"checks a second, of {len(VERSIONS)} versions in turn, {what}", own_many, bare_many, at_least=0.80),
    ]


def against_few_releases(folder: Path, pace: Pace) -> Sequence[Figure]:
    """Compare a catalog of 100,000 releases with one of 100."""
    script = write_script(folder)
    seed(folder / "many", 100_000)
    seed(folder / "few", 100)
    with service(folder / "many") as many, service(folder / "few") as few:
        mine, theirs = interleave(pace, lambda: per_cpu_s(many, script, pace), lambda: per_cpu_s(few, script, pace))
    return [rate("checks a second with 100,000 releases, against 100", mine, theirs, at_least=0.95)]


def per_cpu_s(server: Process, script: Path, pace: Pace, path: str = "") -> float:
    """Return the requests answered in one second of processor time: what a core can do, on a busy machine too."""
    before_s = server.cpu_s()
    answered = wrk(server.url + path, script, seconds=pace.load_s)
    return answered / (server.cpu_s() - before_s)


def write_script(folder: Path, questions: Sequence[str] = QUESTIONS, name: str = "checks.lua") -> Path:
    """Write what wrk asks for."""
    path = folder / name
    path.write_text(_SCRIPT % ", ".join(f'"{each}"' for each in questions))
    return path


ROWS = (Row("check", against_bare_handler), Row("releases", against_few_releases))
