"""Schemathesis against the real service, once per role: no 5xx, and nothing the document does not say.

Four cases per operation and phase, and not every phase for every role; the long run has all phases and 100 cases
(`FUZZ_EXAMPLES` sets another number, `FUZZ_SEED` the seed). Control: with 422 taken out of `check_for_update` in the
document, or an `assert` in a handler, it fails.

`positive_data_acceptance` is left out: what a version is depends on the application, and a schema cannot say so.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import KEYS
from updater.catalog.platforms import PLATFORMS

FEW, MANY = "4", os.environ.get("FUZZ_EXAMPLES", "100")
SEED = os.environ.get("FUZZ_SEED", "20261120")
# Coverage takes most of the time; in a short run the two roles that differ most go through it.
SHORT, WHOLE = "examples,fuzzing", "examples,coverage,fuzzing,stateful"
PHASES = {"nobody": "examples,coverage", "read": SHORT, "write": "examples,coverage,fuzzing", "admin": SHORT}
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

# It knows how to write bytes, and has to be told that pieces of uploads are some.
# 412 and 460 are how tus refuses a header.
CONFIGURED = (
    "[checks]\nnegative_data_rejection.expected-statuses = "
    "[400, 401, 403, 404, 405, 406, 409, 412, 415, 422, 428, 429, 460, '5xx']\n"
)
PROGRAM = (
    "import schemathesis; from schemathesis.cli import schemathesis as main; "
    "schemathesis.serializer.alias('application/offset+octet-stream', 'application/octet-stream'); main()"
)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("role", "phases", "examples"),
    [
        *((role, phases, FEW) for role, phases in PHASES.items()),
        *(pytest.param(role, WHOLE, MANY, marks=pytest.mark.long) for role in PHASES),
    ],
)
async def test_fuzzed(start_service: Any, tmp_path: Path, role: str, phases: str, examples: str) -> None:
    service = await start_service(desktop=[{}])
    await service.application(platforms=list(PLATFORMS))  # any that an example may name
    await service.publish(b"bytes", "1.0.0")
    (tmp_path / "schemathesis.toml").write_text(CONFIGURED)
    command = [sys.executable, "-c", PROGRAM, "run"]
    command += [f"{service.url}/api/v1/openapi.json", "--checks", ",".join(CHECKS), "--max-examples", examples]
    command += ["--seed", SEED, "--no-color", "--no-shrink", "--suppress-health-check", "all", "--warnings", "off"]
    command += ["--phases", phases, "--generation-database", "none"]
    if role != "nobody":
        command += ["--header", f"Authorization: Bearer {KEYS[role]}", "--header", f"X-API-Key: {KEYS[role]}"]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, output.decode(errors="replace")[-12_000:]
    # Cases that never get past a 404 would prove little.
    reached = (await service.exchange("GET", "/metrics"))[1].decode()
    wanted = {"nobody": "/check", "read": "/releases", "write": "/register", "admin": "/applications/{app_id}"}[role]
    # 409 too passed every check of the body: another example of the same run took the coordinate first.
    statuses = ("201", "409") if role == "write" else ("200",)
    expected = [f'{wanted}",status="{status}"' for status in statuses]
    assert any(each in reached for each in expected), reached
