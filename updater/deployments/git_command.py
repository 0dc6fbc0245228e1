"""How git is run: every option that could surprise is set, and nothing is inherited but an allow-list.

No prompts, no hooks, no submodules, no filters and no protocols but the allowed ones; whatever follows
`--end-of-options` is never an option. The git settings of the machine and the user count where no option here says
otherwise: `safe.directory` is the remedy that git itself proposes.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from pathlib import Path

from updater.config import pick_environment
from updater.deployments.asking import Answer, capture
from updater.deployments.steps import BASE_ENVIRONMENT, Command
from updater.errors import Unavailable
from updater.settings import DeploymentSettings

_QUESTION_S = 30
_QUIET = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "/bin/false",
    "SSH_ASKPASS": "/bin/false",
    "SSH_ASKPASS_REQUIRE": "never",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    # A file that is there, empty or not, makes each git command print advice.
    "GIT_GRAFT_FILE": f"{os.devnull}/none",
    "GIT_OPTIONAL_LOCKS": "0",
    "LC_ALL": "C",
}
_OPTIONS = tuple(
    word
    for setting in (
        "core.fsmonitor=false",
        "core.quotePath=false",
        "core.splitIndex=false",
        "gc.auto=0",
        "maintenance.auto=false",
        "submodule.recurse=false",
        "advice.detachedHead=false",
        "i18n.logOutputEncoding=UTF-8",
        "color.ui=false",
    )
    for word in ("-c", setting)
)
_NONE_FOUND = 1


class TookTooLong(Unavailable):
    """A git that was ended because of its time."""


class GitCommand:
    """The git of one checkout. `environment` is all that git gets of this process's environment."""

    def __init__(self, deployment: DeploymentSettings, environment: Mapping[str, str]) -> None:
        self.deployment = deployment
        # Not `protocol.*.allow`: what any configuration file allows by name would win over our `protocol.allow=never`.
        self._environment = {**environment, **_QUIET, "GIT_ALLOW_PROTOCOL": ":".join(deployment.protocols)}
        self._filters: tuple[str, ...] | None = None

    @property
    def top(self) -> str:
        """Return the checkout's folder, links resolved, as git names it."""
        return os.path.realpath(self.deployment.path)

    @property
    def remote_ref(self) -> str:
        """Return the full name of the ref that holds the remote's branch as it was last fetched."""
        return f"refs/remotes/{self.deployment.remote}/{self.deployment.branch}"

    async def build(self, *words: str, timeout_s: float = _QUESTION_S, index: Path | None = None) -> Command:
        """Return the command for git with these words, to be run in the checkout within `timeout_s` seconds.

        `index` is the file of an index to use instead of the checkout's own.

        Raises:
            Unavailable: git does not say which filters are to be switched off.
        """
        await self._learn_filters()
        return self._command(*words, timeout_s=timeout_s, index=index)

    async def ask(
        self,
        *words: str,
        given: bytes = b"",
        timeout_s: float = _QUESTION_S,
        index: Path | None = None,
        field_bytes: int | None = None,
    ) -> Answer:
        """Run git and return its answer, good or not; `given` is its input, the rest as for `build` and `capture`.

        Raises Unavailable as `build`.
        """
        return await capture(await self.build(*words, timeout_s=timeout_s, index=index), given, field_bytes=field_bytes)

    async def tell(self, *words: str) -> str:
        """Run git and return its output without line feeds at its ends. Raises Unavailable when git fails."""
        return good(f"git {words[0]} failed", await self.ask(*words)).out.strip("\n")

    def _command(self, *words: str, timeout_s: float = _QUESTION_S, index: Path | None = None) -> Command:
        hooks = () if self.deployment.allow_hooks else ("-c", "core.hooksPath=/dev/null")
        trust = ("-c", f"safe.directory={self.top}") if self._is_owner_named() else ()
        options = [*_OPTIONS, *hooks, *trust, *(self._filters or ())]
        environment = self._environment if index is None else {**self._environment, "GIT_INDEX_FILE": str(index)}
        return Command(("git", "--no-pager", *options, *words), self.deployment.path, environment, timeout_s)

    def _is_owner_named(self) -> bool:
        """Tell whether the settings name the user who owns the checkout; git itself accepts only its own user's."""
        owner = find_owner(self.top)
        return bool(owner) and self.deployment.owner in owner

    async def _learn_filters(self) -> None:
        """Find the configured filters, so that each can be switched off by name."""
        if self._filters is None and not self.deployment.allow_filters:
            words = ("config", "--null", "--name-only", "--get-regexp", r"^filter\.")
            answer = await capture(self._command(*words))
            if answer.ended.status != _NONE_FOUND:
                good("git config failed", answer)
            self._filters = _switched_off(answer.out)


def git_command_of(deployment: DeploymentSettings) -> GitCommand:
    """Return the git of a deployment's checkout, with the environment variables that the settings allow.

    Raises nothing: whether the checkout exists shows with the first question.
    """
    return GitCommand(deployment, pick_environment((*BASE_ENVIRONMENT, *deployment.environment)))


def find_owner(path: str) -> tuple[str, ...]:
    """Return the names of a folder's owner: the user's name, if it has one, and its number, in this order.

    Empty when there is no such folder.
    """
    try:
        number = Path(path).stat().st_uid
    except OSError:
        return ()
    return user_names(number)


def user_names(number: int) -> tuple[str, ...]:
    """Return the names of a user: the one of the system's list, if there is one, and the number, in this order."""
    try:
        return (pwd.getpwuid(number).pw_name, str(number))
    except KeyError:
        return (str(number),)


def good(what: str, answer: Answer) -> Answer:
    """Return an answer that is good. Raises TookTooLong, Unavailable: it is not; `what` begins the message."""
    if not answer.ended.good:
        raise (TookTooLong if answer.ended.timed_out else Unavailable)(because(what, answer))
    return answer


def because(what: str, answer: Answer) -> str:
    """Return a message of what failed and why, at most 500 characters of it git's.

    The reason is git's fatal and error lines, in order, or else its last three lines. One that was ended, or never
    began, is said to be so first.
    """
    said = [line for line in answer.err if line.startswith(("fatal:", "error:"))] or list(answer.err[-3:])
    ended = answer.ended
    if ended.timed_out or ended.trouble or not said:
        said = [ended.trouble or f"git {ended.reason}", *said]
    return f"{what}: {' '.join(said)[:500]}"


def _switched_off(keys: str) -> tuple[str, ...]:
    names = {key.removeprefix("filter.").rpartition(".")[0] for key in keys.split("\0") if key.startswith("filter.")}
    words: list[str] = []
    for name in sorted(names):
        for key, value in (("smudge", ""), ("clean", ""), ("process", ""), ("required", "false")):
            words += ("-c", f"filter.{name}.{key}={value}")
    return tuple(words)
