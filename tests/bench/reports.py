"""Durable status reports: grouped commits against one commit a report."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

from tests.bench.processes import Process, create_application, service, wrk
from tests.bench.rows import Figure, Row, alternate

_ROUNDS, _ROUND_S = 3, 4
_SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"current_version": "1.0.0", "target_version": "1.1.0", "platform": "linux", \
"architecture": "amd64", "status": "completed", "install_time_seconds": 12}'
"""


def grouped_commits(folder: Path) -> Sequence[Figure]:
    """Let 64 clients report at once; an answer means that the report is on disk."""
    script = folder / "reports.lua"
    script.write_text(_SCRIPT)
    path = "/api/v1/updates/my-app/status"
    with service(folder / "grouped") as own, service(folder / "singly", module="tests.bench.singly") as peer:
        for each in (own, peer):
            create_application(each)
        mine, theirs, ratio = alternate(
            _ROUNDS,
            lambda: wrk(own.url + path, script, seconds=_ROUND_S) / _ROUND_S,
            lambda: wrk(peer.url + path, script, seconds=_ROUND_S) / _ROUND_S,
        )
        per_cpu_s = statistics.median(_reports_per_cpu_s(own, path, script) for _ in range(_ROUNDS))
    what = "durable reports a second, 64 clients, against one commit a report"
    return [
        Figure(what, ratio, f"{mine:,.0f}/s", f"{theirs:,.0f}/s", at_least=5),
        Figure("durable reports for a second of processor time", per_cpu_s, "", "", at_least=3_000),
    ]


def _reports_per_cpu_s(server: Process, path: str, script: Path) -> float:
    before_s = server.cpu_s()
    answered = wrk(server.url + path, script, seconds=_ROUND_S)
    return answered / (server.cpu_s() - before_s)


ROWS = (Row("reports", grouped_commits),)
