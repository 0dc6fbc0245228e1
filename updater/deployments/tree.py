"""Whether a checkout is a commit, file by file: what no run may call done when it is not so.

The commit is read into an index of its own. That index has no flags and no memory, so files that git was told not to
look at (`assume-unchanged`, `skip-worktree`) and files changed behind its back are compared like all others.
"""

from __future__ import annotations

import asyncio
import filecmp
import os
import stat
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from updater.deployments.asking import Answer
from updater.deployments.git_command import GitCommand, good
from updater.deployments.steps import readable
from updater.errors import Conflict

_SUBMODULE = "160000"
_NO_FILTER = ("unspecified", "unset", "set", "")
_POINTER = b"version https://git-lfs.github.com/spec/"
_PLAIN = ("-c", "core.sparseCheckout=false", "-c", "core.untrackedCache=false", "-c", "index.sparse=false")


class CommitTree:
    """The files of one commit, beside a checkout. Paths are relative to the checkout."""

    def __init__(self, git: GitCommand, commit: str, scratch: Path) -> None:
        self._git = git
        self._top = Path(git.top)
        self._commit = commit
        # git writes through no link.
        self._scratch = scratch.resolve()

    async def check_allowed(self) -> None:
        """Check that the settings allow what the commit needs, and that this file system can hold it.

        Raises:
            Conflict: it has submodules, or files for a filter, that would not be brought; or names that clash here.
            Unavailable: git fails.
        """
        deployment = self._git.deployment
        paths: list[str] = []
        modules: list[str] = []
        listed = good("git ls-tree failed", await self._ask("ls-tree", "-r", "-z", "--full-tree", self._commit))
        for entry in listed.paths:
            mode, path = entry.split(" ", 1)[0], entry.partition("\t")[2]
            (modules if mode == _SUBMODULE else paths).append(path)
        if modules and not deployment.allow_submodules:
            raise Conflict(
                f"This version has submodules ({named(modules)}), which the settings do not allow: set "
                "`allow_submodules: true` for this deployment"
            )
        clashing = await self._clashing(paths)
        if clashing:
            raise Conflict(f"This file system takes names for the same that differ in case only: {named(clashing)}")
        for name, files in (await self._filtered(paths)).items():
            if not deployment.allow_filters:
                raise Conflict(
                    f"Files of this version need the filter {name} ({named(files)}), which the settings do not allow: "
                    "set `allow_filters: true` for this deployment"
                )
            if name == "lfs" and not await self._is_filter_here(name):
                raise Conflict(f"Files of this version need git-lfs ({named(files)}), which is not set up here")

    async def differences(self) -> tuple[str, ...]:
        """Return the tracked files that are not as the commit has them. Raises Unavailable when git fails."""
        refreshed = await self._ask("update-index", "-q", "--really-refresh")
        if refreshed.ended.timed_out:
            good("git update-index failed", refreshed)
        modules = "untracked" if self._git.deployment.allow_submodules else "all"
        words = ("diff-files", "--name-only", "--no-renames", f"--ignore-submodules={modules}", "-z")
        # The result of the refresh is known by this.
        suspects = good("git diff-files failed", await self._ask(*words)).paths
        if not suspects:
            return ()
        left_out = frozenset(await self.left_out())
        return await self._as_written(tuple(path for path in suspects if path not in left_out))

    async def missing_content(self) -> tuple[str, ...]:
        """Return what only looks complete: files that git-lfs has not fetched, submodules that are not there.

        Raises Unavailable when git fails.
        """
        found: list[str] = []
        if self._git.deployment.allow_filters:
            listed = good("git ls-files failed", await self._ask("ls-files", "--cached", "-z"))
            files = (await self._filtered(listed.paths)).get("lfs", [])
            found += await asyncio.to_thread(lambda: [path for path in files if _is_pointer(self._top / path)])
        if self._git.deployment.allow_submodules:
            answer = good("git submodule failed", await self._git.ask("submodule", "status", "--recursive"))
            found += [line[1:].split()[1] for line in answer.out.splitlines() if line[:1] in "-+U"]
        return tuple(found)

    async def left_out(self) -> tuple[str, ...]:
        """Return the files that a sparse checkout leaves out. Raises Unavailable when git fails."""
        sparse = await self._git.ask("config", "--type=bool", "core.sparseCheckout")
        if sparse.out.strip() != "true":
            return ()
        listed = good("git ls-files failed", await self._git.ask("ls-files", "-t", "-z"))
        hidden = [entry[2:] for entry in listed.paths if entry.startswith("S ")]
        return tuple(path for path in hidden if not _is_there(self._top / path))

    async def _as_written(self, suspects: Sequence[str]) -> tuple[str, ...]:
        """Return those suspects that git itself would write in another way.

        Line ends that an attribute converts differ from the commit's although nobody changed them.
        """
        present = [path for path in suspects if _is_there(self._top / path)]
        if not present:
            return tuple(suspects)
        target, given = self._scratch / "tree", b"".join(os.fsencode(path) + b"\0" for path in present)
        words = ("checkout-index", "--force", "-z", "--stdin", f"--prefix={target}/")
        good("git checkout-index failed", await self._ask(*words, given=given))
        modes = (await self._git.ask("config", "--type=bool", "core.fileMode")).out.strip() != "false"
        same = await asyncio.to_thread(
            lambda: {path for path in present if _is_same(self._top / path, target / path, modes=modes)}
        )
        return tuple(path for path in suspects if path not in same)

    async def _filtered(self, paths: Sequence[str]) -> dict[str, list[str]]:
        """Return filter -> the files that the commit's attributes give to it."""
        given = b"".join(os.fsencode(path) + b"\0" for path in paths)
        answer = await self._ask("check-attr", "--cached", "-z", "--stdin", "filter", given=given)
        fields = good("git check-attr failed", answer).paths
        found: dict[str, list[str]] = defaultdict(list)
        for path, name in zip(fields[::3], fields[2::3], strict=True):
            if name not in _NO_FILTER:
                found[name].append(path)
        return found

    async def _is_filter_here(self, name: str) -> bool:
        found = await self._git.ask("config", "--get-regexp", rf"^filter\.{name}\.(smudge|process)$")
        return found.ended.good

    async def _clashing(self, paths: Sequence[str]) -> list[str]:
        answer = await self._git.ask("config", "--type=bool", "core.ignoreCase")
        if answer.out.strip() != "true":
            return []
        folded: dict[str, list[str]] = defaultdict(list)
        for path in paths:
            folded[path.casefold()].append(path)
        return [path for same in folded.values() if len(same) > 1 for path in same]

    async def _ask(self, *words: str, given: bytes = b"") -> Answer:
        timeout_s = self._git.deployment.git_timeout_s
        return await self._git.ask(*_PLAIN, *words, given=given, timeout_s=timeout_s, index=self._scratch / "index")


