"""A real site to deploy: a bare remote, a clone that pushes to it, a checkout, and a web service run from it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.ports import free_port

APP = """
import http.server, pathlib, sys
version = pathlib.Path("VERSION").read_text().strip()
if version.startswith("dies"):
    sys.exit("this version does not start")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(500 if version.startswith("sick") else 200)
        self.end_headers()
        self.wfile.write(version.encode())
    def log_message(self, *words):
        pass
pathlib.Path(sys.argv[2]).write_text(str(__import__("os").getpid()) + "\\n")
http.server.ThreadingHTTPServer.allow_reuse_address = True
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
# Ends the old process, waits until it is gone, starts the new one from what the checkout holds now.
RESTART = """#!/bin/sh
if [ -s {pid} ]; then
    read -r old <{pid}; kill -9 "$old" 2>/dev/null
    # Its parent may let it be a zombie for a while; with its last other thread it has let go of the port.
    while read -r _ _ state _ <"/proc/$old/stat" && [ "$state $(echo /proc/"$old"/task/*)" != "Z /proc/$old/task/$old" ]
    do sleep 0.02; done 2>/dev/null
    rm -f {pid}
fi
setsid {python} -S app.py {port} {pid} </dev/null >/dev/null 2>&1 &
"""
_IDENTITY = {
    "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.com", "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.com", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null",
}  # fmt: skip


def git(folder: Path, *words: str) -> str:
    """Run git as a developer would, with no guard at all."""
    done = subprocess.run(
        ("git", "-c", "protocol.file.allow=always", *words),
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **_IDENTITY},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"git {words}: {done.stderr}"
    return done.stdout.strip()


class Site:
    """Remote, developer's clone, checkout and running service, all below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.remote, self.work, self.checkout = folder / "remote.git", folder / "work", folder / "checkout"
        self.pid_file = folder / "app.pid"
        self.port = free_port()
        folder.mkdir(exist_ok=True)
        git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(self.remote))
        git(folder, "clone", "--quiet", str(self.remote), str(self.work))
        git(self.work, "checkout", "--quiet", "-B", "main")
        (self.work / "app.py").write_text(APP)
        self.first = self.push("one")
        git(folder, "clone", "--quiet", str(self.remote), str(self.checkout))
        restart = folder / "restart.sh"
        restart.write_text(RESTART.format(pid=self.pid_file, python=sys.executable, port=self.port))
        restart.chmod(0o755)
        self.restart = [str(restart)]

    def push(self, version: str, message: str | None = None, **files: str) -> str:
        """Commit and push a version, with more files if given; return its hash."""
        (self.work / "VERSION").write_text(version + "\n")
        for name, content in files.items():
            path = self.work / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        git(self.work, "add", "--all", "--force")
        git(self.work, "commit", "--quiet", "-m", message or f"Version {version}")
        git(self.work, "push", "--quiet", "--force", "origin", "HEAD:main")
        return git(self.work, "rev-parse", "HEAD")

    def record(self, **more: Any) -> dict[str, Any]:
        """Return settings for this site."""
        return {
            "id": "web",
            "path": str(self.checkout),
            "protocols": ["file"],
            "steps": [{"name": "dependencies", "command": ["true"], "timeout_s": 20}],
            "restart": {"command": self.restart, "timeout_s": 20},
            "health": {"url": f"http://127.0.0.1:{self.port}/health", "within_s": 4, "steady_s": 0},
            **more,
        }

    def start(self) -> None:
        """Start the service from the checkout, and wait until it answers."""
        subprocess.run(self.restart, cwd=self.checkout, check=True)
        for _ in range(200):
            if self.serving() is not None:
                return
            time.sleep(0.05)
        raise AssertionError("the service does not start")

    def serving(self) -> str | None:
        """Return the version that answers now: `one`, `500 sick`, or None."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return f"{error.code} {error.read().decode()}"
        except OSError:
            return None

    def head(self) -> str:
        """Return the commit of the checkout."""
        return git(self.checkout, "rev-parse", "HEAD")

    def clean(self) -> bool:
        """Say whether the checkout is exactly its commit, with nothing beside it."""
        return git(self.checkout, "status", "--porcelain", "--ignored") == ""

    def sleepers(self) -> list[int]:
        """Return the `sleep`s that began below this folder, whoever their parents are, and go on."""
        return [pid for pid in self._running() if (_read(pid, "comm") or "") == "sleep\n"]

    def stop(self) -> None:
        """End everything that runs below this folder: the service, and what a killed run left behind."""
        for _ in range(100):
            left = self._running()
            if not left:
                return
            for pid in left:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)

    def _running(self) -> list[int]:
        """Return the processes at work below this folder, and the runners of its runs; a zombie is none."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                runs = str(self.folder.parent) in (entry / "cmdline").read_text(errors="replace")
                if runs or (entry / "cwd").readlink().is_relative_to(self.folder):
                    found.append(int(entry.name))
        return found


def _read(pid: int, name: str) -> str | None:
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except OSError:
        return None
