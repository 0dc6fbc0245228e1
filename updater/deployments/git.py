"""Questions to a checkout: its names, its commits, and whether it can be moved. Its files and refs stay as they are.

git itself checks every name before it is used. Commits are full hashes, lower-case hex.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from pathlib import Path

from updater.deployments.git_command import GitCommand, because, git_command_of
from updater.deployments.model import Commit
from updater.deployments.steps import readable
from updater.errors import Conflict, Invalid, Unavailable
from updater.settings import DeploymentSettings

MAX_COMMITS = 500
_HASH = re.compile(r"\A[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")


@dataclass(frozen=True)
class Version:
    """The name of a commit: its newest tag, else the first 12 digits of its hash.

    `title` is the message of the newest commit, `description` the messages of the newest 50, one a line.
    """

    version: str
    title: str
    description: str


class Git:
    """Questions to one checkout. git may take 30 seconds for each."""

    def __init__(self, git: GitCommand) -> None:
        self._git = git

    async def check_names(self) -> None:
        """Check that git takes the branch's name literally. Raises Invalid when it does not."""
        branch = self._git.deployment.branch
        for words in (("--branch", branch), (f"refs/heads/{branch}",)):
            answer = await self._git.ask("check-ref-format", *words)
            # git resolves `@{-1}` and the like instead of refusing it: then the answer differs from the name.
            if not answer.ended.good or (words[0] == "--branch" and answer.out.strip() != branch):
                raise Invalid({"branch": "expected the name of a branch, as git check-ref-format defines it"})

    async def check_ref(self, ref: str) -> None:
        """Check that a text is a full hash, or can be the name of a tag or branch.

        Raises Invalid when it is neither.
        """
        if not _HASH.match(ref):
            answer = await self._git.ask("check-ref-format", f"refs/tags/{ref}")
            if ref.startswith("-") or not answer.ended.good:
                raise Invalid({"ref": "expected a tag, a branch or a full commit hash"})

    async def check_checkout(self) -> None:
        """Check that the folder is the top of a checkout on the right branch. Raises Conflict when it is not."""
        top = await self._git.ask("rev-parse", "--show-toplevel")
        if not top.ended.good:
            raise Conflict(because("The deployment's path cannot be used", top))
        if top.out.rstrip("\n") != self._git.top:
            raise Conflict("The deployment's path is not the top of a git checkout")
        branch = await self._git.ask("symbolic-ref", "--quiet", "--short", "HEAD")
        if branch.out.strip() != self._git.deployment.branch:
            there = f"branch {branch.out.strip()}" if branch.ended.good else "no branch"
            raise Conflict(f"The checkout is on {there}, not on branch {self._git.deployment.branch}")

    async def head(self) -> str:
        """Return the commit that is checked out. Raises Unavailable."""
        return await self._git.tell("rev-parse", "--verify", "HEAD^{commit}")

    async def find_commit(self, revision: str) -> str | None:
        """Return the commit that a full ref or hash leads to; None when there is none here."""
        answer = await self._git.ask("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        commit = answer.out.strip()
        return commit if answer.ended.good and _HASH.match(commit) else None

    async def find_remote_head(self) -> str | None:
        """Return the head of the remote's branch as it was last fetched; None when it never was."""
        return await self.find_commit(self._git.remote_ref)

    async def resolve(self, target: str | None) -> str:
        """Return the commit of a tag, a branch or a hash, in this order; None means the head of the remote's branch.

        Raises:
            Conflict: there is no such commit here, or it is not part of the remote's branch. Invalid: `target` is no
            ref.
        """
        deployment = self._git.deployment
        head = await self.find_remote_head()
        if head is None:
            raise Conflict(f"Branch {deployment.branch} of {deployment.remote} is not known here")
        if target is None:
            return head
        await self.check_ref(target)
        refs = (f"refs/tags/{target}", f"refs/remotes/{deployment.remote}/{target}")
        for name in (target,) if _HASH.match(target) else refs:
            commit = await self.find_commit(name)
            if commit is not None:
                if not await self.is_ancestor(commit, head):
                    raise Conflict(f"{target} is not part of branch {deployment.branch} of the remote")
                return commit
        raise Conflict(f"{target} is not known here")

    async def is_ancestor(self, older: str, newer: str) -> bool:
        """Tell whether `newer` contains `older`. Commits that are not here contain nothing. Raises nothing."""
        return (await self._git.ask("merge-base", "--is-ancestor", older, newer)).ended.good

    async def local_changes(self) -> tuple[str, ...]:
        """Return the tracked files that differ from the checked out commit, staged or not.

        Raises:
            Unavailable: git fails.
        """
        words = ["status", "--porcelain=v1", "-z", "--untracked-files=no", "--no-renames"]
        if not self._git.deployment.allow_submodules:
            words.append("--ignore-submodules=all")
        answer = await self._git.ask(*words)
        if not answer.ended.good:
            raise Unavailable(because("git status failed", answer))
        return tuple(entry[3:] for entry in answer.out.split("\0") if entry)

    async def commits(self, older: str, newer: str) -> tuple[Commit, ...]:
        """Return the commits of `newer` that `older` lacks, newest first, at most `MAX_COMMITS`. Raises Unavailable."""
        said = await self._git.tell(
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
        """Return the name of `newer`, with the messages of the commits since `older`, newest first.

        Raises Unavailable.
        """
        tags = (await self._git.tell("tag", "--points-at", newer, "--sort=-v:refname")).split("\n")
        commits = await self.commits(older, newer)
        title = commits[0].message if commits else ""
        lines = [each.message for each in commits[:50]]
        return Version((tags[0] or newer[:12])[:100], title[:200] or newer[:12], "\n".join(lines)[:10_000])

    async def check_move(self, older: str, newer: str) -> None:
        """Check that a move overwrites no file that git does not track, ignored ones included.

        git itself protects untracked files only: it treats ignored ones as expendable.

        Raises:
            Conflict: a file is in the way. Unavailable: git fails.
        """
        refreshed = await self._git.ask("update-index", "-q", "--refresh")
        if not refreshed.ended.good and refreshed.err:
            raise Conflict(because("git update-index failed", refreshed))
        tried = await self._git.ask("read-tree", "-n", "-m", "-u", older, newer)
        if not tried.ended.good:
            raise Conflict(because("Files in the checkout are in the way", tried))
        appearing, vanishing = await self.appearing(older, newer), await self.appearing(newer, older)
        found = await asyncio.to_thread(in_the_way, Path(self._git.top), appearing, frozenset(vanishing))
        if found:
            more = f" and {len(found) - 5} more" if len(found) > 5 else ""
            raise Conflict(f"Files in the checkout are in the way: {readable(', '.join(found[:5]))}{more}")

    async def appearing(self, older: str, newer: str) -> tuple[str, ...]:
        """Return the paths that `newer` has and `older` lacks, relative to the checkout. Raises Unavailable."""
        said = await self._git.tell("diff", "--no-renames", "--name-only", "--diff-filter=A", "-z", older, newer, "--")
        return tuple(path for path in said.split("\0") if path)


def git_of(deployment: DeploymentSettings) -> Git:
    """Return the questions to a deployment's checkout, with the environment variables that the settings allow."""
    return Git(git_command_of(deployment))


def in_the_way(top: Path, appearing: Iterable[str], vanishing: frozenset[str]) -> list[str]:
    """Return the files that stand where a path is to appear, unless they are tracked paths about to vanish.

    Paths are relative to `top`; the result is in the order of `appearing`, without duplicates.
    """
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
    """Tell whether there is anything but a real folder."""
    return os.path.lexists(path) and (path.is_symlink() or not path.is_dir())
