"""The cache of rendered answers: its bound holds, its counts are exact, the largest shelf makes room.

Controls: a `close` that forgets to give its bytes back, `keep` that counts a known key again, `min` instead of `max`
in `_make_room`, `//16` left out: each is found.
"""

from __future__ import annotations

import itertools
import random
import sys
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from tests.builds import LINUX, register
from tests.stored import settle
from updater.offers.answers import MAX_BYTES, AnswerCache, AnswerShelf

ENTRY_BYTES = 1_400  # what an entry is counted with beside its texts


def fill(shelf: AnswerShelf, count: int, text_bytes: int = 0) -> None:
    for number in range(count):
        shelf.keep(("fill", id(shelf), number), number, text_bytes)


def test_what_was_kept_is_found_until_its_shelf_is_closed() -> None:
    cache = AnswerCache()
    one, other = cache.open_shelf(), cache.open_shelf()
    one.keep("a", b"answer", 6)
    assert (one.get("a"), one.get("b"), other.get("a")) == (b"answer", None, None)
    one.close()
    assert (one.get("a"), len(one)) == (None, 0)


def test_bytes_are_counted_with_what_an_entry_takes_itself() -> None:
    cache = AnswerCache()
    one, other = cache.open_shelf(), cache.open_shelf()
    one.keep("a", "x", 500)
    one.keep("b", "y", 0)
    other.keep("a", "z", 70)
    assert (one.size_bytes, other.size_bytes) == (2 * ENTRY_BYTES + 500, ENTRY_BYTES + 70)
    assert cache.size_bytes == one.size_bytes + other.size_bytes


def test_a_question_that_is_known_keeps_its_first_answer_and_is_counted_once() -> None:
    cache = AnswerCache()
    shelf = cache.open_shelf()
    shelf.keep("a", "first", 100)
    shelf.keep("a", "second", 5_000)
    assert (shelf.get("a"), len(shelf)) == ("first", 1)
    assert cache.size_bytes == shelf.size_bytes == ENTRY_BYTES + 100


def test_closing_gives_the_bytes_back_once() -> None:
    cache = AnswerCache()
    one, other = cache.open_shelf(), cache.open_shelf()
    fill(one, 3)
    fill(other, 2)
    one.close()
    one.close()
    assert (cache.size_bytes, one.size_bytes, other.size_bytes) == (2 * ENTRY_BYTES, 0, 2 * ENTRY_BYTES)
    one.keep("again", 1, 0)
    assert (one.get("again"), cache.size_bytes) == (None, 2 * ENTRY_BYTES), "a closed shelf keeps nothing"
    other.clear()
    other.keep("again", 1, 0)
    assert cache.size_bytes == ENTRY_BYTES, "a shelf that was emptied is used further"


def test_the_largest_shelf_makes_room_for_any_other() -> None:
    cache = AnswerCache(max_bytes=20 * ENTRY_BYTES)
    small, large, new = (cache.open_shelf() for _ in range(3))
    fill(small, 8)
    fill(large, 12)
    assert (len(small), len(large), cache.size_bytes) == (8, 12, 20 * ENTRY_BYTES)
    new.keep("one more", "x", 0)
    assert (len(small), len(large), len(new)) == (8, 0, 1)
    assert cache.size_bytes == 9 * ENTRY_BYTES


def test_a_flood_empties_its_own_shelf_and_no_smaller_one() -> None:
    cache = AnswerCache(max_bytes=100 * ENTRY_BYTES)
    quiet, flooded = cache.open_shelf(), cache.open_shelf()
    fill(quiet, 30)
    for number in range(5_000):
        flooded.keep(number, number, number % 700)
        assert len(quiet) == 30
        assert flooded.get(number) == number, "the newest is kept"
        assert cache.size_bytes <= cache.max_bytes


