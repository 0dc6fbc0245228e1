"""`updater doctor`: what could keep the service from working, a line each with its remedy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from updater.cli.exits import Exit
from updater.cli.operate import config_option, load_settings
from updater.cli.output import print_json, printable
from updater.errors import ConfigurationError

if TYPE_CHECKING:
    from updater.doctor.model import Finding
    from updater.settings import Settings

_COLOURS = {"ok": "green", "warning": "yellow", "error": "red"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@config_option
def doctor(config: Path | None, as_json: bool) -> None:
    """Look for what keeps the service from working, with remedies.

    Settings, data folder, free space, open files, port, clock, database, stored files, Redis, packages, public address
    with its certificate, deployments with their remotes. Nothing is changed. Run it as the user of the service.

    \f
    Raises:
        SystemExit: with status 1 when something is wrong; warnings alone end with 0.
    """
    from updater.doctor.model import State, error, good

    named = "the defaults" if config is None else str(config)
    found: list[Finding] = []

    def note(finding: Finding) -> None:
        found.append(finding)
        if not as_json:
            _print(finding)

    try:
        settings = load_settings(config)
    except ConfigurationError as failure:
        note(error("settings", str(failure), f"mend {named}, or the variable; config.example.yaml has all keys"))
    else:
        note(good("settings", named))
        asyncio.run(_examine(settings, note))
    if as_json:
        print_json({"findings": [each._asdict() for each in found]})
    wrong = sum(each.state is State.ERROR for each in found)
    doubtful = sum(each.state is State.WARNING for each in found)
    if not as_json:
        click.echo(f"{wrong} wrong, {doubtful} doubtful, {len(found) - wrong - doubtful} well")
    if wrong:
        raise SystemExit(Exit.FAILURE)


async def _examine(settings: Settings, note: Callable[[Finding], None]) -> None:
    from updater.doctor.service import examine
    from updater.logs import warnings_beside

    with warnings_beside():
        async for finding in examine(settings):
            note(finding)


def _print(finding: Finding) -> None:
    state = click.style(f"{finding.state.value:<8}", fg=_COLOURS[finding.state.value])
    click.echo(f"{state}{finding.subject:<18}{printable(finding.seen)}")
    if finding.remedy:
        click.echo(f"{'':<26}-> {printable(finding.remedy)}")
