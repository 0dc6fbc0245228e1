"""The client can be taken into an application without the server coming along."""

from __future__ import annotations

import json
import subprocess
import sys


def test_importing_the_client_brings_nothing_of_the_server_and_no_server_library() -> None:
    code = "import sys, json, updater_client; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    modules = json.loads(run.stdout)
    assert "updater" not in {name.split(".")[0] for name in modules}
    assert {"sqlalchemy", "yaml", "click", "rich", "marshmallow", "structlog"}.isdisjoint(modules)
