"""Schemathesis against the real service, as every role: no 5xx, and nothing the document does not say.

Every surface of the document is asked in turn by nobody, by keys of each level, by a session of each role of the
dashboard, with a token, and with credentials that schemathesis makes up; in the phase `stateful`, where a request
uses what the one before it made, by one key. The short run has some 2,000 cases, the long one 50,000. `FUZZ_EXAMPLES`
sets how many an operation gets in a phase, `FUZZ_SEED` the seed, and `FUZZ_PHASES` the phases of the long run, to run
it in parts; `pytest -s` shows how many cases there were.

`positive_data_acceptance` is left out: what a version is depends on the application, and a schema cannot say so.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

import updater.web.api.checks as checks
from tests.conftest import KEYS, Service
from tests.web.people import session_of
from tests.web.updates.tokens import SECRET, token
from updater.catalog.platforms import PLATFORMS

CHAINED = "admin"  # whose requests follow from each other in the phase `stateful`
FEW, MANY = "12", os.environ.get("FUZZ_EXAMPLES", "360")
SEED = os.environ.get("FUZZ_SEED", "20261120")
ALL = os.environ.get("FUZZ_PHASES", "examples,coverage,fuzzing,stateful")
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
)
# 412 and 460 are how tus refuses a header.
CONFIGURED = (
    "[checks]\nnegative_data_rejection.expected-statuses = "
    "[400, 401, 403, 404, 405, 406, 409, 412, 415, 422, 428, 429, 460, '5xx']\n"
)
# To try each value of each schema takes 6,500 requests. The short run does that for these two alone.
BRIEFLY = "[[operations]]\nexclude-path-regex = '/(check|publish)$'\nphases.coverage.enabled = false\n"  # the others


# What requests are about, beside what schemathesis makes up.
THERE = {
    "app_id": "my-app",
    "application_id": "my-app",
    "version": "1.0.0",
    "platform": "linux",
    "arch": "amd64",
    "channel": "stable",
    "file_name": "my-app-1.0.0-linux-amd64.bin",
    "key_id": "1",
    "webhook_id": "1",
    "user_id": "7",
    "name": "staff-person",
}


async def roles_of(service: Service) -> dict[str, dict[str, str]]:
    """Return the headers of each role's requests."""
    roles = {"nobody": {}, "token": {"Authorization": f"Bearer {token()}"}}
    roles |= {level: {"Authorization": f"Bearer {text}", "X-API-Key": text} for level, text in KEYS.items()}
    for role in ("user", "staff", "admin"):
        session = await session_of(service, role)
        proof = service.services.people.form_token(session)
        roles[f"{role} session"] = {"Cookie": f"sessionid={session}", "X-CSRF-Token": proof}
    return roles


async def fuzz(
    service: Service, folder: Path, *more: str, config: str = CONFIGURED
) -> tuple[int, str, dict[str, dict[str, int]]]:
    """Run it; return its exit status, what it said, and how often each role had each status."""
    (folder / "schemathesis.toml").write_text(config)
    command = [sys.executable, Path(__file__).with_name("fuzzing.py"), "run", f"{service.url}/api/v1/openapi.json"]
    command += ["--checks", ",".join(CHECKS), "--seed", SEED, "--generation-database", "none"]
    command += ["--no-color", "--no-shrink", "--suppress-health-check", "all", "--warnings", "off", *more]
    command += ["--request-timeout", "120", "--wait-for-schema", "120"]  # on a busy machine the right answer is late
    counts = folder / "counts.json"
    roles = json.dumps(await roles_of(service))
    given = {"FUZZ_ROLES": roles, "FUZZ_THERE": json.dumps(THERE), "FUZZ_CHAINED": CHAINED}
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env={**os.environ, **given, "FUZZ_COUNTS": str(counts)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, output.decode(errors="replace"), json.loads(counts.read_text())


@pytest.fixture
async def service(start_service: Any) -> Service:
    started: Service = await start_service(desktop=[{}], access={"jwt": {"secret": SECRET}})
    await started.application(platforms=list(PLATFORMS))  # any that an example may name
    await started.publish(b"bytes", "1.0.0")
    receiver = {"url": "https://hooks.invalid/", "events": ["release.published"]}
    await started.call("POST", "/api/v1/webhooks", key="admin", json=receiver, status=201)
    return started


@pytest.mark.timeout(7_200)
@pytest.mark.parametrize(
    ("phases", "examples", "config"),
    [
        pytest.param("examples,coverage,fuzzing", FEW, CONFIGURED + BRIEFLY, id="short"),
        pytest.param(ALL, MANY, CONFIGURED, marks=pytest.mark.long, id="long"),
    ],
)
async def test_fuzzed(service: Service, tmp_path: Path, phases: str, examples: str, config: str) -> None:
    more = "--phases", phases, "--max-examples", examples
    status, output, counts = await fuzz(service, tmp_path, *more, config=config)
    print(output[-1500:], *counts.items(), sep="\n")
    assert status == 0, output[-20_000:]
    # Cases that never get past a refusal would prove little. A chain is of one role; a stranger may be refused always.
    asking = [CHAINED] if phases == "stateful" else counts.keys() - {"stranger"}
    answered = {role: sum(counts[role].get(status, 0) for status in ("200", "201", "204")) for role in asking}
    assert all(answered.values()), answered


async def test_what_is_broken_is_found(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: an answer with a field of another type, and a handler that fails."""
    answer = checks.check_answer
    monkeypatch.setattr(checks, "check_answer", lambda *given: {**answer(*given), "required": "no"})
    monkeypatch.setattr(checks, "offer_keys", lambda *_: 1 / 0)
    more = "--include-path-regex", "/(check|latest)$", "--phases", "examples,coverage"
    status, output, _ = await fuzz(service, tmp_path, *more)
    assert status == 1, output
    assert "Server error" in output
    assert "violates schema" in output
