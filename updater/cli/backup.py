"""`updater backup` and `updater restore`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from updater.cli.exits import Exit
from updater.cli.operate import config_option, fail, load_settings, operate
from updater.cli.output import print_json
from updater.cli.storage import counting_bar, name_damage


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@config_option
def backup(folder: Path, as_json: bool, config: Path | None) -> None:
    """Back everything up into a folder.

    Works while the service runs, and writes as its user. Only files that FOLDER does not hold yet are copied; of
    the others a thirtieth is hashed again. Ends with status 9 when stored files are damaged or gone, and all others are
    backed up, or when the database is damaged, and the last backup stays.

    \f
    Raises:
        ClickException: settings or data folder cannot be used.
        SystemExit: with status 9 as above, or that of the failure.
    """
    with counting_bar("backing up") as on_progress:
        outcome = operate(config, "backup", on_progress=on_progress, folder=str(folder.absolute()))
    if as_json:
        print_json(outcome)
    else:
        click.echo(f"{outcome['blobs'] - len(outcome['missing'])} files, {outcome['copied']} of them copied now")
        for digest in outcome.get("repaired", ()):
            click.echo(f"  {digest}: was damaged in the backup, copied again", err=True)
        name_damage(outcome["missing"], outcome.get("files", ()), "damaged or gone, not in the backup")
    if outcome["missing"]:
        raise SystemExit(Exit.DIGEST_MISMATCH)


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@config_option
def restore(folder: Path, as_json: bool, config: Path | None) -> None:
    """Restore a backup into an empty data folder.

    Everything is verified on the way. What is damaged in the backup is named, and all else restored. After an
    interruption run it again; the service refuses to start in between.

    \f
    Raises:
        ClickException: settings or data folder cannot be used.
        SystemExit: with status 9 when the backup lacks files, or that of the failure.
    """
    from updater.errors import ConfigurationError, Failure
    from updater.operations.events import describe_failure

    try:
        with counting_bar("restoring") as on_progress:
            outcome = asyncio.run(_restore(folder.absolute(), config, on_progress))
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from None
    except Failure as failure:
        fail(describe_failure(failure))
    if as_json:
        print_json(outcome)
    else:
        click.echo(f"{outcome['blobs']} files restored and verified")
        name_damage(outcome["missing"], outcome.get("files", ()), "not in the backup, or damaged there; not restored")
    if outcome["missing"]:
        raise SystemExit(Exit.DIGEST_MISMATCH)


async def _restore(folder: Path, config: Path | None, on_progress: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    from updater.artifacts.opening import open_blobs, require_usable
    from updater.backups.manifest import get_manifest
    from updater.backups.restore import restore_backup
    from updater.database.uses import read_uses
    from updater.errors import Conflict
    from updater.operations.events import describe_uses
    from updater.processes.folder import hold_folder

    storage = load_settings(config).storage
    root, step = Path(storage.root), None
    if storage.database_url is not None:
        raise Conflict("A backup is restored into the embedded database only; storage.database_url is set")
    with hold_folder(root), open_blobs(storage.blob_url, root, group_reads=storage.group_reads) as target:
        await require_usable(target)
        async for step in restore_backup(folder, root, target):
            on_progress({"done": step.done, "total": step.total})
    assert step is not None  # noqa: S101 - the last step is always told
    manifest = get_manifest(folder)
    missing = sorted({*manifest.missing, *step.damaged})
    result = {"blobs": step.total - len(step.damaged), "missing": missing}
    return {**result, **describe_uses(read_uses(folder / manifest.database, missing))}
