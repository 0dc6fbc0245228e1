"""Durable status reports: grouped commits against one commit a report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.bench.checks import per_cpu_s
from tests.bench.processes import create_application, service, wrk
from tests.bench.rows import Figure, Pace, Row, interleave, rate

_SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"current_version": "1.0.0", "target_version": "1.1.0", "platform": "linux", \
"architecture": "amd64", "status": "completed", "install_time_seconds": 12}'
"""


def grouped_commits(folder: Path, pace: Pace) -> Sequence[Figure]:
    """Let 64 clients report at once; an answer means that the report is on disk."""
    script = folder / "reports.lua"
    script.write_text(_SCRIPT)
    path = "/api/v1/updates/my-app/status"
    with service(folder / "grouped") as own, service(folder / "singly", module="tests.bench.singly") as peer:
        for each in (own, peer):
            create_application(each)
        load_s = 2 * pace.load_s
        mine, theirs, of_processor = interleave(
            pace,
            lambda: wrk(own.url + path, script, seconds=load_s) / load_s,
            lambda: wrk(peer.url + path, script, seconds=load_s) / load_s,
            lambda: per_cpu_s(own, script, pace, path),
        )
    what = "durable reports a second, 64 clients, against one commit a report"
    return [
        rate(what, mine, theirs, at_least=5),
        Figure("durable reports for a second of processor time", of_processor, at_least=3_000),
    ]


ROWS = (Row("reports", grouped_commits),)
