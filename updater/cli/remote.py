"""What all commands that talk to a server share: their options, their output, their exit status.

| status | meaning | comes from |
|---|---|---|
| 0 | done | |
| 1 | failed for another reason | 5xx, an answer that is not an update server's, anything unknown |
| 2 | the command line does not fit | click |
| 3 | there is no newer release | `check`, `fetch --current-version` |
| 4 | no valid key, or one that does not allow this | 401, 403 |
| 5 | no such application or release | 404 |
| 6 | exists already, or does not fit the present state | 409 |
| 7 | the server does not take a value | 400, 413, 415, 422 |
| 8 | no server there, or it stays busy | no connection; 408, 429, 502, 503, 504 after all retries |
| 9 | other bytes came than were announced | the digest |
| 10 | a local file cannot be read or written | the operating system |
| 130 | interrupted | Ctrl-C |

Results go to stdout, as words or (`--json`) as exactly one JSON document, also on failure. Errors are one
line on stderr; progress bars go there too, on a terminal only.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, ParamSpec, TypeVar

import click

from updater.cli.exits import Exit
from updater.cli.output import print_json, print_rows, printable
from updater.cli.targets import ARCHITECTURE, PLATFORM
from updater_client import (
    DigestMismatch,
    RetryPolicy,
    Target,
    Unreachable,
    UpdateClient,
    UpdateError,
    Wait,
)
from updater_client.retry import TRANSIENT_STATUS

DEFAULT_SERVER = "http://127.0.0.1:8080"

P = ParamSpec("P")
T = TypeVar("T")

_EXIT_OF_STATUS = {
    **dict.fromkeys((401, 403), Exit.FORBIDDEN),
    404: Exit.NOT_FOUND,
    409: Exit.CONFLICT,
    **dict.fromkeys((400, 413, 415, 422), Exit.INVALID),
    **dict.fromkeys(TRANSIENT_STATUS, Exit.UNAVAILABLE),
}
_EXIT_OF_CODE = {
    "VALIDATION_ERROR": Exit.INVALID,
    "INVALID_ADDRESS": Exit.INVALID,
    "UNAUTHORIZED": Exit.FORBIDDEN,
    "INVALID_KEY": Exit.FORBIDDEN,
    "FILE_CHANGED": Exit.LOCAL_FILE,
}


@dataclass(frozen=True)
class Remote:
    """The server to call, the key, the number of retries, and how to print the result."""

    server: str
    key: str | None
    retries: int
    as_json: bool
    results_to_stderr: bool = False

    def run(
        self,
        work: Callable[[UpdateClient], Awaitable[T]],
        *,
        client_id: str | None = None,
        channel: str | None = None,
    ) -> T:
        """Do some work with a client. Every expected failure ends the command with its exit status.

        `client_id` and `channel` are what the client says of itself.

        Raises:
            ClickException: the call failed; its status is that of `exit_of`, 10 for a local file, or 130 after Ctrl-C.
        """
        try:
            return asyncio.run(self._run(work, client_id, channel))
        except UpdateError as error:
            code = exit_of(error)
            if code is Exit.FORBIDDEN and not (self.key or "").strip():
                error.add("no key is given: set UPDATER_KEY, or give --key")
            self.fail(str(error), code, _describe(error))
        except UnicodeEncodeError:
            self.fail("a value is not valid UTF-8", Exit.USAGE, {"message": "a value is not valid UTF-8"})
        except OSError as error:
            reason = error.strerror or str(error)
            name = f": {os.fsdecode(error.filename)}" if error.filename else ""
            self.fail(f"{reason}{name}", Exit.LOCAL_FILE, {"message": reason})
        except KeyboardInterrupt:
            self.fail("interrupted", Exit.INTERRUPTED, {"message": "interrupted"})

    async def _run(self, work: Callable[[UpdateClient], Awaitable[T]], client_id: str | None, channel: str | None) -> T:
        policy = RetryPolicy(attempts=self.retries + 1)
        async with UpdateClient(self.server, self.key, client_id, channel, retry=policy, waiting=_tell_wait) as client:
            return await work(client)

    def fail(self, message: str, code: Exit, description: dict[str, Any]) -> NoReturn:
        """End the command with one line, an exit status, and with --json a document that describes the failure.

        Raises:
            ClickException: always.
        """
        document = {"error": description, "exit_status": int(code)} if self.as_json else None
        raise _Failure(message, code, document)

    def show(self, value: Any, rows: Sequence[tuple[str, Any]]) -> None:
        """Print one result: `value` as JSON with --json, else `rows` of name and text in their order.

        Rows whose text is None or empty are left out.
        """
        if self.as_json:
            print_json(value, err=self.results_to_stderr)
        else:
            print_rows([(name, text) for name, text in rows if text not in (None, "")], err=self.results_to_stderr)


class _Failure(click.ClickException):
    """One line on stderr, an exit status, and with --json a document on stdout."""

    def __init__(self, message: str, code: Exit, document: dict[str, Any] | None) -> None:
        super().__init__(message)
        self.exit_code = int(code)  # type: ignore[misc]  # click declares it per class
        self._document = document

    def show(self, file: Any = None) -> None:
        """Print the document on stdout, if there is one, and the line on stderr, in this order."""
        if self._document is not None:
            print_json(self._document)
        click.echo(f"Error: {printable(self.message)}", err=True)


def _tell_wait(wait: Wait) -> None:
    """Say what a command waits for, on stderr."""
    reason = printable(wait.error.message)
    click.echo(f"{reason}; attempt {wait.attempt} of {wait.attempts} in {wait.seconds:.1f} s", err=True)


def exit_of(error: UpdateError) -> Exit:
    """Choose the exit status of a failed call: by its kind, its HTTP status, or its code, in this order.

    Returns:
        `Exit.FAILURE` for what none of the tables knows.
    """
    if isinstance(error, DigestMismatch):
        return Exit.DIGEST_MISMATCH
    if isinstance(error, Unreachable):
        return Exit.UNAVAILABLE
    if error.status is None:
        return _EXIT_OF_CODE.get(error.code, Exit.FAILURE)
    return _EXIT_OF_STATUS.get(error.status, Exit.FAILURE)


def remote_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add --server, --key, --retries and --json; the command gets them as `remote`.

    Args:
        command: a function that takes `remote`, and no parameter of these names.
    """

    @click.option(
        "--server",
        envvar="UPDATER_SERVER",
        default=DEFAULT_SERVER,
        show_default=True,
        show_envvar=True,
        help="Address of the server.",
    )
    @click.option(
        "--key",
        envvar="UPDATER_KEY",
        show_envvar=True,
        help="API key; better in the environment, where other users do not see it.",
    )
    @click.option(
        "--retries",
        type=click.IntRange(0, 100),
        default=4,
        show_default=True,
        help="How often to try again what may pass by itself.",
    )
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
    @functools.wraps(command)
    def _with_remote(*args: Any, server: str, key: str | None, retries: int, as_json: bool, **rest: Any) -> None:
        command(*args, remote=Remote(server, key or None, retries, as_json), **rest)  # fmt: skip

    return _with_remote


