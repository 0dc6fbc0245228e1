"""What the service consists of, and whether something is known against it: `scripts/sbom`, `scripts/audit`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
GOOD = {"name": "good", "version": "1", "vulns": []}
BAD = {"name": "bad", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}]}
LEFT_OUT = {"name": "odd", "skip_reason": "Dependency not found on PyPI and could not be audited: odd (1)"}


def audit(program: Path | None, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {name: text for name, text in os.environ.items() if name != "PIP_AUDIT"}
    environment |= {} if program is None else {"PIP_AUDIT": str(program)}
    command = [sys.executable, ROOT / "scripts" / "audit", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("found", "status", "said"),
    [
        ([GOOD, GOOD], 0, "2 of 2 packages looked up, 0 known vulnerabilities"),
        ([GOOD, BAD], 1, "bad 2: PYSEC-1, mended in 3"),
        ([GOOD, LEFT_OUT], 3, "NOT AUDITED: 1 of 2 packages could not be looked up (odd)"),
        ([BAD, LEFT_OUT], 1, "NOT AUDITED: 1 of 2"),
        ([], 3, "NOT AUDITED: 0 of 0"),
        (None, 3, "NOT AUDITED: pip-audit gave no answer: no route to host"),
    ],
)
def test_an_audit_that_did_not_look_does_not_say_that_all_is_well(
    tmp_path: Path, found: list[Any] | None, status: int, said: str
) -> None:
    """pip-audit ends with 0 and "No known vulnerabilities found" when its index knows none of the packages."""
    program = tmp_path / "pip-audit"
    answer = "" if found is None else f"cat >\"$last\" <<'END'\n{json.dumps({'dependencies': found})}\nEND\n"
    program.write_text(f'#!/bin/sh\nfor last; do :; done\n{answer}echo "no route to host" >&2\n')
    program.chmod(0o755)
    done = audit(program)
    assert done.returncode == status, done.stdout + done.stderr
    assert said in done.stdout + done.stderr


@pytest.fixture
def osv() -> Iterator[str]:
    """Serve the interface of OSV, which knows something against aiohttp alone."""

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            name = asked["package"]["name"]
            known = {
                "id": "PYSEC-0",
                "modified": "2026-01-01T00:00:00Z",
                "summary": "x",
                "details": "y",
                "affected": [],
            }
            body = json.dumps({"vulns": [known]} if name == "aiohttp" else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1/query"
    server.shutdown()
    server.server_close()
    thread.join(10)


@pytest.mark.long
def test_the_real_pip_audit_against_data_that_is_reached_and_that_is_not(osv: str) -> None:
    done = audit(None, "-s", "osv", "--osv-url", osv)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "aiohttp" in done.stdout
    assert "NOT AUDITED" not in done.stderr
    unreachable = audit(None, "-s", "osv", "--osv-url", "http://127.0.0.1:9/v1/query")
    assert unreachable.returncode == 3, unreachable.stdout + unreachable.stderr
    assert "NOT AUDITED" in unreachable.stderr


@pytest.mark.long
def test_documents_of_what_it_consists_of_follow_the_schema(tmp_path: Path) -> None:
    """The script holds each document to the schema with cyclonedx's own validator, and ends with what is wrong."""
    command = [sys.executable, ROOT / "scripts" / "sbom", tmp_path]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert [Path(each).name.partition("-0.")[0] for each in said] == ["updater-server"] * 3
    for lock, path in zip(("", "-extras", "-test"), said, strict=True):
        document = json.loads(Path(path).read_text())
        text = (ROOT / "scripts" / f"requirements{lock}.txt").read_text()
        locked = set(re.findall(r"^([\w.-]+)(?:\[.*?\])?==(\S+)", text, re.MULTILINE))
        named = {(each["name"], each["version"]) for each in document["components"]}
        assert {each for each in named if each[0] != "updater-client"} == locked
        assert document["metadata"]["component"]["name"] == "updater-server"
        hashed = [each["externalReferences"][0]["hashes"] for each in document["components"][:-1]]
        assert sum(map(len, hashed)) == text.count("--hash=sha256:")
