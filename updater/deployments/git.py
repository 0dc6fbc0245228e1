"""Questions to a checkout: its names, its commits, and whether it can be moved. Its files and refs stay as they are.

git itself checks every name before it is used, and names are given in full (`refs/heads/main`): a tag may be named like
the branch. Only plumbing commands answer, with NUL between fields and times as numbers, because subjects, names and
dates of commits can be anything. Commits are full hashes, lower-case hex.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path

from updater.deployments.git_command import GitCommand, because, find_owner, git_command_of, good, user_names
from updater.deployments.model import Commit
from updater.deployments.steps import readable
from updater.errors import Conflict, Invalid
from updater.settings import DeploymentSettings

MAX_COMMITS, SUBJECT_BYTES = 500, 2_000
_EPOCH, _LAST = datetime.fromtimestamp(0, UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
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
        """Check that the folder is the top of a checkout on the right branch.

        Raises:
            Conflict: it is not; the message says what is there. Unavailable: git cannot be run.
        """
        path = self._git.deployment.path
        _check_folder(path)
        top = await self._git.ask("rev-parse", "--show-toplevel")
        if top.ended.status is None or top.ended.timed_out:
            good(f"The checkout at {path} cannot be looked at", top)
        if not top.ended.good:
            raise Conflict(self._why_unusable(because(f"The deployment's path {path} cannot be used", top)))
        if os.fsdecode(top.raw).rstrip("\n") != self._git.top:
            raise Conflict(f"The deployment's path {path} is not the top of a git checkout")
        wanted, here = f"refs/heads/{self._git.deployment.branch}", await self._git.ask("symbolic-ref", "-q", "HEAD")
        if here.out.strip() != wanted:
            name = here.out.strip().removeprefix("refs/heads/")
            there = f"branch {readable(name)}" if here.ended.good else "no branch"
            raise Conflict(f"The checkout at {path} is on {there}, not on branch {self._git.deployment.branch}")

    def _why_unusable(self, said: str) -> str:
        """Return what git said, with the remedies when it mistrusts the owner of the folder."""
        # git 2.35 called it unsafe, later ones dubious.
        if "ownership" not in said and "unsafe repository" not in said:
            return said
        path, named = self._git.deployment.path, self._git.deployment.owner
        owner, mine = find_owner(self._git.top) or ("nobody",), user_names(os.geteuid())
        remedy = f"but the settings name {named} as its owner" if named else "and git uses no one else's checkouts"
        return (
            f"The checkout at {path} belongs to user {owner[0]}, this service runs as {mine[0]}, {remedy}. If that is "
            f"meant, set `owner: {owner[0]}` for this deployment in the settings, or run: "
            f"git config --system --add safe.directory {self._git.top}"
        )

    async def head(self) -> str:
        """Return the commit that is checked out. Raises Conflict when there is none."""
        commit = await self.find_commit("HEAD")
        if commit is None:
            raise Conflict(f"The checkout at {self._git.deployment.path} has no commit that git can read")
        return commit

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
        """Return the tracked files that git shows as different from the checked out commit, staged or not.

        Raises:
            Unavailable: git fails.
        """
        words = ["status", "--porcelain=v1", "-z", "--untracked-files=no", "--no-renames"]
        if not self._git.deployment.allow_submodules:
            words.append("--ignore-submodules=all")
        answer = good("git status failed", await self._git.ask(*words, timeout_s=self._git.deployment.git_timeout_s))
        return tuple(entry[3:] for entry in answer.paths)

    async def commits(self, older: str, newer: str) -> tuple[Commit, ...]:
        """Return the commits of `newer` that `older` lacks, newest first, at most `MAX_COMMITS`.

        Messages are one printable line. A date that no calendar has is the nearest one that a calendar has.

        Raises:
            Unavailable: git fails.
        """
        answer = await self._git.ask(
            "rev-list", f"--max-count={MAX_COMMITS}", "--format=tformat:%x00%H%x00%ct%x00%s%x00", f"{older}..{newer}",
            "--", field_bytes=SUBJECT_BYTES,
        )  # fmt: skip
        # Before the first field of each commit stands a heading.
        fields = good("git rev-list failed", answer).out.split("\0")
        records = zip(fields[1::4], fields[2::4], fields[3::4], strict=True)
        return tuple(Commit(commit, readable(message), _date(at)) for commit, at, message in records)

    async def count(self, older: str, newer: str) -> int:
        """Return the number of commits of `newer` that `older` lacks. Raises Unavailable."""
        return int(await self._git.tell("rev-list", "--count", f"{older}..{newer}", "--"))

    async def describe(self, older: str, newer: str) -> Version:
        """Return the name of `newer`, with the messages of the commits since `older`, newest first.

        Raises Unavailable.
        """
        tag = await self._git.tell(
            "for-each-ref",
            "--count=1",
            "--sort=-v:refname",
            f"--points-at={newer}",
            "--format=%(refname)",
            "refs/tags/",
        )
        version = readable(tag.removeprefix("refs/tags/")) or newer[:12]
        commits = await self.commits(older, newer)
        title = commits[0].message if commits else ""
        lines = [each.message for each in commits[:50]]
        return Version(version[:100], title.strip()[:200] or newer[:12], "\n".join(lines)[:10_000])

    async def check_move(self, older: str, newer: str) -> None:
        """Check that a move overwrites no file that git does not track, ignored ones included.

        git itself protects untracked files only: it treats ignored ones as expendable.

        Raises:
            Conflict: a file is in the way. Unavailable: git fails.
        """
        timeout_s = self._git.deployment.git_timeout_s
        refreshed = await self._git.ask("update-index", "-q", "--refresh", timeout_s=timeout_s)
        if refreshed.ended.timed_out:
            good("git update-index failed", refreshed)
        if not refreshed.ended.good and refreshed.err:
            raise Conflict(because("git update-index failed", refreshed))
        tried = await self._git.ask("read-tree", "-n", "-m", "-u", older, newer, timeout_s=timeout_s)
        if tried.ended.timed_out:
            good("git read-tree failed", tried)
        if not tried.ended.good:
            raise Conflict(because("Files in the checkout are in the way", tried))
        appearing, vanishing = await self.appearing(older, newer), await self.appearing(newer, older)
        found = await asyncio.to_thread(in_the_way, Path(self._git.top), appearing, frozenset(vanishing))
        if found:
            more = f" and {len(found) - 5} more" if len(found) > 5 else ""
            raise Conflict(f"Files in the checkout are in the way: {readable(', '.join(found[:5]))}{more}")

    async def appearing(self, older: str, newer: str) -> tuple[str, ...]:
        """Return the paths that `newer` has and `older` lacks, relative to the checkout. Raises Unavailable."""
        words = ("diff-tree", "-r", "--no-renames", "--name-only", "--diff-filter=A", "-z", older, newer, "--")
        return good("git diff-tree failed", await self._git.ask(*words)).paths


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


def _check_folder(path: str) -> None:
    """Check that there is a folder that can be entered. Raises Conflict."""
    try:
        os.scandir(path).close()
    except OSError as error:
        why = {
            FileNotFoundError: "does not exist",
            NotADirectoryError: "is not a folder",
            PermissionError: f"cannot be read by user {user_names(os.geteuid())[0]}",
        }.get(type(error), f"cannot be used: {error.strerror}")
        raise Conflict(f"The deployment's path {path} {why}") from None


def _date(seconds: str) -> datetime:
    """Return a time from seconds since 1970; git gives an empty text for a date that it cannot read."""
    try:
        return datetime.fromtimestamp(int(seconds), UTC)
    except (ValueError, OverflowError, OSError):
        return _LAST if seconds.isdecimal() else _EPOCH