def target_options(*, required: bool) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add --platform and --arch; the command gets them as `target`.

    Args:
        required: whether both must be given; else what is left out is that of this machine.
    """
    here = "" if required else "  [default: this machine's]"

    def _decorate(command: Callable[..., None]) -> Callable[..., None]:
        @click.option("--platform", type=PLATFORM, required=required, help=f"System.{here}")
        @click.option("--arch", type=ARCHITECTURE, required=required, help=f"Processor.{here}")
        @functools.wraps(command)
        def _with_target(*args: Any, platform: str | None, arch: str | None, **rest: Any) -> None:
            this = Target.this()
            target = Target(platform or this.platform, arch or this.architecture)
            command(*args, target=target, **rest)

        return _with_target

    return _decorate


def require_option(name: str, value: str | None) -> str:
    """Return the value of an option that only some calls of a command need.

    Raises:
        UsageError: it was not given.
    """
    if value is None:
        context = click.get_current_context()
        option = next(each for each in context.command.params if each.name == name)
        raise click.MissingParameter(ctx=context, param=option)
    return value


def client_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add --client-id and --channel: what a client says of itself, None when not given."""
    command = click.option("--channel", help="The channel that the client is on.  [default: the application's first]")(
        command
    )
    return click.option("--client-id", help="What rollouts know the client by.  [default: its address]")(command)


def release_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add --app and --version, both required; the command gets them as `app_id` and `version`."""
    command = click.option("--version", required=True, help="Version of the release.")(command)
    return click.option("--app", "app_id", required=True, help="Application id.")(command)


channel_option = click.option(
    "--channel", help="Channel of the release.  [default: that of its other builds, else the application's first]"
)
reason_option = click.option("--reason", help="Why; kept in the history.")


class JsonObject(click.ParamType[dict[str, Any]]):
    """An option whose value is a JSON object."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        """Parse the text; anything but an object is a usage error.

        Raises:
            UsageError: the text is not JSON, or not an object.
        """
        if isinstance(value, dict):
            return value
        try:
            parsed = json.loads(value)
        except ValueError:
            self.fail("not valid JSON", param, ctx)
        if not isinstance(parsed, dict):
            self.fail('must be a JSON object such as {"commit": "ab12"}', param, ctx)
        return parsed


class JsonFile(JsonObject):
    """An option whose value is a file with a JSON object; `-` is what comes on standard input."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        """Read and parse the file.

        Raises:
            UsageError: it cannot be read, is not JSON, or holds something else than an object.
        """
        if isinstance(value, dict):
            return value
        try:
            with click.open_file(value, encoding="utf-8") as file:
                text = file.read()
        except (OSError, UnicodeDecodeError) as error:
            self.fail(f"cannot read {value}: {getattr(error, 'strerror', None) or error}", param, ctx)
        return super().convert(text, param, ctx)


def _describe(error: UpdateError) -> dict[str, Any]:
    names = ("message", "code", "status", "fields", "request_id")
    return {name: getattr(error, name) for name in names}
