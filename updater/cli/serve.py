"""`updater serve`: run the service."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from updater.cli.operate import config_option


@click.command()
@config_option
def serve(config: Path | None) -> None:
    """Run the service until SIGTERM or Ctrl-C.

    Without a configuration file it keeps everything in ./storage, listens on 127.0.0.1:8080 and prints an admin
    key on its first start. SIGHUP reads keys and limits again.
    """
    from updater.app import serve as run
    from updater.config import load
    from updater.errors import ConfigurationError, Failure
    from updater.logs import configure_logs

    try:
        settings = load(config)
        configure_logs(settings.logging.level)
        asyncio.run(run(settings, reload=lambda: load(config), announce=lambda line: click.echo(line, err=True)))
    except (ConfigurationError, Failure) as error:
        raise click.ClickException(str(error)) from None
