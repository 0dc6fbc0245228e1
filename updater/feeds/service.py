"""Answers of feeds: read once for an application, rendered once for each question, kept until something changes.

The feed snapshot of an application is read when the first feed of it is asked, hangs on its index snapshot and dies
with it, as do the answers rendered from it. A warm feed costs no SQL and no await. Answers are kept by question and
cohort, never by client: a client's version counts by its place among the versions and minimums that are there.
"""

from __future__ import annotations

import asyncio
import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from updater.catalog.files import FileKind, name_key, own_name
from updater.catalog.model import Application, Build, BuildFile
from updater.catalog.platforms import Target
from updater.catalog.versions import Version, parse_version
from updater.errors import Invalid, NotFound, Unavailable
from updater.feeds.model import FileUrl, Page, Question, Rendered
from updater.feeds.notes import is_known, to_html
from updater.feeds.registry import FeedSeen, view_feeds
from updater.offers.answers import AnswerShelf
from updater.offers.cohorts import Chance, cohort_of
from updater.offers.decision import NO_COHORT, Cohort
from updater.offers.feed_choice import (
    Candidates,
    FeedClient,
    FeedSnapshot,
    FeedStatus,
    chances_of,
    choose,
    find_candidates,
)
from updater.offers.feed_store import FeedStore
from updater.offers.service import FeedSlot, OfferService, Present

PENDING_RETRY_S = 30
"""A feed that waits for a digest is asked again after so long."""
MAX_SNAPSHOT_BYTES = 64 * 1024 * 1024
# What a file, a build and a chance take in memory, beside their long texts. Source: measured.
_FILE_BYTES, _BUILD_BYTES, _CHANCE_BYTES = 1_400, 2_000, 400
_PACKAGES = (FileKind.PACKAGE, FileKind.DELTA)
_LISTED = frozenset({FeedStatus.LISTED})
_OR_PENDING = frozenset({FeedStatus.LISTED, FeedStatus.DIGEST_PENDING})


class FeedAnswer:
    """What a question gets: equal questions of alike clients get one and the same object.

    `digest` is the SHA-256 of the body, in hex. `by_dice`: another client could have got another answer. In `headers`
    a surface may keep what it says of the answer each time.
    """

    __slots__ = ("by_dice", "digest", "headers", "rendered")

    def __init__(self, rendered: Rendered, *, by_dice: bool) -> None:
        self.rendered = rendered
        self.digest = hashlib.sha256(rendered.body).hexdigest()
        self.by_dice = by_dice
        self.headers: Any = None


class _Known:
    """What is kept of a question: its answer, or the chances that the answer of each client depends on.

    It is equal to itself alone, so it is the short half of the keys of its answers.
    """

    __slots__ = ("answer", "chances")

    def __init__(self, answer: FeedAnswer | None, chances: tuple[Chance, ...]) -> None:
        self.answer = answer
        self.chances = chances


class FeedState:
    """An application as its feeds are answered for now."""

    __slots__ = ("_notes", "_packages", "_places", "answers", "size_bytes", "snapshot")

    def __init__(self, snapshot: FeedSnapshot, answers: AnswerShelf) -> None:
        self.snapshot = snapshot
        self.answers = answers
        builds = [each for listed in snapshot.builds.values() for each in listed]
        keys = {each.build.version.sort_key for each in builds}
        keys |= {each.build.minimum.sort_key for each in builds if each.build.minimum is not None}
        floor = snapshot.application.config["min_version"]
        if floor:
            keys.add(parse_version(floor, snapshot.application.scheme).sort_key)
        self._places = sorted(keys)
        self._packages = {
            (target, name_key(file.name)): (each.build, file)
            for target, listed in snapshot.builds.items()
            for each in reversed(listed)
            for file in each.files
        }
        notes = sum(len(each.build.notes) for each in builds)
        self._notes: dict[Target, asyncio.Task[None]] = {}
        self.size_bytes = notes + _BUILD_BYTES * len(builds) + _FILE_BYTES * len(self._packages)

    def has_notes(self, target: Target) -> bool:
        """Tell whether `prepare_notes` was done for a target."""
        task = self._notes.get(target)
        return task is not None and task.done()

    async def prepare_notes(self, target: Target) -> None:
        """Make HTML of a target's notes in a thread, once, before answers hold it: 50 releases take half a second."""
        task = self._notes.get(target)
        if task is None:
            unknown = [each.build.notes for each in self.snapshot.builds.get(target, ())]
            unknown = [each for each in unknown if not is_known(each)]
            task = self._notes[target] = asyncio.create_task(_make_html(unknown))
        if not task.done():
            # A client that goes away must not end what others wait for.
            await asyncio.shield(task)

    def place_of(self, current: Version | None) -> int:
        """Return where a version stands among those that are there: all of one place get the same answers."""
        if current is None:
            return -1
        key = current.sort_key
        return bisect_left(self._places, key) + bisect_right(self._places, key)

    def find_file(self, target: Target, name: str) -> tuple[Build, BuildFile] | None:
        """Return a file of a target by its name, in any case: of several, the newest release's."""
        return self._packages.get((target, name_key(name)))