@pytest.mark.parametrize(("text_bytes", "kept"), [(12_600, True), (12_601, False), (10**9, False)])
def test_an_answer_over_a_sixteenth_of_the_bound_is_not_kept(text_bytes: int, kept: bool) -> None:
    """It would push out too many others."""
    cache = AnswerCache(max_bytes=160 * ENTRY_BYTES)
    shelf, other = cache.open_shelf(), cache.open_shelf()
    fill(other, 160)
    shelf.keep("a", "x", text_bytes)
    assert (shelf.get("a") is not None, len(other)) == (kept, 0 if kept else 160)


def test_the_default_bound_is_that_of_the_documentation() -> None:
    assert AnswerCache().max_bytes == MAX_BYTES == 32 * 2**20


def test_counts_stay_exact_over_thousands_of_random_operations() -> None:
    chance = random.Random(5)
    cache = AnswerCache(max_bytes=60_000)
    shelves = [cache.open_shelf() for _ in range(6)]
    emptied = 0
    for _ in range(20_000):
        shelf = chance.choice(shelves)
        if chance.random() < 0.01:
            shelf.clear()
        key, text_bytes = chance.randrange(40), chance.choice((0, 10, 700, 2_000, 2_749, 2_750, 2_751, 9_999))
        before = {each: len(each) for each in shelves}
        shelf.keep(key, text_bytes, text_bytes)
        emptied += sum(1 for each in shelves if len(each) < before[each])
        # What each shelf has, by its answers: every one is the number of bytes that it was kept with.
        for each in shelves:
            texts = [text for text in map(each.get, range(40)) if text is not None]
            assert len(each) == len(texts)
            assert each.size_bytes == sum(text + ENTRY_BYTES for text in texts)
            assert all(text + ENTRY_BYTES <= cache.max_bytes // 16 for text in texts)
        assert cache.size_bytes == sum(each.size_bytes for each in shelves) <= cache.max_bytes
        assert cache._shelves == {each for each in shelves if len(each)}
    assert emptied > 100, "the bound was reached again and again"
    for each in shelves:
        each.close()
    assert (cache.size_bytes, cache._shelves) == (0, set())


class Shelves(RuleBasedStateMachine):
    """Snapshots come and go while questions are asked; a plain dictionary beside each shelf says what is right."""

    shelves: Bundle[AnswerShelf] = Bundle("shelves")

    @initialize(max_bytes=st.integers(20_000, 80_000))
    def begin(self, max_bytes: int) -> None:
        self.cache = AnswerCache(max_bytes)
        self.model: dict[AnswerShelf, dict[int, tuple[object, int]]] = {}

    @rule(target=shelves)
    def open(self) -> AnswerShelf:
        shelf = self.cache.open_shelf()
        self.model[shelf] = {}
        return shelf

    @rule(target=shelves, shelf=consumes(shelves))
    def close(self, shelf: AnswerShelf) -> Any:
        shelf.close()
        del self.model[shelf]
        return multiple()

    @rule(shelf=shelves, keys=st.lists(st.integers(0, 50), max_size=20), text_bytes=st.integers(0, 5_000))
    def keep(self, shelf: AnswerShelf, keys: list[int], text_bytes: int) -> None:
        for key in keys:
            answer = object()
            size_bytes = text_bytes + ENTRY_BYTES
            shelf.keep(key, answer, text_bytes)
            if key not in self.model[shelf] and size_bytes <= self.cache.max_bytes // 16:
                while self._total() + size_bytes > self.cache.max_bytes:
                    self._empty_largest()
                self.model[shelf][key] = answer, size_bytes

    def _total(self) -> int:
        return sum(self._size(each) for each in self.model)

    def _size(self, shelf: AnswerShelf) -> int:
        return sum(size_bytes for _, size_bytes in self.model[shelf].values())

    def _empty_largest(self) -> None:
        """Empty what is the largest by the model; of several, the one that the cache chose."""
        largest = max(self._size(each) for each in self.model)
        candidates = [each for each in self.model if self._size(each) == largest]
        emptied = next((each for each in candidates if each.size_bytes < largest), candidates[0])
        self.model[emptied].clear()

    @invariant()
    def same_as_the_model(self) -> None:
        for shelf, answers in self.model.items():
            assert len(shelf) == len(answers)
            assert all(shelf.get(key) is answer for key, (answer, _) in answers.items())
            assert shelf.size_bytes == self._size(shelf)
        assert self.cache.size_bytes == self._total() <= self.cache.max_bytes


TestShelves = Shelves.TestCase
TestShelves.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


# -- through the interface


def deep_size(value: object, seen: set[int]) -> int:
    """Return the bytes that a value takes with all it refers to, each object once."""
    if id(value) in seen or isinstance(value, type):
        return 0
    seen.add(id(value))
    size = sys.getsizeof(value)
    if isinstance(value, dict):
        return size + sum(deep_size(each, seen) for pair in value.items() for each in pair)
    if isinstance(value, tuple):
        return size + sum(deep_size(each, seen) for each in value)
    slots = getattr(type(value), "__slots__", ())
    return size + sum(deep_size(getattr(value, each), seen) for each in slots if hasattr(value, each))


async def check(service: Any, application_id: str, version: str, **more: str) -> Any:
    query = {"current_version": version, "platform": "linux", "architecture": "amd64", **more}
    return await service.call("GET", f"/api/v1/updates/{application_id}/check", params=query, status=200)


async def test_invented_versions_stay_within_the_bound_and_leave_other_applications_alone(service: Any) -> None:
    services = service.services
    await service.application("other")
    for application_id in ("my-app", "other"):
        await register(services.publishing, "9.0.0", LINUX, application_id, notes="Notes. " * 20)
    cache, shelves = services.offers.answers, services.offers.present
    cache.max_bytes = 200_000
    await settle(service)
    for number in range(10):
        await check(service, "other", f"1.0.{number}")
    seen_sizes = []
    for number in range(600):
        version = f"1.{number}.0-x{'x' * (number % 80)}"
        answer = await check(service, "my-app", version)
        assert (answer["latest_version"], answer["current_version"]) == ("9.0.0", version)
        shelf = shelves("my-app").answers
        taken = deep_size(shelf._answers, set()) if number % 25 == 0 else 0
        assert taken <= shelf.size_bytes <= cache.size_bytes <= cache.max_bytes, "counted is what it takes, or more"
        seen_sizes.append(len(shelf))
    emptied = sum(after < before for before, after in itertools.pairwise(seen_sizes))
    assert emptied >= 3, "the flood emptied its shelf several times"
    assert len(shelves("other").answers) == 10
    assert cache.size_bytes == sum(shelves(each).answers.size_bytes for each in ("my-app", "other"))


async def test_answers_die_with_their_snapshot_and_give_their_bytes_back(service: Any) -> None:
    services = service.services
    await register(services.publishing, "1.0.0")
    await settle(service)
    for number in range(5):
        await check(service, "my-app", f"0.{number}.0")
    old = services.offers.present("my-app").answers
    assert (len(old), services.offers.answers.size_bytes) == (5, old.size_bytes)
    await register(services.publishing, "1.1.0")
    assert (len(old), services.offers.answers.size_bytes) == (0, 0)
    assert (await check(service, "my-app", "0.0.0"))["latest_version"] == "1.1.0"
    await service.call("DELETE", "/api/v1/applications/my-app", key="admin", status=204)
    assert services.offers.answers.size_bytes == 0


async def test_no_identity_is_in_a_key(service: Any) -> None:
    """The same question from many clients is one entry: neither headers nor unknown fields count."""
    await register(service.services.publishing, "1.0.0")
    await settle(service)
    path = "/api/v1/updates/my-app/check?current_version=0.1.0&platform=linux&architecture=amd64"
    for number in range(5):
        headers = {"User-Agent": f"client {number}", "X-Forwarded-For": f"10.0.0.{number}"}
        await service.call("GET", f"{path}&client_id={number}", headers=headers, status=200)
    assert len(service.services.offers.present("my-app").answers) == 1
