"""How git is run: every option that could surprise is set, and nothing is inherited but an allow-list.

No prompts, no hooks, no submodules, no filters and no protocols but the allowed ones; whatever follows
`--end-of-options` is never an option.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from updater.config import pick_environment
from updater.deployments.steps import BASE_ENVIRONMENT, Answer, Command, capture
from updater.errors import Unavailable
from updater.settings import DeploymentSettings

_QUESTION_S = 30
_QUIET = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "/bin/false",
    "SSH_ASKPASS": "/bin/false",
    "SSH_ASKPASS_REQUIRE": "never",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "LC_ALL": "C",
}
_OPTIONS = tuple(
    word
    for setting in (
        "protocol.allow=never",
        "core.fsmonitor=false",
        "core.quotePath=false",
        "gc.auto=0",
        "maintenance.auto=false",
        "submodule.recurse=false",
        "advice.detachedHead=false",
        "i18n.logOutputEncoding=UTF-8",
    )
    for word in ("-c", setting)
)


class GitCommand:
    """The git of one checkout. `environment` is all that git gets of this process's environment."""

    def __init__(self, deployment: DeploymentSettings, environment: Mapping[str, str]) -> None:
        self.deployment = deployment
        self._environment = {**environment, **_QUIET}
        self._filters: tuple[str, ...] | None = None

    @property
    def top(self) -> str:
        """Return the checkout's folder, links resolved, as git names it."""
        return os.path.realpath(self.deployment.path)

    @property
    def remote_ref(self) -> str:
        """Return the full name of the ref that holds the remote's branch as it was last fetched."""
        return f"refs/remotes/{self.deployment.remote}/{self.deployment.branch}"

    async def build(self, *words: str, timeout_s: float = _QUESTION_S) -> Command:
        """Return the command for git with these words, to be run in the checkout within `timeout_s` seconds."""
        await self._learn_filters()
        return self._command(*words, timeout_s=timeout_s)

    async def ask(self, *words: str) -> Answer:
        """Run git and return its answer, good or not. Raises nothing when git fails."""
        return await capture(await self.build(*words))

    async def tell(self, *words: str) -> str:
        """Run git and return its output without line feeds at its ends. Raises Unavailable when git fails."""
        answer = await self.ask(*words)
        if not answer.ended.good:
            raise Unavailable(because(f"git {words[0]} failed", answer))
        return answer.out.strip("\n")

    def _command(self, *words: str, timeout_s: float = _QUESTION_S) -> Command:
        allowed = [("-c", f"protocol.{name}.allow=always") for name in self.deployment.protocols]
        hooks = () if self.deployment.allow_hooks else ("-c", "core.hooksPath=/dev/null")
        options = [*_OPTIONS, *hooks, *(word for pair in allowed for word in pair), *(self._filters or ())]
        return Command(("git", "--no-pager", *options, *words), self.deployment.path, self._environment, timeout_s)

    async def _learn_filters(self) -> None:
        """Find the configured filters, so that each can be switched off by name."""
        if self._filters is None:
            self._filters = ()
            if not self.deployment.allow_filters:
                words = ("config", "--null", "--name-only", "--get-regexp", r"^filter\.")
                self._filters = _switched_off((await capture(self._command(*words))).out)


def git_command_of(deployment: DeploymentSettings) -> GitCommand:
    """Return the git of a deployment's checkout, with the environment variables that the settings allow.

    Raises nothing: whether the checkout exists shows with the first question.
    """
    return GitCommand(deployment, pick_environment((*BASE_ENVIRONMENT, *deployment.environment)))


def because(what: str, answer: Answer) -> str:
    """Return a message of what failed and why, at most 500 characters of it git's.

    The reason is git's fatal and error lines, in order, or else its last three lines.
    """
    said = [line for line in answer.err if line.startswith(("fatal:", "error:"))] or list(answer.err[-3:])
    return f"{what}: {' '.join(said)[:500]}" if said else f"{what}: git {answer.ended.reason}"


def _switched_off(keys: str) -> tuple[str, ...]:
    names = {key.removeprefix("filter.").rpartition(".")[0] for key in keys.split("\0") if key.startswith("filter.")}
    words: list[str] = []
    for name in sorted(names):
        for key, value in (("smudge", ""), ("clean", ""), ("process", ""), ("required", "false")):
            words += ("-c", f"filter.{name}.{key}={value}")
    return tuple(words)
