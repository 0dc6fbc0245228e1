"""The commands that change a checkout or its refs, and the removal of what a killed git left in it."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from updater.deployments.git_command import GitCommand
from updater.deployments.steps import Command

# Lock files that a killed git leaves behind. They are removed only when they are younger than the run.
_LOCKS = (
    "index.lock",
    "HEAD.lock",
    "ORIG_HEAD.lock",
    "FETCH_HEAD.lock",
    "packed-refs.lock",
    "config.lock",
    "shallow.lock",
)


class Checkout:
    """The changes of one checkout. Methods that return a `Command` run nothing: the caller runs it as its step."""

    def __init__(self, git: GitCommand) -> None:
        self._git = git

    async def fetch(self) -> Command:
        """Return the command that fetches the remote's branch; the checkout stays as it is.

        It takes at most `git_timeout_s` seconds.
        """
        branch = self._git.deployment.branch
        return await self._git.build(
            "fetch", "--no-progress", "--no-recurse-submodules", "--no-auto-maintenance", "--no-prune",
            "--no-prune-tags", "--refmap=", "--end-of-options",
            self._git.deployment.remote, f"+refs/heads/{branch}:{self._git.remote_ref}",
            timeout_s=self._git.deployment.git_timeout_s,
        )  # fmt: skip

    async def forward(self, commit: str) -> Command:
        """Return the command that moves the checkout ahead to `commit`, and fails unless that is a descendant.

        It takes at most `git_timeout_s` seconds.
        """
        return await self._git.build(
            "merge", "--ff-only", "--no-squash", "--no-autostash", "--no-overwrite-ignore", "--no-stat",
            "--no-progress", "--end-of-options", commit,
            timeout_s=self._git.deployment.git_timeout_s,
        )  # fmt: skip

    async def reset(self, commit: str, *, keep: bool) -> Command:
        """Return the command that moves the checkout to `commit`, in at most `git_timeout_s` seconds.

        With `keep` it fails where local changes would be lost; without, they are overwritten.
        """
        return await self._git.build(
            "reset", "--keep" if keep else "--hard", "--no-recurse-submodules", "--quiet", commit, "--",
            timeout_s=self._git.deployment.git_timeout_s,
        )  # fmt: skip

    async def submodules(self) -> Command | None:
        """Return the command that updates submodules; None when the settings do not allow them."""
        if not self._git.deployment.allow_submodules:
            return None
        words = ("submodule", "update", "--init", "--recursive", "--force")
        return await self._git.build(*words, timeout_s=self._git.deployment.git_timeout_s)

    async def remove_stale_locks(self, since: datetime) -> tuple[str, ...]:
        """Remove lock files made since a time (UTC), which a killed git of this run left; return their names.

        Raises:
            Unavailable: git does not name its folder.
        """
        # They differ in a worktree beside the repository.
        folder = Path(await self._git.tell("rev-parse", "--absolute-git-dir"))
        common = Path(self._git.top, await self._git.tell("rev-parse", "--git-common-dir"))
        removed = []
        for path in dict.fromkeys(each / name for each in (folder, common) for name in _LOCKS):
            removed += _removed(path, since)
        for path in (common / "refs").rglob("*.lock"):
            removed += _removed(path, since)
        return tuple(removed)

    def remove_appeared(self, paths: tuple[str, ...]) -> int:
        """Remove files of a version that was checked out in part; return their number. Raises nothing.

        `paths` are relative to the checkout, and `Git.check_move` found them free beforehand. A path through a link is
        skipped: it would end outside the checkout.
        """
        top, removed = self._git.top, 0
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


def _removed(path: Path, since: datetime) -> list[str]:
    """Remove a lock file that was made since a time; return its name in a list, empty when it stays."""
    try:
        if path.lstat().st_mtime < since.timestamp():
            return []
        path.unlink()
    except FileNotFoundError:
        return []
    return [path.name]
