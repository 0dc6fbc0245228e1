"""The client can be taken into an application without the server coming along."""

from __future__ import annotations

import json
import subprocess
import sys


def test_importing_the_client_brings_no_other_room_and_no_server_library() -> None:
    code = "import sys, json, updater.client; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    modules = json.loads(run.stdout)
    rooms = {name.split(".")[1] for name in modules if name.startswith("updater.")}
    assert rooms == {"client"}
    assert {"sqlalchemy", "yaml", "click", "rich", "marshmallow", "structlog"}.isdisjoint(modules)
