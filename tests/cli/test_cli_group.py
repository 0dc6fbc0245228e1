"""The group itself: quick, complete, and honest about each command."""

from __future__ import annotations

import json
import subprocess
import sys

import click
import pytest

from updater import __version__
from updater.cli import COMMANDS, main
from updater.cli.exits import MEANINGS, Exit


def _loaded_by(*words: str) -> set[str]:
    code = (
        "import sys, json\nfrom updater.cli import main\n"
        "try: main(sys.argv[1:], prog_name='updater')\n"
        "except SystemExit: print('\\n' + json.dumps(sorted(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    return set(json.loads(run.stdout.splitlines()[-1]))


def test_help_imports_no_command_and_no_network_library() -> None:
    loaded = _loaded_by("--help")
    assert {"aiohttp", "rich", "asyncio", "sqlalchemy"}.isdisjoint(loaded)
    assert not {target.place.partition(":")[0] for target in COMMANDS.values()} & loaded


def test_a_commands_help_does_not_import_rich() -> None:
    assert "rich" not in _loaded_by("publish", "--help")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_fits_the_command(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert command.name == name
    assert command.get_short_help_str(100) == COMMANDS[name].summary.rstrip(".") + "."


def test_every_exit_status_is_documented() -> None:
    assert set(MEANINGS) == set(Exit)
    run = subprocess.run([sys.executable, "-m", "updater", "--help"], capture_output=True, text=True, check=True)
    for code, meaning in MEANINGS.items():
        assert f"{code.value:>3}  {meaning}" in run.stdout


def test_the_version_is_the_packages() -> None:
    run = subprocess.run([sys.executable, "-m", "updater", "--version"], capture_output=True, text=True, check=True)
    assert __version__ in run.stdout


def test_asking_the_running_service_imports_none_of_it() -> None:
    code = "import sys, updater.cli.operate, updater.processes.folder, updater.config; print(' '.join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"updater.app", "updater.web", "sqlalchemy"}.isdisjoint(run.stdout.split())
