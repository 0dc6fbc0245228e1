"""The chain of audit rows: whatever is done to a row is found, wherever it stands."""

from __future__ import annotations

import dataclasses
import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from updater.audit.chain import EMPTY, GENESIS, as_text, find_break, hash_of, seal
from updater.audit.model import Actor, ActorKind, AuditRow, Head

AT = datetime(2026, 5, 1, tzinfo=UTC)


def chain(count: int) -> tuple[list[AuditRow], Head]:
    rows: list[AuditRow] = []
    previous = GENESIS
    for number in range(1, count + 1):
        row = AuditRow(
            id=number,
            at=AT + timedelta(seconds=number),
            actor=Actor(ActorKind.KEY, f"key {number}"),
            action="release.published",
            subject=f"my-app 1.{number}.0",
            application_id="my-app",
            version=f"1.{number}.0",
            reason=None,
            before=None,
            after=as_text({"percent": 100.0, "channel": "stable"}),
            previous_hash=previous,
            hash="",
        )
        rows.append(seal(row))
        previous = rows[-1].hash
    return rows, Head(count, previous, 0, GENESIS)


CHANGES = {
    "at": AT,
    "actor": Actor(ActorKind.USER, "mallory"),
    "action": "release.withdrawn",
    "subject": "other-app",
    "application_id": None,
    "version": "9.9.9",
    "reason": "because",
    "before": "{}",
    "after": None,
}


def test_a_whole_chain_holds() -> None:
    rows, head = chain(20)
    assert find_break(rows, head) is None
    assert find_break([], EMPTY) is None


@pytest.mark.parametrize("field", CHANGES)
@pytest.mark.parametrize("sealed", [False, True], ids=["as it stands", "with a fresh hash"])
def test_a_changed_row_is_found(field: str, sealed: bool) -> None:
    """With a fresh hash the row itself holds; the next one does not follow it any more."""
    rows, head = chain(5)
    changed = dataclasses.replace(rows[2], **{field: CHANGES[field]})
    rows[2] = seal(changed) if sealed else changed
    found = find_break(rows, head)
    assert found is not None
    assert found.id == (4 if sealed else 3)


def test_a_changed_last_row_with_a_fresh_hash_is_found() -> None:
    rows, head = chain(5)
    rows[4] = seal(dataclasses.replace(rows[4], version="6.6.6"))
    found = find_break(rows, head)
    assert found is not None
    assert "ends with" in found.why


@given(st.integers(1, 12), st.randoms(use_true_random=False))
def test_removed_inserted_and_moved_rows_are_found(count: int, chance: random.Random) -> None:
    rows, head = chain(count)
    at = chance.randrange(count)
    assert find_break(rows[:at] + rows[at + 1 :], head) is not None, "removed"
    copied = dataclasses.replace(rows[at], id=rows[at].id)
    assert find_break([*rows[:at], copied, *rows[at:]], head) is not None, "inserted"
    if count > 1:
        one, other = sorted(chance.sample(range(count), 2))
        moved = list(rows)
        moved[one], moved[other] = moved[other], moved[one]
        assert find_break(moved, head) is not None, "moved"


def test_what_is_left_after_a_cut_holds_to_its_anchor() -> None:
    rows, head = chain(10)
    anchored = dataclasses.replace(head, anchor_id=rows[3].id, anchor_hash=rows[3].hash)
    assert find_break(rows[4:], anchored) is None
    assert find_break(rows[5:], anchored) is not None
    assert find_break(rows[4:], dataclasses.replace(anchored, anchor_hash=GENESIS)) is not None


def test_json_is_written_in_one_way() -> None:
    assert as_text({"b": 1, "a": [1.5, "ä"]}) == '{"a":[1.5,"ä"],"b":1}'
    assert as_text(None) is None
    rows, _ = chain(1)
    assert hash_of(rows[0]) == rows[0].hash
