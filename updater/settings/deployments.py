"""The settings of managed checkouts: what is brought up to date, by which steps, and how its health is checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any
from urllib.parse import urlsplit

from marshmallow import fields, validate

import updater.settings.checks as checks
from updater.settings.checks import Secret, setting

# The steps of the documented update process, and their default commands.
STEP_COMMANDS: Mapping[str, tuple[str, ...]] = {
    "dependencies": ("uv", "sync"),
    "static_files": ("uv", "run", "python", "manage.py", "collectstatic", "--noinput"),
    "migrations": ("uv", "run", "python", "manage.py", "migrate", "--noinput"),
}
RESERVED_STEPS = ("git_fetch", "git_pull", "git_reset", "restart", "health")
GIT_PROTOCOLS = ("https", "ssh", "http", "git", "file")


@dataclass(frozen=True)
class StepSettings:
    """One step of a deployment. The steps of the documented process have a command by default.

    `environment` names variables that the step gets beside the deployment's own list.

    Raises:
        ValueError: a step of another name has no command.
    """

    name: str = setting(checks.text(validate.Regexp(r"\A[a-z][a-z0-9_]{0,39}\Z"), validate.NoneOf(RESERVED_STEPS)))
    command: tuple[str, ...] = setting(checks.command(), (), secret=Secret.IN_COMMAND)
    timeout_s: int = setting(checks.whole(1, 86_400), 300)
    environment: tuple[str, ...] = setting(checks.names(), ())

    def __post_init__(self) -> None:
        if not self.command:
            if self.name not in STEP_COMMANDS:
                raise ValueError(f"step {self.name!r} needs a command")
            object.__setattr__(self, "command", STEP_COMMANDS[self.name])


@dataclass(frozen=True)
class RestartSettings:
    """How the deployed service is restarted. The command must end; the processes that it leaves keep running.

    A command that starts a server in the background itself must send that server's output somewhere else.
    """

    command: tuple[str, ...] = setting(checks.command(), secret=Secret.IN_COMMAND)
    timeout_s: int = setting(checks.whole(1, 3600), 60)
    environment: tuple[str, ...] = setting(checks.names(), ())


@dataclass(frozen=True)
class HealthSettings:
    """The URL that answers 2xx when the service is healthy.

    It has to begin within `within_s` seconds and to last for `steady_s` seconds.
    """

    url: str = setting(fields.String(validate=checks.probe_url), secret=Secret.IN_URL)
    within_s: int = setting(checks.whole(1, 3600), 30)
    steady_s: int = setting(checks.whole(0, 600), 2)


@dataclass(frozen=True)
class BusySettings:
    """A probe that postpones an update when its answer is yes: a command that ends with 0, or a JSON value.

    `path` leads through objects and lists by dots (`jobs.active`, `workers.0.state`); the answer is yes when the
    value there equals `equals`. Without a path the whole document is compared.

    Raises:
        ValueError: not exactly one of `command` and `url` is given.
    """

    command: tuple[str, ...] = setting(checks.command(), (), secret=Secret.IN_COMMAND)
    url: str | None = setting(fields.String(allow_none=True, validate=checks.probe_url), None, secret=Secret.IN_URL)
    path: str = setting(fields.String(), "")
    equals: Any = setting(fields.Raw(allow_none=True), True, secret=Secret.ALL)
    timeout_s: int = setting(checks.whole(1, 120), 10)

    def __post_init__(self) -> None:
        if bool(self.command) == bool(self.url):
            raise ValueError("expected either a command or a url")

    @property
    def name(self) -> str:
        """Return what to call the probe before people: its program, or its address without what may be secret."""
        if self.url is None:
            return PurePath(self.command[0]).name
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


@dataclass(frozen=True)
class DeploymentSettings:
    """A git checkout on this machine that is brought up to date step by step. The first one is the default.

    `owner` names the user, by name or number, to whom the checkout belongs when that is not this service's user: git
    uses another's checkout only when it is told to.

    `launcher` is put in front of the process that carries an update out, for supervisors that end everything a
    service ever started: `[systemd-run, --scope, --collect, --quiet]`, or set `KillMode=process` in the unit.

    Raises:
        ValueError: two steps have the same name.
    """

    id: str = setting(checks.text(validate.Regexp(r"\A[a-z0-9][a-z0-9_-]{0,63}\Z")))
    path: str = setting(checks.text(validate.Regexp(r"\A/[^\0]*\Z", error="expected an absolute path")))
    remote: str = setting(checks.text(validate.Regexp(r"\A[A-Za-z0-9_][A-Za-z0-9._-]{0,99}\Z")), "origin")
    branch: str = setting(checks.text(validate.Length(min=1, max=200)), "main")
    owner: str = setting(checks.text(validate.Length(max=64)), "")
    protocols: tuple[str, ...] = setting(
        fields.List(fields.String(validate=validate.OneOf(GIT_PROTOCOLS))), ("https", "ssh")
    )
    allow_hooks: bool = setting(checks.switch(), False)
    allow_submodules: bool = setting(checks.switch(), False)
    allow_filters: bool = setting(checks.switch(), False)
    git_timeout_s: int = setting(checks.whole(1, 3600), 120)
    environment: tuple[str, ...] = setting(checks.names(), ())
    launcher: tuple[str, ...] = setting(
        fields.List(fields.String(validate=validate.Length(min=1))), (), secret=Secret.IN_COMMAND
    )
    busy: tuple[BusySettings, ...] = setting(fields.List(fields.Raw()), ())
    steps: tuple[StepSettings, ...] = setting(fields.List(fields.Raw()), (StepSettings("dependencies"),))
    restart: RestartSettings | None = setting(fields.Dict(allow_none=True), None)
    health: HealthSettings | None = setting(fields.Dict(allow_none=True), None)

    def __post_init__(self) -> None:
        names = [step.name for step in self.steps]
        if len(set(names)) < len(names):
            raise ValueError("two steps have the same name")