class FeedService:
    """Answers feeds. `find` is the way of nearly every request, `load` of the first one after a change."""

    def __init__(self, offers: OfferService, store: FeedStore) -> None:
        self._offers = offers
        self._store = store
        self._reading: dict[FeedSlot, asyncio.Task[FeedState]] = {}
        self._slots: WeakSet[FeedSlot] = WeakSet()
        self._count = 0

    def find(self, application_id: str) -> FeedState | None:
        """Return an application's feeds if they are in memory. Raises as `OfferService.present`."""
        held: FeedState | None = self._offers.present(application_id).feeds.held
        return held

    async def load(self, application_id: str) -> FeedState:
        """Return an application's feeds; however many ask at once, they are read once.

        Raises:
            NotFound: no such application. Unavailable: it cannot be read now.
        """
        while True:
            present = self._offers.present(application_id)
            held: FeedState | None = present.feeds.held
            if held is not None:
                return held
            task = self._reading.get(present.feeds)
            if task is None:
                task = self._reading[present.feeds] = asyncio.create_task(self._read(application_id, present))
            # A client that goes away must not end what others wait for.
            await asyncio.shield(task)

    async def _read(self, application_id: str, present: Present) -> FeedState:
        slot = present.feeds
        try:
            snapshot = await self._store.load(application_id, present.snapshot)
            state = FeedState(snapshot, present.answers)
            self._count += 1
            slot.held, slot.size_bytes, slot.number = state, state.size_bytes, self._count
            self._slots.add(slot)
            self._make_room()
            return state
        finally:
            del self._reading[slot]

    def _make_room(self) -> None:
        """Let go of what was read longest ago, but for the last, when all take too much."""
        slots = sorted(self._slots, key=lambda each: each.number, reverse=True)
        total = 0
        for each in slots:
            total += each.size_bytes
            if total > MAX_SNAPSHOT_BYTES and each is not slots[0]:
                each.held, each.size_bytes = None, 0
                self._slots.discard(each)

    async def find_package(self, application_id: str, target: Target, name: str) -> tuple[Build, BuildFile] | None:
        """Return a package or delta of an active release by its name, whose case does not count.

        Raises:
            NotFound: no such application. Unavailable: it cannot be looked for now.
        """
        if own_name(name) is None:
            return None
        state = self.find(application_id) or await self.load(application_id)
        found = state.find_file(target, name)
        if found is None:  # older than what feeds look at
            found = await self._store.find_package(application_id, target, name)
        return found if found is not None and found[1].kind in _PACKAGES else None

    async def view(self, application_id: str, channel: str) -> tuple[Application, str, list[FeedSeen]]:
        """Return what each feed shows on a channel (empty: the first), and what it passes over; read anew each time.

        Returns: the application, the channel, and the feeds.

        Raises:
            NotFound: no such application. Invalid: no such channel. Unavailable: it cannot be read now.
        """
        index = self._offers.snapshot_of(application_id)
        channels = index.application.channels
        channel = channel or channels[0]
        if channel not in channels:
            raise Invalid({"channel": f"expected one of {', '.join(channels)}"})
        snapshot = await self._store.load(application_id, index, active_only=False)
        return index.application, channel, view_feeds(snapshot, channels.index(channel))

    async def list_seen(self, application_id: str) -> list[tuple[str, FeedSeen]]:
        """Return what each feed shows of active releases and passes over, with the name of each channel.

        Raises:
            NotFound: no such application. Unavailable: it cannot be read now.
        """
        state = self.find(application_id) or await self.load(application_id)
        return await asyncio.to_thread(_see, state.snapshot)

    def answer(
        self,
        state: FeedState,
        question: Question,
        client: FeedClient,
        *,
        origin: str,
        file_url: FileUrl,
        identify: Callable[[], str | None],
    ) -> FeedAnswer:
        """Return what a client is told, rendered or kept.

        Args:
            state: the application's feeds.
            question: what is asked.
            client: who asks.
            origin: what the addresses of files begin with, with the key of the path if it has one.
            file_url: gives the address of a file on that origin.
            identify: returns the client's identity, None for one that asks by hand; called only when it matters.

        Raises:
            NotFound: there is nothing to show. Unavailable: there would be, but for a digest that is being worked out.
        """
        place = state.place_of(client.current)
        key = (question, client.channel, client.allow_prerelease, place, origin)
        known = state.answers.get(key)
        if known is None:
            known = self._look_into(state, question, client, file_url)
            size_bytes = 0 if known.answer is None else len(known.answer.rendered.body)
            state.answers.keep(key, known, size_bytes + len(origin) + _CHANCE_BYTES * len(known.chances))
        chances = known.chances
        if chances:
            identity = identify()
            own_key = known, cohort_of(chances, identity or "", manual=identity is None)
            found = state.answers.get(own_key)
            if found is None:
                rendered = _render(state, question, client, own_key[1], file_url)
                found = _Known(_answer_of(rendered, by_dice=True), ())
                state.answers.keep(own_key, found, 0 if rendered is None else len(rendered.body))
            known = found
        answer: FeedAnswer | None = known.answer
        if answer is None:
            raise NotFound("release", "There is nothing to show in this feed")
        if answer.rendered.status == 503:
            raise Unavailable("A digest of the newest file is being worked out", retry_after_s=PENDING_RETRY_S)
        return answer

    def _look_into(self, state: FeedState, question: Question, client: FeedClient, file_url: FileUrl) -> _Known:
        """Return the answer, or the chances that it depends on for each client."""
        groups = _candidates(state, question, client)
        chances: dict[int, Chance] = {}
        for found in groups:
            for each in chances_of(found, client, question.shape):
                if len(groups) > 1:  # what settles one group says nothing of another
                    each = Chance(each.release_id, each.dice, required=each.required)
                chances.setdefault(each.release_id, each)
        if chances:
            return _Known(None, tuple(chances.values()))
        return _Known(_answer_of(_render(state, question, client, NO_COHORT, file_url), by_dice=False), ())


