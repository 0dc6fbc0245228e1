"""A service is used at random, and everything that clients get is compared with what a dictionary says.

`MODEL_RUNS` sets how many runs the long form plays (of 50 steps each).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from tests.durability.conftest import Place, Warm, place, warm  # noqa: F401 - fixtures
from tests.stateful.asking import Asking, Shop
from tests.stateful.rolling import Rolling

RUNS = int(os.environ.get("MODEL_RUNS", "500"))
QUIETLY = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "database": None,
    "print_blob": False,
    "report_multiple_bugs": False,
}


def has_releases(machine: Asking) -> bool:
    return bool(machine.model.releases)


class Machine(Rolling):
    """What operators do, beside all the rest."""

    @precondition(has_releases)
    @rule()
    def collect(self) -> None:
        """Remove what nothing uses: exactly the bytes of the builds stay."""
        self.operate("collect", grace_s=0)
        assert set(self.shop.server.blobs()) == self.model.digests(), self.model

    @precondition(has_releases)
    @rule()
    def verify(self) -> None:
        assert self.operate("verify")["bad"] == []

    @precondition(has_releases)
    @rule()
    def retain(self) -> None:
        """Remove old releases: whatever goes, no client gets another answer."""
        self.shop.restart(retention={"keep_releases": 1})
        removed = self.operate("retain")["removed"]
        self.shop.restart()
        before = [self.model.offer(each) for each in self.every_question()]
        for each in removed:
            assert each["application"] == self.application
            release = self.model.releases.pop(each["version"])
            assert release.status != "draft"
            assert release.rollout is None or release.rollout.state == "complete"
        assert [self.model.offer(each) for each in self.every_question()] == before
        self.shop.counts["releases retired"] += len(removed)

    @precondition(has_releases)
    @rule(kill=st.booleans())
    def restart(self, kill: bool) -> None:
        self.shop.restart(kill=kill)

    @precondition(lambda self: self.model.releases and self.shop.server.place.database_url is None)
    @rule()
    def back_up(self) -> None:
        folder = self.shop.folder / f"backup-{next(self.shop.numbers)}"
        assert self.operate("backup", folder=str(folder))["missing"] == []
        self.backup = folder, self.remember()

    @precondition(lambda self: self.backup is not None)
    @rule()
    def restore_backup(self) -> None:
        assert self.backup is not None
        folder, model = self.backup
        self.shop.restore(folder)
        self.model = model
        self.model = self.remember()
        self.backup = folder, model


@pytest.fixture
def shop(warm: Warm, place: Place, tmp_path: Path) -> Iterator[Shop]:  # noqa: F811
    made = Shop(warm, place, tmp_path)
    yield made
    warm.end_all()
    print(dict(sorted(made.counts.items())))


def play(shop: Shop, runs: int, steps: int, **more: Any) -> None:
    class Bound(Machine):
        pass

    Bound.shop = shop
    run_state_machine_as_test(Bound, settings=settings(max_examples=runs, stateful_step_count=steps, **QUIETLY, **more))


@pytest.mark.parametrize(("runs", "steps"), [(12, 25), pytest.param(RUNS, 50, marks=pytest.mark.long)])
def test_the_service_is_as_the_model_says(shop: Shop, runs: int, steps: int) -> None:
    play(shop, runs, steps, derandomize=runs < 100)


# One rule of the service each, broken, and which methods of the machine may notice it: what others find is no proof.
BROKEN = {
    "withdraws nothing": (
        "hold",
        """
from updater.rollouts.releases import ReleaseMoves
async def set_status(self, held, status, action, actor, reason): return held
ReleaseMoves._set_status = set_status""",
    ),
    "forgets required releases": (
        "hold",
        """
import updater.offers.decision as decision
decision._is_skipping = lambda *given: False""",
    ),
    "offers to whom the dice leave out": (
        "hold",
        """
from updater.rollouts.dice import Dice
Dice.take = lambda self, identity: True""",
    ),
    "keeps what nothing uses": (
        "collect",
        """
from updater.artifacts.service import ArtifactService
async def collect(self, **given):
    return
    yield
ArtifactService.collect = collect""",
    ),
    "lets other bytes in at an old address": (
        "upload publish",
        """
from updater.catalog.filing import Filing
async def bind(self, *given): return None
Filing.bind = bind""",
    ),
    "retires what is offered": (
        "retain",
        """
import updater.catalog.service as service
service.select_removable = lambda candidates, *more: list(candidates)""",
    ),
    "counts a report again": (
        "hold_figures",
        """
from updater.telemetry.recorder import Recorder
import dataclasses, itertools
numbers, record = itertools.count(), Recorder.record
async def again(self, event): await record(self, dataclasses.replace(event, report_id=str(next(numbers))))
Recorder.record = again""",
    ),
}


@pytest.mark.parametrize(
    "rule_", ["withdraws nothing", *(pytest.param(each, marks=pytest.mark.long) for each in list(BROKEN)[1:])]
)
def test_a_broken_rule_is_found(rule_: str, place: Place, tmp_path: Path) -> None:  # noqa: F811
    """The control."""
    noticed, patch = BROKEN[rule_]
    broken = Warm(patch)
    try:
        with pytest.raises(AssertionError) as found:
            # That it is found is enough: to find the shortest way to it takes minutes.
            play(Shop(broken, place, tmp_path), 60, 30, derandomize=True, phases=[Phase.generate])
        print(str(found.value)[:600])
        assert {entry.name for entry in found.traceback} & set(noticed.split()), rule_
    finally:
        broken.close()
