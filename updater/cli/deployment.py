"""`updater deployment`: bring a managed checkout up to date, or back, and see how that goes.

A run is followed through its files: it goes on, and its output too, while the service it restarts is away.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from updater.cli.exits import Exit
from updater.cli.operate import config_option, operate
from updater.cli.output import print_json, print_rows, print_table, printable

if TYPE_CHECKING:
    from updater.deployments.journal import RunFolder

_PATIENCE_S = 15.0
# How long a command waits until the database has a run that is over: what comes next may build on it.
_RECORD_S = 5.0
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
_id = click.argument("deployment_id", metavar="[ID]", required=False)
_update = click.option("--update", type=int, help="The update's id.")
_background = click.option("--background", is_flag=True, help="Return as soon as it is on its way.")


@click.group()
def deployment() -> None:
    """Update the checkouts this server looks after. ID is a deployment; without it, the first one."""


@deployment.command()
@_id
@_json
@config_option
def check(deployment_id: str | None, as_json: bool, config: Path | None) -> None:
    """Ask the remote for newer commits. Ends with status 3 when there are none.

    \f
    Raises:
        SystemExit: with status 3 as above, 5 when there is no such deployment, 8 when git does not answer.
    """
    found = operate(config, "deployment.check", deployment=deployment_id)
    if as_json:
        print_json(found)
    else:
        print_rows([(name, found[name]) for name in ("deployment", "branch", "current", "latest")])
        for warning, text in (("local_changes", "has local changes"), ("diverged", "has left the remote's history")):
            if found[warning]:
                click.echo(f"the checkout {text}: an update will be refused", err=True)
        if found["commits"]:
            rows = [(each["hash"][:12], each["date"], each["message"]) for each in found["commits"]]
            print_table(("commit", "date", "message"), rows)
    if not found["has_update"]:
        raise SystemExit(Exit.NO_UPDATE)


@deployment.command()
@_id
@_update
@_background
@_json
@config_option
def apply(deployment_id: str | None, update: int | None, background: bool, as_json: bool, config: Path | None) -> None:
    """Bring a deployment to the newest version, and back when that fails. Ends with status 1 when it failed.

    \f
    Raises:
        ClickException: the run was interrupted.
        SystemExit: with status 1 as above, 6 when a run or other work is going on, 5 when there is no such update.
    """
    started = operate(config, "deployment.apply", deployment=deployment_id, update=update)
    _watch(started, background=background, as_json=as_json)


@deployment.command()
@_id
@_update
@_background
@_json
@config_option
def rollback(
    deployment_id: str | None, update: int | None, background: bool, as_json: bool, config: Path | None
) -> None:
    """Take the newest applied update back.

    \f
    Raises:
        ClickException: the run was interrupted.
        SystemExit: with status 1 when it failed, 6 when nothing can be taken back, 5 when there is no such update.
    """
    started = operate(config, "deployment.rollback", deployment=deployment_id, update=update)
    _watch(started, background=background, as_json=as_json)


@deployment.command()
@_id
@click.option("--level", type=click.Choice(["info", "warning", "error", "critical"]), help="Only this level.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many lines.")
@_json
@config_option
def log(deployment_id: str | None, level: str | None, limit: int, as_json: bool, config: Path | None) -> None:
    """Show the newest lines of the log, over all runs.

    \f
    Raises:
        SystemExit: with status 5 when there is no such deployment.
    """
    found = operate(config, "deployment.log", deployment=deployment_id, level=level, limit=limit)
    if as_json:
        print_json(found)
    else:
        for each in found["logs"]:
            _print_line(each["timestamp"], each["level"], each["component"], each["message"])


@deployment.command()
@click.argument("deployment_id", metavar="ID")
@click.option("--version", required=True, help="What the version is called.")
@click.option("--ref", help="A tag, a branch or a commit.  [default: the head of the branch]")
@click.option("--title", help="One line for people.")
@click.option("--description", default="", help="What it brings.")
@click.option("--irreversible", is_flag=True, help="It cannot be rolled back by hand.")
@_json
@config_option
def announce(deployment_id: str, as_json: bool, config: Path | None, **given: Any) -> None:
    """Record an update of deployment ID; print its new id.

    \f
    Raises:
        SystemExit: with status 5 when there is no such deployment, 7 for a wrong value, 6 when it is recorded.
    """
    made = operate(config, "deployment.announce", deployment=deployment_id, **given)
    if as_json:
        print_json(made)
    else:
        click.echo(made["id"])


def _watch(started: dict[str, str], *, background: bool, as_json: bool) -> None:
    """Print a run's events until it has ended; fail when it has."""
    if background:
        if as_json:
            print_json({"run": started["run"]})
        else:
            click.echo(started["run"])
        return
    state = asyncio.run(_follow(Path(started["folder"]), quiet=as_json))
    if as_json:
        print_json({"run": started["run"], **({} if state is None else state)})
    if state is None or state["outcome"] == "running":
        raise click.ClickException(
            f"run {started['run']} was interrupted; the service brings it to its end when it starts"
        )
    if state["outcome"] != "succeeded":
        raise SystemExit(Exit.FAILURE)


async def _follow(path: Path, *, quiet: bool) -> dict[str, Any] | None:
    from updater.deployments.journal import RunFolder, follow, list_states

    folder, number, idle_s = RunFolder(path), 0, 0.0
    # Between the end of one process and the start of the next, no process carries the run out; it is not at its end.
    while idle_s < _PATIENCE_S:
        async for event in follow(folder, number):
            number, idle_s = event.number, 0.0
            if event.kind == "log" and not quiet:
                moment = event.to_tree()["at"]
                _print_line(moment, event.data["level"], event.data["component"], event.data["message"])
        states = list_states([folder])
        if states and states[0].finished:
            await _until_recorded(folder)
            return states[0].to_tree()
        await asyncio.sleep(0.5)
        idle_s += 0.5
    states = list_states([folder])
    return states[0].to_tree() if states else None


def _print_line(moment: str, level: str, component: str | None, message: str) -> None:
    shown = f"{moment[:10]} {moment[11:19]}Z {component or '-':<12} {printable(message)}"
    click.echo(shown if level == "info" else f"{shown}  [{level}]")


async def _until_recorded(folder: RunFolder) -> None:
    """Wait until the service that watches a run, if one does, has recorded its end: the next command builds on it."""
    waited_s = 0.0
    while waited_s < _RECORD_S and folder.path.exists():
        watch = folder.try_watch()
        if watch is not None:
            os.close(watch)
            return
        await asyncio.sleep(0.05)
        waited_s += 0.05
