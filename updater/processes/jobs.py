"""Jobs beside answering requests: they are repeated, and none of them ends without a word.

A failure of any kind is logged, counted and known to health until the job has succeeded again; pauses grow meanwhile.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

from updater.errors import Failure
from updater.logs.loggers import get_logger

Work = Callable[[], Awaitable[object]]
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
_log = get_logger(__name__)


class Jobs:
    """The jobs of this process: `failures` counts by job, and `failing` names those whose last attempt failed."""

    def __init__(self) -> None:
        self.failures: Counter[str] = Counter()
        self._in_a_row: Counter[str] = Counter()

    @property
    def failing(self) -> tuple[str, ...]:
        """Return the names of the jobs that fail at present, in their order."""
        return tuple(sorted(self._in_a_row))

    async def attempt(self, job: str, work: Work, *, every_s: float) -> float:
        """Do the work once and return how many seconds to pause before the next time: `every_s`, more after failures.

        Raises nothing but the cancellation of its caller.
        """
        try:
            await work()
        except (Exception, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                # What was interrupted may say so in its own words; the job ends all the same.
                raise asyncio.CancelledError from error
            # A CancelledError here: something below was cancelled, not this job.
            return self._note_failure(job, error, every_s)
        if self._in_a_row.pop(job, 0):
            _log.info("job.recovered", job=job)
        return every_s

    async def repeat(self, job: str, work: Work, *, every_s: float, first_s: float = 0.0) -> None:
        """Do the work again and again, `every_s` seconds after its end, until cancelled; first after `first_s`."""
        pause_s = first_s
        while True:
            await asyncio.sleep(pause_s)
            pause_s = await self.attempt(job, work, every_s=every_s)

    def _note_failure(self, job: str, error: BaseException, every_s: float) -> float:
        self.failures[job] += 1
        self._in_a_row[job] += 1
        pause_s = FIRST_PAUSE_S * (1 << min(self._in_a_row[job] - 1, 10))
        pause_s = min(max(pause_s, min(every_s, LONGEST_PAUSE_S)), LONGEST_PAUSE_S)
        if isinstance(error, Failure):
            _log.warning("job.failed", job=job, reason=error.message, again_in_s=pause_s)
        else:
            _log.error("job.failed", job=job, again_in_s=pause_s, exc_info=error)
        return pause_s


async def quietly(work: Work) -> None:
    """Do the work once; a failure of any kind is logged and dropped. For what is written at the end of a process."""
    await Jobs().attempt(getattr(work, "__name__", "work"), work, every_s=0)