@asynccontextmanager
async def read_tree(git: GitCommand, commit: str) -> AsyncIterator[CommitTree]:
    """Read a commit's tree for the block. Raises Unavailable when git fails, OSError without room for an index."""
    with tempfile.TemporaryDirectory(prefix="updater-") as scratch:
        tree = CommitTree(git, commit, Path(scratch))
        good("git read-tree failed", await tree._ask("read-tree", commit))
        yield tree


def named(paths: Sequence[str]) -> str:
    """Return the first five paths for people, in order, and the number of the others."""
    more = f" and {len(paths) - 5} more" if len(paths) > 5 else ""
    return f"{readable(', '.join(paths[:5]))}{more}"


def _is_there(path: Path) -> bool:
    return os.path.lexists(path)


def _is_same(here: Path, there: Path, *, modes: bool) -> bool:
    mine, theirs = here.lstat(), there.lstat()
    if stat.S_IFMT(mine.st_mode) != stat.S_IFMT(theirs.st_mode):
        return False
    if stat.S_ISLNK(mine.st_mode):
        return here.readlink() == there.readlink()
    if modes and (mine.st_mode ^ theirs.st_mode) & stat.S_IXUSR:
        return False
    return stat.S_ISREG(mine.st_mode) and filecmp.cmp(here, there, shallow=False)


def _is_pointer(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_POINTER)) == _POINTER
    except OSError:
        return False
