"""Update checks: the service against a bare handler, and with many releases against few."""

from __future__ import annotations

import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from tests.bench.processes import SERVER_CORE, Process, running, service, wrk
from tests.bench.rows import Figure, Row, alternate
from tests.bench.seed import seed
from tests.ports import free_port

CHECK_PATH = "/api/v1/updates/{app_id}/check"
# Installed clients are of a few versions, so the load asks a few questions in turn.
VERSIONS = [
    f"{CHECK_PATH.format(app_id='my-app')}?current_version=1.0.{patch}&platform=linux&architecture=amd64"
    for patch in range(200)
]
QUESTIONS = VERSIONS[:20]
_ROUNDS, _ROUND_S = 7, 2
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


def against_bare_handler(folder: Path) -> Sequence[Figure]:
    """Compare with a handler that reads the query and returns the same bytes."""
    script, many = write_script(folder), write_script(folder, VERSIONS, "versions.lua")
    seed(folder, 100)
    with service(folder) as own:
        body = folder / "body.json"
        body.write_bytes(urllib.request.urlopen(own.url + QUESTIONS[0]).read())
        port = free_port()
        command = [sys.executable, "-m", "tests.bench.bare", str(port), str(body)]
        with running(command, port, folder / "bare.log", core=SERVER_CORE) as bare:
            mine, theirs, ratio = alternate(_ROUNDS, lambda: per_cpu_s(own, script), lambda: per_cpu_s(bare, script))
            own_many, bare_many, of_many = alternate(
                _ROUNDS, lambda: per_cpu_s(own, many), lambda: per_cpu_s(bare, many)
            )
    what = "against a bare aiohttp handler"
    return [
        Figure(f"checks a second, {what}", ratio, f"{mine:,.0f}/s", f"{theirs:,.0f}/s", at_least=0.80),
        Figure(
            f"checks a second, of {len(VERSIONS)} versions in turn, {what}",
            of_many,
            f"{own_many:,.0f}/s",
            f"{bare_many:,.0f}/s",
            at_least=0.80,
        ),
    ]


def against_few_releases(folder: Path) -> Sequence[Figure]:
    """Compare a catalog of 100,000 releases with one of 100."""
    script = write_script(folder)
    seed(folder / "many", 100_000)
    seed(folder / "few", 100)
    with service(folder / "many") as many, service(folder / "few") as few:
        mine, theirs, ratio = alternate(_ROUNDS, lambda: per_cpu_s(many, script), lambda: per_cpu_s(few, script))
    what = "checks a second with 100,000 releases, against 100"
    return [Figure(what, ratio, f"{mine:,.0f}/s", f"{theirs:,.0f}/s", at_least=0.95)]


def per_cpu_s(server: Process, script: Path) -> float:
    """Return the checks answered in one second of processor time: what a core can do, on a busy machine too."""
    before_s = server.cpu_s()
    answered = wrk(server.url, script, seconds=_ROUND_S)
    return answered / (server.cpu_s() - before_s)


def write_script(folder: Path, questions: Sequence[str] = QUESTIONS, name: str = "checks.lua") -> Path:
    """Write what wrk asks for."""
    path = folder / name
    path.write_text(_SCRIPT % ", ".join(f'"{each}"' for each in questions))
    return path


ROWS = (Row("check", against_bare_handler), Row("releases", against_few_releases))
