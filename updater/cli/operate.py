"""Run an operation of `updater.operations`: here when the data folder is free, else in the running service.

An embedded database has one writing process. These commands need the rights of the data folder's owner and no key.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from updater.cli.exits import Exit
from updater.errors import ConfigurationError, Failure

if TYPE_CHECKING:
    from updater.operations import Scope
    from updater.settings import Settings

config_option = click.option(
    "--config",
    envvar="UPDATER_CONFIG",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The settings file (also UPDATER_CONFIG); defaults hold without one.",
)
Event = dict[str, Any]
OnProgress = Callable[[Event], None]
_EXITS = {
    "Invalid": Exit.INVALID,
    "NotFound": Exit.NOT_FOUND,
    "Conflict": Exit.CONFLICT,
    "Unavailable": Exit.UNAVAILABLE,
    "DigestMismatch": Exit.DIGEST_MISMATCH,
}


def load_settings(config: Path | None) -> Settings:
    """Read the settings, and tell on stderr which variables look like settings and are none.

    Raises:
        ConfigurationError: as `config.load`.
    """
    from updater.config import list_ignored, load

    settings = load(config)
    ignored = list_ignored()
    if ignored:
        click.echo(f"Warning: no settings, so ignored: {', '.join(ignored)} (UPDATER_<SECTION>__<KEY>)", err=True)
    return settings


def operate(config: Path | None, operation: str, *, on_progress: OnProgress | None = None, **arguments: Any) -> Any:
    """Run one operation and return its result. Arguments that are None are left out.

    `on_progress` gets every event before the result.

    Raises:
        ClickException: the settings or the data folder cannot be used, or the service ended before it answered.
        SystemExit: the operation failed; its message is printed, and the status tells the kind of failure.
    """
    from updater.processes.folder import FolderInUse, claim_folder

    tell = on_progress or (lambda _: None)
    given = {name: value for name, value in arguments.items() if value is not None}
    try:
        settings = load_settings(config)
        try:
            with claim_folder(settings.storage, make=False):
                return run_events(_run_here(settings, operation, given), tell)
        except FolderInUse:
            from updater.cli.control import ask_service

            return _result_of(ask_service(Path(settings.storage.root), operation, given), tell)
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from None


def run_events(events: AsyncGenerator[Event], on_progress: OnProgress) -> Any:
    """Go through events of this process and return the result.

    Raises:
        SystemExit: the last event is a failure; it is printed, and the status tells its kind.
    """
    return asyncio.run(_run(events, on_progress))


async def _run(events: AsyncGenerator[Event], on_progress: OnProgress) -> Any:
    # Closed here, in this task: left to the end of the loop, what the generator holds open would be torn down at once.
    async with aclosing(events):
        async for event in events:
            if _is_last(event):
                return event["result"]
            on_progress(event)
    raise click.ClickException("the operation ended without a result")


def _result_of(events: Iterable[Event], on_progress: OnProgress) -> Any:
    from updater.cli.control import ENDED

    for event in events:
        if _is_last(event):
            return event["result"]
        on_progress(event)
    raise click.ClickException(ENDED)


def _is_last(event: Event) -> bool:
    """Tell whether an event is the result; end the command when it is a failure."""
    if "failure" in event:
        fail(event)
    return "result" in event


async def _run_here(settings: Settings, operation: str, arguments: dict[str, Any]) -> AsyncGenerator[Event]:
    from updater.audit.operators import operator
    from updater.operations import OPERATIONS
    from updater.operations.events import describe_failure

    wanted = OPERATIONS[operation]
    try:
        async with _open(settings, wanted.scope) as services:
            async for event in wanted(services, operator(os.getuid()), **arguments):
                yield event
    except Failure as failure:
        yield describe_failure(failure)


@asynccontextmanager
async def _open(settings: Settings, scope: Scope) -> AsyncIterator[Any]:
    """Open the services of a scope and import no others."""
    from updater.access.opening import find_access_lists, open_access
    from updater.backups.marker import require_whole
    from updater.operations import Scope

    require_whole(Path(settings.storage.root))
    lists = find_access_lists(settings) if scope is Scope.LISTS else None
    if lists is not None:
        yield lists
        return
    from updater.logs import warnings_beside

    with warnings_beside():
        if scope is not Scope.ALL:
            async with open_access(settings) as access:
                yield access
            return
        from updater.composition import open_services

        async with open_services(settings) as services:
            yield services


def fail(event: Event) -> NoReturn:
    """End the command with the lines of a failure.

    Raises:
        SystemExit: always; the status tells the kind of failure.
    """
    lines = [event["message"], *(f"  {field}: {text}" for field, text in event.get("fields", {}).items())]
    click.echo("Error: " + "\n".join(lines), err=True)
    raise SystemExit(_EXITS.get(event["failure"], Exit.FAILURE))
