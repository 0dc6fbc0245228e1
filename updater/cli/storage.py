"""`updater verify`, `collect`, `retain` and `migrate-blobs`: look after stored files and releases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from updater.cli.exits import Exit
from updater.cli.operate import config_option, operate
from updater.cli.output import print_json

CONFIGURED = "configured"


@click.command()
@click.option("--sample", type=click.FloatRange(0, 1, min_open=True), default=1.0, help="Share of blobs to check.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@config_option
def verify(sample: float, as_json: bool, config: Path | None) -> None:
    """Hash stored files again; quarantine what is wrong. Ends with status 9 when something is.

    \f
    Raises:
        SystemExit: with status 9 as above, or that of the failure.
    """
    with counting_bar("verifying") as on_progress:
        outcome = operate(config, "verify", on_progress=on_progress, sample=sample)
    if as_json:
        print_json(outcome)
    else:
        click.echo(f"{outcome['checked']} checked, {len(outcome['bad'])} damaged")
        remedy = "quarantined; publish the same file again, or restore it and verify"
        name_damage(outcome["bad"], outcome.get("files", ()), remedy)
    if outcome["bad"]:
        raise SystemExit(Exit.DIGEST_MISMATCH)


@click.command()
@click.option("--confirm-clock", is_flag=True, help="The clock is right: go on by it from now on.")
@click.option("--grace-s", type=click.FloatRange(min=0), help="Keep what was used within this many seconds.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@config_option
def collect(grace_s: float | None, confirm_clock: bool, as_json: bool, config: Path | None) -> None:
    """Remove stored files that no build uses. Safe while the service runs.

    \f
    Raises:
        SystemExit: with status 6 when the clock is not believed, 8 when the database or the store does not answer.
    """
    outcome = operate(config, "collect", grace_s=grace_s, confirm_clock=confirm_clock or None)
    if as_json:
        print_json(outcome)
    else:
        click.echo(f"{len(outcome['removed'])} removed")


@click.command()
@click.option("--confirm-clock", is_flag=True, help="The clock is right: go on by it from now on.")
@click.option("--dry-run", is_flag=True, help="Name them, remove nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@config_option
def retain(dry_run: bool, confirm_clock: bool, as_json: bool, config: Path | None) -> None:
    """Remove releases that the settings do not keep.

    The latest release of each platform and every stepping stone stay. The service does the same each day. Stored
    files go with the next collection.

    \f
    Raises:
        SystemExit: with status 6 when the clock is not believed, 8 when the database does not answer.
    """
    outcome = operate(config, "retain", dry_run=dry_run, confirm_clock=confirm_clock or None)
    if as_json:
        print_json(outcome)
        return
    if not outcome["configured"]:
        click.echo("retention.keep_releases and retention.keep_days are not set: everything is kept", err=True)
    for each in outcome["removed"]:
        click.echo(f"{each['application']} {each['version']}")
    click.echo(f"{len(outcome['removed'])} {'would be removed' if dry_run else 'removed'}")


@click.command("migrate-blobs")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@config_option
def migrate_blobs(source: str, target: str, as_json: bool, config: Path | None) -> None:
    """Copy stored files to another store, verified.

    Each store is `local`, `configured`, which is storage.blob_url of the settings, or an address as it would be
    there, such as s3://bucket/prefix; what it leaves out comes from this command's environment. Safe while the
    service runs, and to be run again after an interruption: what is there already is left alone. Then set
    storage.blob_url, restart, and run it once more for what was published in between. Ends with status 9 when a
    stored file is damaged.

    \f
    Raises:
        ClickException: the settings cannot be used.
        SystemExit: with status 9 as above, 7 when a store cannot be used, 8 when it does not answer.
    """
    source, target = (_resolve(each, config) for each in (source, target))
    with counting_bar("copying") as on_progress:
        outcome = operate(config, "blobs.migrate", on_progress=on_progress, source=source, target=target)
    if as_json:
        print_json(outcome)
    else:
        click.echo(f"{outcome['copied']} copied, {len(outcome['bad'])} damaged")
        for digest in outcome["bad"]:
            click.echo(f"  {digest}: not copied; publish the same file again", err=True)
    if outcome["bad"]:
        raise SystemExit(Exit.DIGEST_MISMATCH)


def _resolve(where: str, config: Path | None) -> str:
    """Return a store's address with what this command's environment adds: the service has another environment."""
    from updater.artifacts.location import LOCAL, complete
    from updater.config import load
    from updater.errors import ConfigurationError

    try:
        named = load(config).storage.blob_url or LOCAL if where == CONFIGURED else where
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from None
    try:
        return named if named == LOCAL else complete(named)
    except ValueError:
        return named  # the operation says what is wrong


def name_damage(digests: Iterable[str], files: Iterable[dict[str, str]], said: str) -> None:
    """Print what is wrong with stored files on stderr: each by its digest and by the files that have it."""
    names: dict[str, list[str]] = {}
    for each in files:
        form = "{application} {version} {platform}/{architecture} {name}" if each["version"] else "{application} {name}"
        text = form.format_map(each)
        names.setdefault(each["digest"], []).append(text)
    for digest in digests:
        click.echo(f"  {digest}: {said}", err=True)
        for name in names.get(digest, ["nothing uses this file"]):
            click.echo(f"    {name}", err=True)


@contextmanager
def counting_bar(label: str) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Show `done` of `total` on stderr for the block; nothing is shown when stderr is no terminal.

    Gives the function to call with each event, in the order of the events.
    """
    import sys

    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=Console(stderr=True)
    ) as bar:
        task = bar.add_task(label, total=None)
        yield lambda event: bar.update(task, completed=event["done"], total=event.get("total"))
