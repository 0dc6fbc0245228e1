"""`updater user`: the people who sign in."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from updater.cli.operate import config_option, operate
from updater.cli.output import print_json, print_table
from updater.times import in_minutes

_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
_stdin_option = click.option("--password-stdin", is_flag=True, help="Read the password from the first line of stdin.")

_TIMES = ("created_at", "disabled_at", "last_sign_in_at")


@click.group()
def user() -> None:
    """Add, list and disable people who sign in. Needs access to the data folder, no key."""


@user.command()
@click.argument("name")
@click.option("--role", type=click.Choice(["admin", "staff", "user"]), required=True, help="What they may do.")
@_stdin_option
@_json_option
@config_option
def create(name: str, role: str, password_stdin: bool, as_json: bool, config: Path | None) -> None:
    """Add NAME. Asks for the password.

    \f
    Raises:
        Abort: no password is given. SystemExit: with status 6 when the name is taken, 7 when a value does not fit.
    """
    made = operate(config, "user.create", name=name, role=role, password=_ask_password(password_stdin))
    _tell(made, as_json, f"{made['name']} may sign in as {role}")


@user.command("list")
@_json_option
@config_option
def list_users(as_json: bool, config: Path | None) -> None:
    """List all people, disabled ones too.

    \f
    Raises:
        ClickException: settings or data folder cannot be used.
        SystemExit: with status 8 when the database does not answer.
    """
    found = operate(config, "user.list")
    if as_json:
        print_json(found)
    else:
        rows = [
            (each["id"], each["name"], each["role"], *(in_minutes(each[name]) for name in _TIMES)) for each in found
        ]
        print_table(("id", "name", "role", "created", "disabled", "last sign-in"), rows)


@user.command()
@click.argument("name")
@_stdin_option
@_json_option
@config_option
def password(name: str, password_stdin: bool, as_json: bool, config: Path | None) -> None:
    """Give NAME a new password and end all their sessions.

    \f
    Raises:
        SystemExit: with status 5 when there is no NAME, 7 when the password does not fit.
    """
    changed = operate(config, "user.password", name=name, password=_ask_password(password_stdin))
    _tell(changed, as_json, f"{changed['name']} has a new password; all their sessions are over")


@user.command()
@click.argument("name")
@click.argument("new_role", metavar="ROLE", type=click.Choice(["admin", "staff", "user"]))
@_json_option
@config_option
def role(name: str, new_role: str, as_json: bool, config: Path | None) -> None:
    """Give NAME another role and end all their sessions, at once.

    \f
    Raises:
        SystemExit: with status 5 when there is no NAME, 6 when NAME is the last administrator who can sign in.
    """
    changed = operate(config, "user.role", name=name, role=new_role)
    _tell(changed, as_json, f"{changed['name']} is {changed['role']} now; all their sessions are over")


@user.command()
@click.argument("name")
@click.option("--undo", is_flag=True, help="Let them in again.")
@_json_option
@config_option
def disable(name: str, undo: bool, as_json: bool, config: Path | None) -> None:
    """Disable NAME and end all their sessions, at once.

    \f
    Raises:
        SystemExit: with status 5 when there is no NAME, 6 when NAME is the last administrator who can sign in.
    """
    changed = operate(config, "user.disable", name=name, undo=undo)
    _tell(changed, as_json, f"{changed['name']} may sign in" if undo else f"{changed['name']} is disabled")


@user.command()
@click.argument("name")
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), required=True, help="How long it lasts.")
@_json_option
@config_option
def session(name: str, minutes: float, as_json: bool, config: Path | None) -> None:
    """Open a session for NAME and print its id: the value of the cookie `sessionid`.

    \f
    Raises:
        SystemExit: with status 5 when there is no NAME, 6 when NAME is disabled, 7 when the minutes do not fit.
    """
    opened = operate(config, "user.session", name=name, minutes=minutes)
    if as_json:
        print_json(opened)
    else:
        click.echo(f"a session of {opened['name']} until {opened['expires_at']}; shown only now:", err=True)
        click.echo(opened["session"])


def _ask_password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    answer: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return answer


def _tell(outcome: dict[str, Any], as_json: bool, sentence: str) -> None:
    if as_json:
        print_json(outcome)
    else:
        click.echo(sentence)
