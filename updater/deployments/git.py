"""git, without surprises: what is asked of a checkout, and the commands that change it.

No prompts, no hooks, no submodules, no filters and no protocols but the allowed ones; names are checked by git
itself before they are used; whatever follows `--end-of-options` is never an option.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from pathlib import Path

from updater.deployments.model import Commit
from updater.deployments.steps import Answer, Command, capture, readable
from updater.errors import Conflict, Invalid, Unavailable
from updater.settings import DeploymentSettings

MAX_COMMITS = 500
_HASH = re.compile(r"\A[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_QUESTION_S = 30
# Files git leaves behind when it is killed. They are removed only when they are younger than the run.
_LOCKS = ("index.lock", "HEAD.lock", "ORIG_HEAD.lock", "FETCH_HEAD.lock", "packed-refs.lock", "config.lock")


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


@dataclass(frozen=True)
class Version:
    """How a commit is called: its newest tag, else the beginning of its hash; title and description from its log."""

    version: str
    title: str
    description: str


class Git:
    """One checkout. `environment` is what git may see of ours; all questions raise `Unavailable` when git fails."""

    def __init__(self, deployment: DeploymentSettings, environment: Mapping[str, str]) -> None:
        self._deployment = deployment
        self._environment = {**environment, **_QUIET}
        self._filters: tuple[str, ...] | None = None

    @property
    def remote_ref(self) -> str:
        """Return where the remote's branch was last seen."""
        return f"refs/remotes/{self._deployment.remote}/{self._deployment.branch}"

    async def check_names(self) -> None:
        """Refuse a branch that git would not take literally. Raises Invalid."""
        branch = self._deployment.branch
        for words in (("--branch", branch), (f"refs/heads/{branch}",)):
            answer = await self._ask("check-ref-format", *words)
            # `@{-1}` and its like are resolved rather than refused: then the answer differs from the question.
            if not answer.ended.good or (words[0] == "--branch" and answer.out.strip() != branch):
                raise Invalid({"branch": "expected the name of a branch, as git check-ref-format defines it"})

    async def check_ref(self, ref: str) -> None:
        """Refuse what is neither a full hash nor a possible name of a tag or branch. Raises Invalid."""
        if not _HASH.match(ref):
            answer = await self._ask("check-ref-format", f"refs/tags/{ref}")
            if ref.startswith("-") or not answer.ended.good:
                raise Invalid({"ref": "expected a tag, a branch or a full commit hash"})

    async def check_checkout(self) -> None:
        """Refuse a folder that is not the top of a checkout with the right branch. Raises Conflict."""
        top = await self._ask("rev-parse", "--show-toplevel")
        if not top.ended.good:
            raise Conflict(_because("The deployment's path cannot be used", top))
        if top.out.rstrip("\n") != self._top:
            raise Conflict("The deployment's path is not the top of a git checkout")
        branch = await self._ask("symbolic-ref", "--quiet", "--short", "HEAD")
        if branch.out.strip() != self._deployment.branch:
            there = f"branch {branch.out.strip()}" if branch.ended.good else "no branch"
            raise Conflict(f"The checkout is on {there}, not on branch {self._deployment.branch}")

    async def head(self) -> str:
        """Return the commit that is checked out."""
        return await self._tell("rev-parse", "--verify", "HEAD^{commit}")

    async def find_commit(self, revision: str) -> str | None:
        """Return the commit a full ref or hash leads to, or None."""
        answer = await self._ask("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        commit = answer.out.strip()
        return commit if answer.ended.good and _HASH.match(commit) else None

    async def resolve(self, target: str | None) -> str:
        """Return the commit that a tag, a branch or a hash means; None means the remote's branch.

        Raises:
            Conflict: there is no such commit here, or it is not part of the remote's branch.
        """
        head = await self.find_commit(self.remote_ref)
        if head is None:
            raise Conflict(f"Branch {self._deployment.branch} of {self._deployment.remote} is not known here")
        if target is None:
            return head
        await self.check_ref(target)
        names = (target,) if _HASH.match(target) else (f"refs/tags/{target}", f"{self._remote_refs}{target}")
        for name in names:
            commit = await self.find_commit(name)
            if commit is not None:
                if not await self.is_ancestor(commit, head):
                    raise Conflict(f"{target} is not part of branch {self._deployment.branch} of the remote")
                return commit
        raise Conflict(f"{target} is not known here")

    async def is_ancestor(self, older: str, newer: str) -> bool:
        """Say whether `newer` contains `older`; both are full hashes. What is not here is no ancestor."""
        return (await self._ask("merge-base", "--is-ancestor", older, newer)).ended.good

    async def local_changes(self) -> tuple[str, ...]:
        """Return the tracked files that differ from the commit, staged or not. Untracked ones are nobody's business."""
        words = ["status", "--porcelain=v1", "-z", "--untracked-files=no", "--no-renames"]
        if not self._deployment.allow_submodules:
            words.append("--ignore-submodules=all")
        answer = await self._ask(*words)
        if not answer.ended.good:
            raise Unavailable(_because("git status failed", answer))
        return tuple(entry[3:] for entry in answer.out.split("\0") if entry)

    async def commits(self, older: str, newer: str) -> tuple[Commit, ...]:
        """Return what `newer` has and `older` lacks, newest first, at most `MAX_COMMITS`."""
        said = await self._tell(
            "log", "--no-show-signature", "--no-decorate", f"--max-count={MAX_COMMITS}",
            "--format=%H%x1f%cI%x1f%s%x1e", f"{older}..{newer}", "--",
        )  # fmt: skip
        found = []
        for record in said.split("\x1e"):
            if record.strip():
                commit, date, message = record.strip("\n").split("\x1f", 2)
                found.append(Commit(commit, message, datetime.fromisoformat(date)))
        return tuple(found)

    async def describe(self, older: str, newer: str) -> Version:
        """Say how `newer` is called, seen from `older`."""
        tags = (await self._tell("tag", "--points-at", newer, "--sort=-v:refname")).split("\n")
        commits = await self.commits(older, newer)
        title = commits[0].message if commits else ""
        lines = [each.message for each in commits[:50]]
        return Version((tags[0] or newer[:12])[:100], title[:200] or newer[:12], "\n".join(lines)[:10_000])

    async def check_move(self, older: str, newer: str) -> None:
        """Refuse a move that would overwrite a file git does not track, ignored or not. Raises Conflict.

        git itself looks after untracked files only: it holds ignored ones to be select_removable.
        """
        refreshed = await self._ask("update-index", "-q", "--refresh")
        if not refreshed.ended.good and refreshed.err:
            raise Conflict(_because("git update-index failed", refreshed))
        tried = await self._ask("read-tree", "-n", "-m", "-u", older, newer)
        if not tried.ended.good:
            raise Conflict(_because("Files in the checkout are in the way", tried))
        appearing, vanishing = await self.appearing(older, newer), await self.appearing(newer, older)
        found = await asyncio.to_thread(in_the_way, Path(self._top), appearing, frozenset(vanishing))
        if found:
            more = f" and {len(found) - 5} more" if len(found) > 5 else ""
            raise Conflict(f"Files in the checkout are in the way: {readable(', '.join(found[:5]))}{more}")

    async def appearing(self, older: str, newer: str) -> tuple[str, ...]:
        """Return the paths that `newer` has and `older` lacks."""
        said = await self._tell("diff", "--no-renames", "--name-only", "--diff-filter=A", "-z", older, newer, "--")
        return tuple(path for path in said.split("\0") if path)

    async def fetch(self) -> Command:
        """Return the command that brings the remote's branch here, without touching the checkout."""
        branch = self._deployment.branch
        await self._learn_filters()
        return self._command(
            "fetch", "--no-progress", "--no-recurse-submodules", "--no-auto-maintenance", "--end-of-options",
            self._deployment.remote, f"+refs/heads/{branch}:{self.remote_ref}",
            timeout_s=self._deployment.git_timeout_s,
        )  # fmt: skip

    async def forward(self, commit: str) -> Command:
        """Return the command that moves the checkout ahead to `commit`, and never anywhere else."""
        await self._learn_filters()
        return self._command(
            "merge", "--ff-only", "--no-overwrite-ignore", "--no-stat", "--no-progress", "--end-of-options", commit,
            timeout_s=self._deployment.git_timeout_s,
        )  # fmt: skip

    async def reset(self, commit: str, *, keep: bool) -> Command:
        """Return the command that moves the checkout to `commit`; `keep` refuses where local changes would be lost."""
        await self._learn_filters()
        return self._command(
            "reset", "--keep" if keep else "--hard", "--no-recurse-submodules", "--quiet", commit, "--",
            timeout_s=self._deployment.git_timeout_s,
        )  # fmt: skip

    async def submodules(self) -> Command | None:
        """Return the command that brings submodules along, where they are allowed."""
        if not self._deployment.allow_submodules:
            return None
        words = ("submodule", "update", "--init", "--recursive", "--force")
        return self._command(*words, timeout_s=self._deployment.git_timeout_s)

    async def remove_stale_locks(self, since: datetime) -> tuple[str, ...]:
        """Remove lock files that a killed git of this run has left; return their names."""
        folder = Path(await self._tell("rev-parse", "--absolute-git-dir"))
        removed = []
        for path in [*(folder / name for name in _LOCKS), *(folder / "refs").rglob("*.lock")]:
            try:
                if path.lstat().st_mtime >= since.timestamp():
                    path.unlink()
                    removed.append(path.name)
            except FileNotFoundError:
                continue
        return tuple(removed)

    def remove_appeared(self, paths: tuple[str, ...]) -> int:
        """Remove files of a version that was only half checked out; return how many.

        Only for paths that `check_move` has found free beforehand. A path that leads through a link is left
        alone: it would end outside.
        """
        top, removed = self._top, 0
        for path in paths:
            place = Path(top, path)
            if os.path.realpath(place.parent) != str(place.parent):
                continue
            try:
                place.unlink()
                removed += 1
                while (place := place.parent) != Path(top):
                    place.rmdir()
            except OSError:
                continue
        return removed

    @property
    def _top(self) -> str:
        return os.path.realpath(self._deployment.path)

    @property
    def _remote_refs(self) -> str:
        return f"refs/remotes/{self._deployment.remote}/"

    def _command(self, *words: str, timeout_s: float = _QUESTION_S) -> Command:
        allowed = [("-c", f"protocol.{name}.allow=always") for name in self._deployment.protocols]
        hooks = () if self._deployment.allow_hooks else ("-c", "core.hooksPath=/dev/null")
        options = [*_OPTIONS, *hooks, *(word for pair in allowed for word in pair), *(self._filters or ())]
        return Command(("git", "--no-pager", *options, *words), self._deployment.path, self._environment, timeout_s)

    async def _ask(self, *words: str) -> Answer:
        await self._learn_filters()
        return await capture(self._command(*words))

    async def _tell(self, *words: str) -> str:
        answer = await self._ask(*words)
        if not answer.ended.good:
            raise Unavailable(_because(f"git {words[0]} failed", answer))
        return answer.out.strip("\n")

    async def _learn_filters(self) -> None:
        """Find the filters that are configured, so that each can be switched off by name."""
        if self._filters is None:
            self._filters = ()
            if not self._deployment.allow_filters:
                words = ("config", "--null", "--name-only", "--get-regexp", r"^filter\.")
                self._filters = _switched_off((await capture(self._command(*words))).out)


def in_the_way(top: Path, appearing: Iterable[str], vanishing: frozenset[str]) -> list[str]:
    """Return what stands where a path is to appear, and is not itself a tracked path about to vanish."""
    found: dict[str, None] = {}
    for path in appearing:
        *parents, _ = accumulate(Path(path).parts, os.path.join)
        file = next((each for each in parents if _is_file(top / each)), path)
        place = top / file
        inside = [file] if _is_file(place) else [str(each.relative_to(top)) for each in _files_below(place)]
        found |= dict.fromkeys(each for each in inside if each not in vanishing)
    return list(found)


def _files_below(folder: Path) -> Iterator[Path]:
    for at, folders, files in os.walk(folder):
        yield from (Path(at, name) for name in (*files, *folders) if _is_file(Path(at, name)))


def _is_file(path: Path) -> bool:
    """Say whether there is anything but a real folder."""
    return os.path.lexists(path) and (path.is_symlink() or not path.is_dir())


def _switched_off(keys: str) -> tuple[str, ...]:
    names = {key.removeprefix("filter.").rpartition(".")[0] for key in keys.split("\0") if key.startswith("filter.")}
    words: list[str] = []
    for name in sorted(names):
        for key, value in (("smudge", ""), ("clean", ""), ("process", ""), ("required", "false")):
            words += ("-c", f"filter.{name}.{key}={value}")
    return tuple(words)


def _because(what: str, answer: Answer) -> str:
    said = [line for line in answer.err if line.startswith(("fatal:", "error:"))] or list(answer.err[-3:])
    return f"{what}: {' '.join(said)[:500]}" if said else f"{what}: git {answer.ended.reason}"
