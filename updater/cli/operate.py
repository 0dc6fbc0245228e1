"""Run an operation of `updater.operations`: here when the data folder is free, else in the running service.

An embedded database has one writing process. Whoever runs these commands needs the rights of the data folder's
owner, nothing else: no key is asked.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any, NoReturn

import click

from updater.cli.exits import Exit
from updater.errors import ConfigurationError, Failure

config_option = click.option(
    "--config",
    envvar="UPDATER_CONFIG",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The settings file (also UPDATER_CONFIG); defaults hold without one.",
)
Event = dict[str, Any]
_ENDED = "the service ended before it answered; run the command again when it is back"
_EXITS = {
    "Invalid": Exit.INVALID,
    "NotFound": Exit.NOT_FOUND,
    "Conflict": Exit.CONFLICT,
    "Unavailable": Exit.UNAVAILABLE,
    "DigestMismatch": Exit.DIGEST_MISMATCH,
}


def operate(
    config: Path | None, operation: str, *, on_progress: Callable[[Event], None] | None = None, **arguments: Any
) -> Any:
    """Run one operation and return its result; failures end the command with one line."""
    try:
        return asyncio.run(_operate(config, operation, arguments, on_progress or (lambda _: None)))
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from None


async def _operate(
    config: Path | None, operation: str, arguments: dict[str, Any], on_progress: Callable[[Event], None]
) -> Any:
    from updater.config import load
    from updater.processes.folder import FolderInUse, claim_folder

    settings = load(config)
    root = Path(settings.storage.root)
    given = {name: value for name, value in arguments.items() if value is not None}
    try:
        with claim_folder(settings.storage):
            return await _result(_run_here(settings, operation, given), on_progress)
    except FolderInUse:
        return await _result(_run_there(root, operation, given), on_progress)


def run_events(events: AsyncGenerator[Event], on_progress: Callable[[Event], None]) -> Any:
    """Go through events to the result; a failure ends the command with one line."""
    return asyncio.run(_result(events, on_progress))


async def _result(events: AsyncGenerator[Event], on_progress: Callable[[Event], None]) -> Any:
    # Closed here, in this task: left to the end of the loop, what the generator holds open would be torn down at once.
    async with aclosing(events):
        async for event in events:
            if "result" in event:
                return event["result"]
            if "failure" in event:
                fail(event)
            on_progress(event)
    raise click.ClickException(_ENDED)


async def _run_here(settings: Any, operation: str, arguments: dict[str, Any]) -> AsyncGenerator[Event]:
    from updater.composition import open_services
    from updater.logs import warnings_beside
    from updater.operations import OPERATIONS, operator
    from updater.web.server.control import describe_failure

    with warnings_beside():
        try:
            async with open_services(settings) as services:
                async for event in OPERATIONS[operation](services, operator(os.getuid()), **arguments):
                    yield event
        except Failure as failure:
            yield describe_failure(failure)


async def _run_there(root: Path, operation: str, arguments: dict[str, Any]) -> AsyncGenerator[Event]:
    import aiohttp

    from updater.processes.folder import CONTROL_SOCKET, short_path

    timeout = aiohttp.ClientTimeout(total=None)
    try:
        with short_path(root / CONTROL_SOCKET) as path:
            connector = aiohttp.UnixConnector(path=path)
            async with (
                aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
                session.post(f"http://service/{operation}", json=arguments) as response,
            ):
                async for line in response.content:
                    event = json.loads(line)
                    if event.get("failure") == "Unavailable":
                        event["message"] += "; the service's log says more"
                    yield event
    except aiohttp.ClientPayloadError:
        raise click.ClickException(_ENDED) from None
    except aiohttp.ClientConnectionError:
        raise click.ClickException(
            f"{root} is in use, but its process does not answer on {CONTROL_SOCKET}; is it starting or stopping?"
        ) from None


def fail(event: Event) -> NoReturn:
    """End the command with a failure's lines and its exit status."""
    lines = [event["message"], *(f"  {field}: {text}" for field, text in event.get("fields", {}).items())]
    click.echo("Error: " + "\n".join(lines), err=True)
    raise SystemExit(_EXITS.get(event["failure"], Exit.FAILURE))
