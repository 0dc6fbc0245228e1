"""`updater serve` as a process of its own, on a data folder of the test."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

START_S = 60
COMMAND = (sys.executable, "-m", "updater")


def environment(root: Path | str, **more: str) -> dict[str, str]:
    """Return the environment of a command on this data folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("UPDATER_")}
    return {**kept, "UPDATER_STORAGE__ROOT": str(root), "UPDATER_SERVER__PORT": "0", **more}


def run(root: Path | str, *words: object, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; `serve` ends by itself only when it does not start."""
    command = [*COMMAND, *map(str, words)]
    return subprocess.run(command, env=environment(root, **more), capture_output=True, text=True, timeout=START_S)


@contextmanager
def serving(root: Path | str, *, command: tuple[str, ...] = COMMAND, **more: str) -> Iterator[tuple[str, str | None]]:
    """Run the service for the block; give its address and the admin key that it made, if it did."""
    process = subprocess.Popen(
        [*command, "serve"], env=environment(root, **more), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    said, url = "", None
    awaits_key = not (Path(root) / "secret").exists()
    try:
        for line in process.stderr:
            said += line
            if line.startswith("listening on "):
                url = line.split()[-1]
            if url is not None and (not awaits_key or "upd_" in said):
                break
        assert url is not None, said
        key = re.search(r"upd_\S+", said)
        yield url, key[0] if key else None
    finally:
        process.terminate()
        process.communicate(timeout=START_S)


def call(url: str, method: str = "GET", body: Any = None, key: str | None = None) -> tuple[int, bytes]:
    """Send one request; return status and body. JSON, unless the body is bytes."""
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    headers = {"Content-Type": "application/octet-stream" if isinstance(body, bytes | None) else "application/json"}
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    request = urllib.request.Request(url, data=data, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()
