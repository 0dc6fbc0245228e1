"""`updater config`: the settings as the service would read them, without secrets; do they fit?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from updater.cli.operate import config_option, load_settings
from updater.cli.output import print_json, printable
from updater.errors import ConfigurationError


@click.group()
def config() -> None:
    """Show the settings that hold, or check that they fit."""


@config.command()
@click.option("--changed", is_flag=True, help="Only what differs from the defaults.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@config_option
def show(config: Path | None, changed: bool, as_json: bool) -> None:
    """Show the settings of the file and the environment together, a line each; secrets are `***`.

    \f
    Raises:
        ClickException: a setting does not fit.
    """
    from updater.settings import Settings
    from updater.settings.blanking import blanked

    tree = blanked(_load(config))
    if changed:
        tree = _different(tree, blanked(Settings()))
    if as_json:
        print_json({"settings": tree})
        return
    for name, value in _lines(tree):
        click.echo(printable(f"{name}: {json.dumps(value, ensure_ascii=False)}"))


@config.command()
@config_option
def check(config: Path | None) -> None:
    """Check that every setting fits, and tell what hardly anybody wants. Nothing is opened: see `updater doctor`.

    \f
    Raises:
        ClickException: a setting does not fit; the message names it and what fits.
    """
    from updater.advice import list_advice

    for each in list_advice(_load(config), frozenset()):
        click.echo(f"{each.setting}: {each.reason}", err=True)
    click.echo(f"{'the defaults' if config is None else config}: every setting fits")


def _load(config: Path | None) -> Any:
    try:
        return load_settings(config)
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from None


def _different(values: Any, usual: Any) -> Any:
    if isinstance(values, dict) and isinstance(usual, dict):
        return {name: _different(value, usual[name]) for name, value in values.items() if value != usual[name]}
    return values


def _lines(tree: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each setting by its whole name; records of a list are numbered."""
    if isinstance(tree, dict) and tree:
        for name, value in tree.items():
            yield from _lines(value, f"{before}.{name}" if before else name)
    elif isinstance(tree, list) and any(isinstance(each, dict) for each in tree):
        for number, value in enumerate(tree):
            yield from _lines(value, f"{before}[{number}]")
    elif tree != {}:
        yield before, tree
