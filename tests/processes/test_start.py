"""What a start loads: nothing that only some services or some requests need."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.databases import place_folder
from tests.processes.serving import START_S, environment

# Each would cost every service MiB and tenths of a second. What needs one imports it where it does.
UNWANTED = {
    *(
        "alembic",
        "apispec",
        "argon2",
        "asyncpg",
        "cryptography",
        "hypothesis",
        "jinja2",
        "jwt",
        "limits",
        "markdown_it",
    ),
    *("maxminddb", "numpy", "obstore", "pygal", "pygments", "pytest", "redis", "rich", "sqlalchemy.orm"),
    *("stringprep", "xml.dom.minidom", "xml.etree.ElementTree", "updater.web.docs.openapi"),
    *("updater.web.api.answer_schemas", "updater.web.api.schemas"),
    *(f"updater.web.{each}.routes" for each in ("api", "dashboard", "desktop", "feeds", "system", "tus", "updates")),
    *("updater.database.postgres", "updater.database.moving", "updater.backups.make", "updater.backups.restore"),
}
_CODE = """
import atexit, json, pathlib, sys
from updater.cli import main
atexit.register(lambda: pathlib.Path(sys.argv[1]).write_text(json.dumps(sorted(sys.modules))))
main(["serve"], prog_name="updater")
"""


def loaded(folder: Path, *paths: str) -> set[str]:
    """Start the service, ask it for these paths, end it; return the modules that it had imported."""
    command = [sys.executable, "-c", _CODE, str(folder / "modules")]
    root = folder / "data"
    with subprocess.Popen(command, env=environment(root), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        url = next(line.split()[-1] for line in process.stderr if line.startswith("listening on "))
        for path in paths:
            urllib.request.urlopen(url + path, timeout=START_S).read()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=START_S)
    return set(json.loads((folder / "modules").read_text()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place_folder(tmp_path / "data")
    return tmp_path


def test_a_start_loads_nothing_that_few_need(folder: Path) -> None:
    modules = loaded(folder, "/health")
    assert sorted(UNWANTED & modules) == []
    assert {"updater.app", "sqlalchemy", "structlog", "aiohttp.web"} <= modules


def test_the_first_page_loads_what_pages_need(folder: Path) -> None:
    """The control: what is not there at the start is seen here."""
    modules = loaded(folder, "/admin/sign-in/")
    assert sorted(UNWANTED & modules) == ["jinja2", "updater.web.dashboard.routes", "xml.etree.ElementTree"]
