"""The transition table, and that plans, states and events survive being written down."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime

import pytest

from updater.deployments.model import (
    TRANSITIONS,
    Event,
    Kind,
    Outcome,
    Plan,
    RunState,
    StepReport,
    StepStatus,
    Transition,
    UpdateStatus,
    next_status,
)
from updater.errors import Conflict
from updater.settings import DeploymentSettings, RestartSettings

NOW = datetime(2026, 1, 2, 3, 4, 5, 678, UTC)
PENDING, BUSY, DONE, FAILED = UpdateStatus


@pytest.mark.parametrize(("status", "transition"), list(itertools.product(UpdateStatus, Transition)))
def test_every_pair_leads_where_the_table_says_or_is_refused(status: UpdateStatus, transition: Transition) -> None:
    if (status, transition) in TRANSITIONS:
        assert next_status(status, transition) is TRANSITIONS[status, transition]
    else:
        with pytest.raises(Conflict):
            next_status(status, transition)


def test_what_people_may_do() -> None:
    assert [s for s in UpdateStatus if (s, Transition.APPLY) in TRANSITIONS] == [PENDING]
    assert [s for s in UpdateStatus if (s, Transition.ROLL_BACK) in TRANSITIONS] == [DONE]
    assert not [transition for transition in Transition if (FAILED, transition) in TRANSITIONS]
    assert next_status(next_status(DONE, Transition.ROLL_BACK), Transition.ROLLED_BACK) is PENDING


def test_written_and_read_again() -> None:
    deployment = DeploymentSettings("web", "/srv/web", restart=RestartSettings(("true",)))
    plan = Plan("r1", Kind.APPLY, deployment, NOW, target="abc", update_id=3)
    assert Plan.from_tree(json.loads(json.dumps({**plan.to_tree(), "of_tomorrow": 1}))) == plan
    state = RunState("r1", Kind.ROLLBACK, NOW, outcome=Outcome.BROKEN, finished_at=NOW,
                     steps=(StepReport("git_pull", StepStatus.FAILED, 1.5, "no"),))  # fmt: skip
    assert RunState.from_tree(json.loads(json.dumps({**state.to_tree(), "of_tomorrow": 1}))) == state
    event = Event(7, NOW, "log", {"level": "info", "message": "hello"})
    assert Event.from_tree(json.loads(json.dumps(event.to_tree()))) == event
