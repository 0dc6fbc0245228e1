"""`updater migrate-database`: out of the embedded database, when it is outgrown."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import click

from updater.cli.operate import config_option, load_settings, run_events
from updater.cli.output import print_json
from updater.cli.storage import counting_bar
from updater.errors import Failure


@click.command("migrate-database")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@config_option
def migrate_database(as_json: bool, config: Path | None) -> None:
    """Copy the embedded database into PostgreSQL.

    Stop the service and set storage.database_url first: everything in storage.root/updater.db goes there, into an
    empty database. It is there as a whole or not at all, so after an interruption run it again. Stored files, keys and
    sessions stay as they are, and the old file stays where it is.

    \f
    Raises:
        ClickException: settings or data folder cannot be used. SystemExit: with the status of the failure.
    """
    with counting_bar("copying rows") as on_progress:
        outcome = run_events(_move(config), on_progress)
    if as_json:
        print_json(outcome)
        return
    for table, rows in outcome["rows"].items():
        click.echo(f"{table:<20}{rows:>12}")
    click.echo(f"{sum(outcome['rows'].values())} rows copied")


async def _move(config: Path | None) -> AsyncGenerator[dict[str, Any]]:
    from updater.database.moving import move_rows
    from updater.database.opening import open_database
    from updater.errors import ConfigurationError
    from updater.operations.events import describe_failure
    from updater.processes.folder import hold_folder

    try:
        storage = load_settings(config).storage
        root = Path(storage.root)
        if storage.database_url is None:
            raise ConfigurationError("storage.database_url is not set: there is nowhere to copy to")
        async with AsyncExitStack() as stack:
            stack.enter_context(hold_folder(root, make=False))
            source = await stack.enter_async_context(open_database(None, root, belonging=True))
            target = await stack.enter_async_context(open_database(storage.database_url, root))
            rows: dict[str, int] = {}
            async for each in move_rows(source, target):
                rows[each.table] = each.rows
                yield {"done": each.done, "total": each.total}
        yield {"result": {"rows": rows}}
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from None
    except Failure as failure:
        yield describe_failure(failure)
