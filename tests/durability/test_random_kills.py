"""The service is killed at random moments under load; what was acknowledged is there after a restart."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from tests.durability.conftest import Launch, Place, Warm
from tests.durability.rounds import Rounds, new_ledger, rounds_of

RUN = "; from updater.cli import main; main()"
ANSWERS_FIRST = (
    "from updater.telemetry.recorder import Recorder\n"
    "async def record(self, event): self._put(event, None)\n"
    "Recorder.record = record"
)
NEVER_SWEEPS = (
    "from updater.artifacts.local import LocalBlobStore\n"
    "async def sweep(self, before): return 0\n"
    "LocalBlobStore.sweep = sweep"
)
CONTROL_KILLS = 8


class OnlyKilled:
    """What was handed to the kernel stays; nothing needs to be made ready."""

    def strike(self) -> None: ...

    def restore(self) -> None: ...


@pytest.fixture(autouse=True)
def ended(warm: Warm) -> Iterator[None]:
    """End what a failed test leaves running."""
    yield
    warm.end_all()


@pytest.mark.parametrize("kills", [15, pytest.param(rounds_of(1_000), marks=pytest.mark.long)])
def test_random_kills(warm: Warm, place: Place, kills: int) -> None:
    run = Rounds(partial(warm.start, place), OnlyKilled(), new_ledger())
    run.play(kills)
    assert run.ledger.violations == []


@pytest.mark.parametrize(
    ("broken", "noticed"),
    [
        pytest.param(ANSWERS_FIRST, "lost reports", id="answers before it commits"),
        pytest.param(
            NEVER_SWEEPS, "incoming/", id="never sweeps", marks=pytest.mark.sqlite("elsewhere no start sweeps")
        ),
    ],
)
def test_what_a_kill_breaks_is_noticed(launch: Launch, broken: str, noticed: str) -> None:
    """The control: a service that answers too early, and one that does not clear up."""
    program = ("-c", broken + RUN)
    run = Rounds(partial(launch, program=program), OnlyKilled(), new_ledger())
    server = launch(program=program)
    server.create_application()
    for _ in range(CONTROL_KILLS):
        run.work_until_cut(server, run.ledger.random.uniform(0.1, 0.5))
        server = launch(program=program)
        run.ledger.hold(server)
        if any(noticed in each for each in run.ledger.violations):
            return
    raise AssertionError(run.figures())
