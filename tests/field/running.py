"""The drivers, run as processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
DRIVEN_S = 120  # a second or two, on a machine that has nothing else to do


def run(command: list[str], cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with more of an environment."""
    full = {**os.environ, **environment}
    return subprocess.run(command, cwd=cwd, env=full, capture_output=True, text=True, timeout=DRIVEN_S)


def told(command: list[str], **environment: str) -> dict[str, Any]:
    """Run a driver to its end; return the JSON of its last line."""
    ran = run(command, None, **environment)
    assert ran.stdout.strip(), f"{command[:2]} said nothing: {ran.stderr[-3000:]}"
    answer: dict[str, Any] = json.loads(ran.stdout.strip().splitlines()[-1])
    return answer


def drive_python(driver: str, asked: dict[str, Any], **environment: str) -> dict[str, Any]:
    """Run a driver in Python; return what it told."""
    return told([sys.executable, str(HERE / "drivers" / driver), json.dumps(asked)], **environment)
