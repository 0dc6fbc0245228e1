"""`updater retain`, in the command's own process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.actors import TESTER
from tests.conftest import settings_tree
from tests.databases import place_folder
from updater.operations import OPERATIONS


def run(root: Path, *words: str, **sections: Any) -> tuple[int, str, str]:
    environment = {**os.environ, **settings_tree(root, **sections)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "updater", *words], env=environment, capture_output=True, text=True
    )
    return done.returncode, done.stdout, done.stderr


def test_nothing_goes_without_a_rule(tmp_path: Path) -> None:
    status, out, err = run(place_folder(tmp_path / "storage"), "retain")
    assert (status, out) == (0, "0 removed\n")
    assert "everything is kept" in err


async def test_a_dry_run_removes_nothing(start_service: Any) -> None:
    service = await start_service(retention={"keep_releases": 1})
    await service.application()
    for version in ("1.0.0", "1.1.0"):
        await service.publish(version.encode(), version)
    outcomes = [
        [event async for event in OPERATIONS["retain"](service.services, TESTER, dry_run=dry_run)][-1]["result"]
        for dry_run in (True, True, False, False)
    ]
    gone = [{"application": "my-app", "version": "1.0.0"}]
    assert [each["removed"] for each in outcomes] == [gone, gone, gone, []]
