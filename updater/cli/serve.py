"""`updater serve` and `updater restart`: run the service, and exchange its workers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path

import click

from updater.cli.exits import Exit
from updater.cli.operate import Event, config_option, load_settings, run_events


@click.command()
@config_option
@click.option("--worker", type=(int, int, str), hidden=True)
def serve(config: Path | None, worker: tuple[int, int, str] | None) -> None:
    """Run the service until SIGTERM or Ctrl-C.

    Without a configuration file it keeps everything in ./storage, listens on 127.0.0.1:8080 and prints an admin
    key on its first start; on a terminal also where the pages are. SIGHUP reads keys and limits again; with several
    workers it is a rolling restart.

    \f
    Raises:
        ClickException: the service cannot start with these settings.
        SystemExit: a worker cannot, and has told its parent.
    """
    from updater.config import load
    from updater.errors import ConfigurationError, Failure
    from updater.logs import configure_logs

    try:
        settings = load_settings(config) if worker is None else load(config)
        configure_logs(settings.logging.level, settings.logging.format, worker=None if worker is None else worker[0])
        if worker is None and settings.server.workers > 1:
            from updater.processes.supervisor import supervise

            asyncio.run(supervise(settings, announce=_announce))
            return
        from updater.cli.certificates import late_certificates
        from updater.processes.workers import WorkerSlot

        with late_certificates():
            from updater.serving import serve as run

        slot = None if worker is None else WorkerSlot.from_words(*worker)
        asyncio.run(run(settings, reload=lambda: load(config), announce=_announce, slot=slot))
    except (ConfigurationError, Failure) as error:
        if worker is not None and _tell_parent(worker[1], str(error)):
            raise SystemExit(Exit.FAILURE) from None
        raise click.ClickException(str(error)) from None


@click.command()
@config_option
def restart(config: Path | None) -> None:
    """Exchange the workers of a service, losing no request.

    One by one: a new worker answers before the one it replaces retires.

    \f
    Raises:
        ClickException: the settings cannot be used, or no workers answer.
    """
    from updater.errors import ConfigurationError

    try:
        settings = load_settings(config)
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from None
    events = _ask(Path(settings.storage.root).absolute())
    result = run_events(events, lambda event: click.echo(f"worker {event['worker']}: now process {event['pid']}"))
    click.echo(f"{result['replaced']} workers exchanged")
    wanted = settings.server.workers
    if config is not None and wanted != result["replaced"]:
        click.echo(f"server.workers is {wanted} now: that takes a full restart", err=True)


def _tell_parent(channel: int, reason: str) -> bool:
    from updater.processes.workers import tell_failure

    return tell_failure(channel, reason)


def _announce(line: str) -> None:
    from updater.logs import tell

    tell(line)


async def _ask(root: Path) -> AsyncGenerator[Event]:
    from updater.processes.folder import short_path
    from updater.processes.workers import CONTROL_SOCKET

    try:
        with short_path(root / CONTROL_SOCKET) as path:
            reader, writer = await asyncio.open_unix_connection(path)
    except OSError:
        raise click.ClickException(
            f"no workers are at work in {root}, or not all yet (for another folder name --config FILE); restart a "
            "service of one process where it was started (systemctl restart updater; with updater.socket no request is "
            "refused)"
        ) from None
    try:
        writer.write(b"restart\n")
        async for line in reader:
            yield json.loads(line)
    finally:
        writer.close()