def _see(snapshot: FeedSnapshot) -> list[tuple[str, FeedSeen]]:
    """View all feeds of all channels; of many releases that takes a tenth of a second."""
    channels = enumerate(snapshot.application.channels)
    return [(channel, each) for position, channel in channels for each in view_feeds(snapshot, position)]


_PENDING = Rendered(b"", status=503)


def _candidates(
    state: FeedState, question: Question, client: FeedClient, statuses: frozenset[FeedStatus] = _LISTED
) -> list[Candidates]:
    return [find_candidates(state.snapshot, targets, question.judge, client, statuses) for targets in question.groups]


def _render(
    state: FeedState, question: Question, client: FeedClient, cohort: Cohort, file_url: FileUrl
) -> Rendered | None:
    choices = tuple(choose(each, client, cohort) for each in _candidates(state, question, client))
    if not any(each.shown for each in choices):
        waiting = (choose(each, client, cohort) for each in _candidates(state, question, client, _OR_PENDING))
        if any(each.shown for each in waiting):
            return _PENDING
    return question.render(Page(state.snapshot.application, client, choices, file_url))


def _answer_of(rendered: Rendered | None, *, by_dice: bool) -> FeedAnswer | None:
    return None if rendered is None else FeedAnswer(rendered, by_dice=by_dice)


async def _make_html(notes: list[str]) -> None:
    if notes:
        await asyncio.to_thread(lambda: [to_html(each) for each in notes])
