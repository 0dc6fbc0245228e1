"""updater updates itself: version A runs from a checkout, B is pushed and applied through `/api/system/update/execute`.

The transcript is printed; `pytest -rP` shows it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientConnectionError, ClientPayloadError, ClientSession, ClientTimeout

from tests.deployments.site import git
from tests.ports import free_port

ROOT = Path(__file__).parent.parent.parent
KEY = "key-of-the-one-who-looks-0123456789"
PASSWORD = b"correct horse battery\n"
# Does what a supervisor does: ends the old process, by force when it does not heed the asking, waits until it is gone,
# and starts the new one from what the checkout holds now.
RESTART = """#!/bin/sh
if [ -s {pid} ]; then
    read -r old <{pid}; kill "$old" 2>/dev/null
    waited=0
    # Its parent may let it be a zombie for a while; with its last other thread it has let go of port and folder.
    while read -r _ _ state _ <"/proc/$old/stat" && [ "$state $(echo /proc/"$old"/task/*)" != "Z /proc/$old/task/$old" ]
    do
        sleep 0.05
        waited=$((waited + 1))
        [ "$waited" = 200 ] && kill -9 "$old"
    done 2>/dev/null
fi
cd {checkout} || exit 1
PYTHONDONTWRITEBYTECODE=1 setsid {python} -m updater serve --config {config} </dev/null >>{log} 2>&1 &
echo $! >{pid}
"""


class Installation:
    """updater in a checkout, looking after itself."""

    def __init__(self, folder: Path, database_url: str | None) -> None:
        self.folder = folder
        self.database_url = database_url
        self.remote, self.work, self.checkout = folder / "remote.git", folder / "work", folder / "checkout"
        self.pid_file, self.log, self.config = folder / "updater.pid", folder / "updater.log", folder / "updater.yaml"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(self.remote))
        git(folder, "clone", "--quiet", str(self.remote), str(self.work))
        git(self.work, "checkout", "--quiet", "-B", "main")
        shutil.copytree(ROOT / "updater", self.work / "updater", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("setup.cfg", "pyproject.toml", "README.md", ".gitignore"):
            shutil.copy(ROOT / name, self.work / name)
        self.first = self.push("100.0.0")
        git(folder, "clone", "--quiet", str(self.remote), str(self.checkout))
        self._write_files()

    def _write_files(self) -> None:
        restart = self.folder / "restart.sh"
        restart.write_text(
            RESTART.format(
                pid=self.pid_file, checkout=self.checkout, python=sys.executable, config=self.config, log=self.log
            )
        )
        restart.chmod(0o755)
        compile_all = [sys.executable, "-c", "import ast, pathlib\nfor f in pathlib.Path('updater').rglob('*.py'):"
                       " ast.parse(f.read_text())\nprint('every file is Python')"]  # fmt: skip
        settings = {
            "server": {"port": self.port, "drain_s": 5},
            "storage": {"root": str(self.folder / "storage"), "database_url": self.database_url},
            "access": {"api_keys": [{"name": "looker", "key": KEY, "permissions": ["read"]}]},
            "deployments": [
                {
                    "id": "updater",
                    "path": str(self.checkout),
                    "protocols": ["file"],
                    "steps": [{"name": "dependencies", "command": compile_all, "timeout_s": 60}],
                    "restart": {"command": [str(restart)], "timeout_s": 60},
                    "health": {"url": f"{self.url}/health", "within_s": 30, "steady_s": 1},
                }
            ],
        }
        self.config.write_text(json.dumps(settings))  # JSON is YAML
        self.restart = str(restart)

    def push(self, version: str, **replacements: tuple[str, str]) -> str:
        """Commit and push a version; `app=(old, new)` also changes updater/app.py. Return its hash."""
        changes = {"__init__": (r'__version__ = ".*"', f'__version__ = "{version}"'), **replacements}
        for module, (old, new) in changes.items():
            path = self.work / "updater" / f"{module}.py"
            text, count = re.subn(old, new, path.read_text(), count=1)
            assert count == 1
            path.write_text(text)
        git(self.work, "add", "--all")
        git(self.work, "commit", "--quiet", "-m", f"Version {version}")
        git(self.work, "push", "--quiet", "origin", "HEAD:main")
        return git(self.work, "rev-parse", "HEAD")

    async def start(self) -> None:
        """Start what the checkout holds, as the restart does, and wait until it answers."""
        process = await asyncio.create_subprocess_exec(self.restart)
        assert await process.wait() == 0
        async with asyncio.timeout(60):
            while await self.version() is None:
                await asyncio.sleep(0.1)

    async def run(self, *words: str, stdin: bytes = b"") -> str:
        """Run a command of the installation; return what it printed."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "updater", *words, "--config", str(self.config)),
            cwd=self.checkout,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate(stdin)
        assert process.returncode == 0, err.decode()
        return out.decode().strip()

    async def version(self) -> str | None:
        """Ask `/health` for the version; None when the service does not answer."""
        headers = {"Authorization": f"Bearer {KEY}"}
        with contextlib.suppress(ClientConnectionError, TimeoutError):
            async with (
                ClientSession(timeout=ClientTimeout(total=5)) as session,
                session.get(f"{self.url}/health", headers=headers) as answer,
            ):
                return str((await answer.json())["version"])
        return None

    @property
    def pid(self) -> int:
        return int(self.pid_file.read_text())

    def stop(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            os.kill(self.pid, signal.SIGKILL)


@pytest.fixture
async def installation(tmp_path: Path, database_url: str | None) -> AsyncIterator[Installation]:
    installation = Installation(tmp_path, database_url)
    try:
        await installation.start()
        yield installation
    finally:
        installation.stop()
        print(f"--- log of the service\n{installation.log.read_text()[-3000:]}")


async def follow(installation: Installation, cookie: dict[str, str], run: str) -> list[dict[str, Any]]:
    """Follow a run by server-sent events as a browser does: connect again and go on where it was cut."""
    events: list[dict[str, Any]] = []
    connections = 0
    async with asyncio.timeout(100), ClientSession(headers=cookie) as session:
        while not events or events[-1]["kind"] != "end":
            connections += 1
            last = {"Last-Event-ID": str(events[-1]["number"])} if events else {}
            try:
                events_of = f"{installation.url}/api/v1/deployments/updater/runs/{run}/events"
                async with session.get(events_of, headers=last) as answer:
                    assert answer.status == 200
                    async for line in answer.content:
                        if line.startswith(b'data: {"number"'):
                            events.append(json.loads(line[6:]))
            except (ClientConnectionError, ClientPayloadError):
                pass
            await asyncio.sleep(0.1)
    print(f"--- events of {run}, by {connections} connections")
    for event in events:
        print(" ".join(str(value) for name, value in event.items() if name != "number" and value not in (None, "")))
    return events


async def update_itself(installation: Installation) -> tuple[dict[str, Any], dict[str, Any], float]:
    """Apply what was pushed; return the last event, the update, and for how long the service did not answer."""
    await installation.run("user", "create", "anna", "--role", "admin", "--password-stdin", stdin=PASSWORD)
    cookie = {"Cookie": f"sessionid={await installation.run('user', 'session', 'anna', '--minutes', '5')}"}
    async with ClientSession(headers=cookie) as session:
        async with session.get(f"{installation.url}/api/system/update/check") as answer:
            print("GET /api/system/update/check", answer.status, await answer.text())
        async with session.post(f"{installation.url}/api/system/update/execute") as answer:
            print("POST /api/system/update/execute", answer.status, await answer.text())
            assert answer.status == 200
        async with session.get(f"{installation.url}/api/v1/deployments/updater") as answer:
            run = (await answer.json())["running"]
    outage = asyncio.create_task(measure_outage(installation))
    events = await follow(installation, cookie, run)
    assert [event["number"] for event in events] == list(range(1, len(events) + 1)), "none is lost, none comes twice"
    outage.cancel()
    longest_s = await outage
    print(f"--- longest time without an answer: {longest_s:.2f} s")
    async with asyncio.timeout(20):
        while (found := json.loads(await installation.run("deployment", "log", "--json")))["total_count"] == 0:
            await asyncio.sleep(0.2)
    return events[-1], found, longest_s


async def measure_outage(installation: Installation) -> float:
    """Return the longest time in which the service did not answer; ends when it is cancelled."""
    loop = asyncio.get_running_loop()
    longest_s, answered_at = 0.0, loop.time()
    try:
        while True:
            if await installation.version() is not None:
                longest_s, answered_at = max(longest_s, loop.time() - answered_at), loop.time()
            await asyncio.sleep(0.05)
    except asyncio.CancelledError:
        return longest_s


async def test_it_updates_itself(installation: Installation) -> None:
    assert await installation.version() == "100.0.0"
    before = installation.pid
    newer = installation.push("100.0.1")
    end, log, _ = await update_itself(installation)
    assert end["outcome"] == "succeeded"
    assert await installation.version() == "100.0.1"
    assert installation.pid != before
    assert git(installation.checkout, "rev-parse", "HEAD") == newer
    assert not Path(f"/proc/{before}/exe").exists()
    assert any(line["component"] == "restart" for line in log["logs"])


_FIRST = "from __future__ import annotations\n"
BROKEN = {
    "does not start": {"app": (_FIRST, _FIRST + 'raise SystemExit("this version is broken")\n')},
    "starts and never answers": {"app": (r"await runner\.setup\(\)", "await asyncio.sleep(600)")},
    "cannot be read": {"app": (_FIRST, _FIRST + "this is no Python\n")},
}


@pytest.mark.parametrize(
    "how", [pytest.param(each, marks=pytest.mark.long if "never" in each else ()) for each in BROKEN]
)
async def test_a_broken_version_ends_on_the_old_one(installation: Installation, how: str) -> None:
    installation.push("100.0.2", **BROKEN[how])
    if how != "cannot be read":
        # What never answers is given up sooner here than a production would.
        text = installation.config.read_text().replace('"within_s": 30', '"within_s": 8')
        installation.config.write_text(text)
        await installation.start()
    end, log, _ = await update_itself(installation)
    assert end["outcome"] == "restored"
    assert end["failed_step"] == ("dependencies" if how == "cannot be read" else "health")
    assert await installation.version() == "100.0.0"
    assert git(installation.checkout, "rev-parse", "HEAD") == installation.first
    assert any(line["level"] == "error" for line in log["logs"])
    assert any(installation.first in line["message"] for line in log["logs"])
