"""Work on what files lack: one at a time, the newest release first, whatever comes in meanwhile before what waits."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence

from updater.artifacts.derived import Underivable
from updater.audit.model import Actor
from updater.catalog.derived_store import EVERYWHERE, Lack, Scope
from updater.database.mirror import EVERYTHING
from updater.database.waking import Bell
from updater.errors import NotFound
from updater.logs.loggers import get_logger

# How long something that could not be made is left alone.
_AGAIN_S = 3600.0
# Of more applications that changed at once, all are asked about.
_FEW = 20
_log = get_logger(__name__)

Work = Callable[[Sequence[Lack], Actor], Awaitable[None]]
"""Adds what equal files of one application lack. Raises NotFound, Underivable, Unavailable, StorageFull."""


Find = Callable[[Scope], Awaitable[list[Lack]]]
"""Returns what is lacking there, newest release first. Raises Unavailable."""


class Backlog:
    """What is lacking, and the work on it. Nothing is kept that a question to the database would not find again."""

    def __init__(self, find: Find, work: Work, check: Callable[[str], Awaitable[None]], bell: Bell) -> None:
        """Begin with nothing. `check` is told the digest of a file that is damaged or gone."""
        self._find = find
        self._work = work
        self._check = check
        self._bell = bell
        # What was tried in vain: (kind, digest, name) -> when it may be tried again, monotonic. Bound: the files of
        # the store of which nothing can be made; entries go when their time has come.
        self._vain_until_s: dict[tuple[str, str, str], float] = {}

    async def wait(self, at_most_s: float) -> None:
        """Return when something may be lacking that was not before, or after `at_most_s` seconds."""
        await self._bell.wait(at_most_s)

    async def work_off(self, *, actor: Actor, everything: bool = True) -> int:
        """Add what is lacking; return how many files got something.

        Not `everything`: only what is in the newest releases of the applications that changed since the last time.
        Raises Unavailable, StorageFull.
        """
        done = 0
        waiting = self._hopeful(await self._find(EVERYWHERE)) if everything else []
        while True:
            waiting = await self._with_changed(waiting)
            if not waiting:
                again = self._hopeful(await self._find(EVERYWHERE)) if everything and done else []
                if not again:
                    return done
                waiting = again
            first = waiting[0]
            same = [each for each in waiting if _what(each) == _what(first)]
            waiting = [each for each in waiting if _what(each) != _what(first)]
            done += await self._attempt([each for each in same if await self._find(Scope(file_id=each.file_id))], actor)

    async def _with_changed(self, waiting: list[Lack]) -> list[Lack]:
        changed = self._bell.take()
        if not changed:
            return waiting
        few = len(changed) <= _FEW and EVERYTHING not in changed
        fresh = self._hopeful(await self._find(Scope(applications=sorted(changed)) if few else EVERYWHERE))
        return fresh + [each for each in waiting if each not in fresh]

    async def _attempt(self, lacks: Sequence[Lack], actor: Actor) -> bool:
        """Do one work; tell whether it is done. What cannot be done is left alone for a while."""
        if not lacks:
            return False
        first = lacks[0]
        try:
            await self._work(lacks, actor)
        except NotFound:
            # Damaged or gone, which the check writes down; or its application went, and it is not found again.
            await self._check(first.digest)
        except Underivable as error:
            _log.warning("derived.failed", kind=first.kind, digest=first.digest, name=first.name, reason=str(error))
        else:
            return True
        self._vain_until_s[_what(first)[1:]] = time.monotonic() + _AGAIN_S
        return False

    def _hopeful(self, lacks: list[Lack]) -> list[Lack]:
        now_s = time.monotonic()
        self._vain_until_s = {what: until_s for what, until_s in self._vain_until_s.items() if until_s > now_s}
        return [each for each in lacks if _what(each)[1:] not in self._vain_until_s]


def _what(lack: Lack) -> tuple[str, str, str, str]:
    return lack.application_id, lack.kind, lack.digest, lack.name
