"""`updater audit`: who changed what, and whether the rows that say so were touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from updater.cli.exits import Exit
from updater.cli.operate import config_option, operate
from updater.cli.output import print_json, print_table


@click.group(invoke_without_command=True)
@click.option("--app", "application", help="Only changes of this application.")
@click.option("--version", help="Only changes of this version, however it is spelt.")
@click.option("--by", help="Only changes by the key, user or operator of this name.")
@click.option("--action", help="Only this action, such as build.published; key. stands for all actions on keys.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@click.option("--offset", type=click.IntRange(0), default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@config_option
@click.pass_context
def audit(context: click.Context, /, as_json: bool, config: Path | None, **wanted: Any) -> None:
    """Show who changed what; verify that no row was touched.

    Rows come newest first. Needs access to the data folder, no key.

    \f
    Raises:
        ClickException: settings or data folder cannot be used.
        SystemExit: with status 8 when the database does not answer.
    """
    if context.invoked_subcommand is not None:
        context.obj = config
        return
    found = operate(config, "audit.list", **wanted)
    if as_json:
        print_json(found)
        return
    rows = [
        (
            each["id"],
            each["at"],
            f"{each['actor']['kind']} {each['actor']['name']}".strip(),
            each["action"],
            each["subject"],
        )
        for each in found["rows"]
    ]
    print_table(("id", "at", "actor", "action", "subject"), rows)
    if len(rows) < found["total_count"]:
        click.echo(f"{len(rows)} of {found['total_count']} rows; --limit and --offset show more", err=True)


@audit.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@config_option
@click.pass_context
def verify(context: click.Context, /, as_json: bool, config: Path | None) -> None:
    """Verify that no row was changed, removed or moved. Ends with status 9 when one was.

    \f
    Raises:
        SystemExit: with status 9 as above, 8 when the database does not answer.
    """
    found = operate(config or context.obj, "audit.verify")
    broken = found["broken"]
    if as_json:
        print_json(found)
    elif broken is None:
        click.echo(f"{found['rows']} rows, the chain holds")
    else:
        click.echo(f"row {broken['id']} {broken['why']}; the {found['rows']} rows before it hold")
    if broken is not None:
        raise SystemExit(Exit.DIGEST_MISMATCH)
