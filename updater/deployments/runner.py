"""The process that carries a run out: `python -m updater.deployments.runner HOME RUN`.

It takes the deployment's lock, detaches from its parent (own session, adopted by init, so that neither a signal to a
terminal nor a supervisor that ends a process tree reaches it) and executes the plan. Everything it needs is imported
before the first step, because the checkout may hold this very program. It never opens the database.

The exit status of the first process: 0 the run is on its way (or over already), 75 another process holds the lock,
1 the run cannot be carried out.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import os
import sys
import traceback
from pathlib import Path

from updater.deployments.durable import Damaged
from updater.deployments.journal import OUTPUT, Journal, RunFolder, take_lock
from updater.deployments.model import Plan, RunState
from updater.deployments.pipeline import Pipeline

STARTED, REFUSED, LOCKED = 0, 1, 75


def main(words: list[str]) -> int:
    """Take the lock, answer, and go on in the background. Returns in the first process only.

    Args:
        words: the deployment's folder and the run's name, in this order.

    Returns: the exit status: `STARTED`, `REFUSED` or `LOCKED`.
    """
    if len(words) != 2:
        print("usage: python -m updater.deployments.runner HOME RUN", file=sys.stderr)
        return REFUSED
    folder = RunFolder(Path(words[0]) / "runs" / words[1])
    if take_lock(Path(words[0])) is None:
        return LOCKED
    try:
        plan, state = folder.find_plan(), folder.find_state()
    except (OSError, Damaged) as error:
        print(f"the run cannot be read: {error}", file=sys.stderr)
        return REFUSED
    if plan is None:
        print("there is no such plan", file=sys.stderr)
        return REFUSED
    ready, leaving = os.pipe()
    # The lock belongs to the open file, so the child has it too and keeps it when this process ends.
    if os.fork():
        # The caller kills our process group once we have answered: the child must have left it by then.
        os.close(leaving)
        return STARTED if os.read(ready, 1) else REFUSED
    status = 1
    try:
        _leave_parent(folder.path / OUTPUT)
        os.write(leaving, b".")
        os.close(leaving)
        asyncio.run(_carry_out(folder, plan, state))
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


async def _carry_out(folder: RunFolder, plan: Plan, state: RunState | None) -> None:
    journal = Journal(folder)
    pipeline = Pipeline(plan, journal, state)
    try:
        if state is None:
            await pipeline.run()
        elif not state.finished:
            await pipeline.resume()
        elif not journal.ended:
            journal.end(state)
    except Exception as error:
        traceback.print_exc()
        pipeline.give_up(error)
    finally:
        journal.close()


def _leave_parent(output: Path) -> None:
    """Start a session of its own, with no standard files but a log for unexpected output."""
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    try:
        said = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError:
        said = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 0)
    os.dup2(said, 1)
    os.dup2(said, 2)
    for descriptor in (nothing, said):
        if descriptor > 2:
            os.close(descriptor)
    os.chdir("/")
    with contextlib.suppress(RuntimeError, ValueError):
        faulthandler.enable(file=2)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
