"""The first admin key: made and shown when the service listens, so that a start that fails takes none with it.

Controls: a key that is made before the port is opened, and a start that makes none.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from urllib.request import Request, urlopen

KEY = re.compile(r"admin key \(shown only now\): (upd_[A-Za-z0-9_-]{43})")


def start(folder: Path, port: int) -> subprocess.Popen[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": ":".join(sys.path),
        "UPDATER_STORAGE__ROOT": str(folder / "data"),
        "UPDATER_SERVER__PORT": str(port),
    }
    words = (sys.executable, "-m", "updater", "serve")
    return subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)


def test_the_first_key_is_shown_when_the_service_listens(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with start(tmp_path, port) as refused:
            said = refused.communicate(timeout=60)[1]
        assert refused.returncode == 1
        assert "cannot listen" in said
        assert not KEY.search(said)
    with start(tmp_path, port) as service:
        try:
            assert service.stderr is not None
            lines = []
            for line in service.stderr:
                lines.append(line)
                if line.startswith("listening on"):
                    break
            found = KEY.search("".join(lines))
            assert found
            bearer = {"Authorization": f"Bearer {found[1]}"}
            with urlopen(Request(f"http://127.0.0.1:{port}/api/v1/applications", headers=bearer), timeout=10) as answer:
                assert answer.status == 200
        finally:
            service.terminate()
            service.communicate(timeout=60)
