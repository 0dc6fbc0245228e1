"""Snapshots follow changes: when told, at once after a write of their own, and never serve what cannot be read again.

Controls: `tell` left out of `write`, `_present` not swapped for a deleted application, `require_current` left out of
`present`, the old shelves not closed: each is found.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.actors import TESTER
from tests.builds import LINUX, catalog_of, publishing_of, register
from tests.databases import place_database
from tests.rollouts_of import changes_of, moves_of
from updater.catalog.publishing import Publishing
from updater.catalog.service import CatalogService
from updater.catalog.store import CatalogStore
from updater.catalog.versions import parse_version
from updater.database.engine import Database
from updater.database.mirror import EVERYTHING, STALE_S
from updater.database.opening import open_database
from updater.errors import NotFound, Unavailable
from updater.offers.decision import Offer, UpdateQuery
from updater.offers.downloads import DownloadService
from updater.offers.service import OfferService
from updater.offers.store import OfferStore
from updater.rollouts.releases import ReleaseMoves


class Rooms(NamedTuple):
    """The services of one process that stand on a database alone."""

    database: Database
    catalog: CatalogService
    publishing: Publishing
    offers: OfferService
    releases: ReleaseMoves


def rooms_of(database: Database) -> Rooms:
    store = CatalogStore(database)
    return Rooms(
        database,
        catalog_of(database),
        publishing_of(database, changes_of(database).open_rollout),
        OfferService(OfferStore(database), store, database),
        moves_of(database),
    )


async def create(rooms: Rooms, application_id: str = "my-app") -> None:
    await rooms.catalog.create_application(application_id, name="x", platforms=("linux",), extra={}, actor=TESTER)


@pytest.fixture
async def rooms(database_url: str | None, tmp_path: Path) -> AsyncIterator[Rooms]:
    """Give the rooms of a process that has `my-app` with 1.0.0, and that hears of its own changes alone."""
    if database_url is None:
        place_database(tmp_path)
    async with open_database(database_url, tmp_path) as database:
        opened = rooms_of(database)
        await opened.offers.load()
        await create(opened)
        await register(opened.publishing, "1.0.0")
        yield opened
        await opened.offers.close()


@pytest.fixture
async def elsewhere(rooms: Rooms, database_url: str | None, tmp_path: Path) -> AsyncIterator[Rooms]:
    """Give the rooms of another process on the same database."""
    async with open_database(database_url, tmp_path) as database:
        opened = rooms_of(database)
        yield opened
        await opened.offers.close()


def check(offers: OfferService, current: str = "0.1.0", application_id: str = "my-app") -> str | None:
    decided = offers.check(application_id, UpdateQuery(parse_version(current), LINUX))
    return decided.build.version.text if isinstance(decided, Offer) else None


# -- followed


async def test_a_change_is_offered_when_its_write_returns(rooms: Rooms) -> None:
    assert check(rooms.offers) == "1.0.0"
    await register(rooms.publishing, "1.1.0")
    assert check(rooms.offers) == "1.1.0"
    await rooms.catalog.update_application("my-app", {"config": {"max_version": "1.0.5"}}, actor=TESTER)
    assert check(rooms.offers) == "1.0.0"
    await rooms.catalog.update_application("my-app", {"config": {"max_version": ""}}, actor=TESTER)
    await rooms.releases.withdraw("my-app", "1.1.0", actor=TESTER)
    assert check(rooms.offers) == "1.0.0"
    await rooms.catalog.delete_build("my-app", "1.0.0", LINUX, actor=TESTER)
    assert check(rooms.offers) is None


async def test_a_change_made_elsewhere_is_followed_only_when_told(rooms: Rooms, elsewhere: Rooms) -> None:
    before = rooms.offers.present("my-app")
    await register(elsewhere.publishing, "1.1.0")
    await create(elsewhere, "other")
    assert rooms.offers.present("my-app") is before
    assert rooms.offers.application_ids() == ["my-app"]
    await rooms.database.tell({"other"})
    assert rooms.offers.application_ids() == ["my-app", "other"]
    assert rooms.offers.present("my-app") is before, "only what was told of is read"
    await rooms.database.tell({"my-app"})
    assert check(rooms.offers) == "1.1.0"
    await elsewhere.catalog.delete_build("my-app", "1.1.0", LINUX, actor=TESTER)
    await elsewhere.catalog.delete_application("other", actor=TESTER)
    assert check(rooms.offers) == "1.1.0"
    await rooms.database.tell({EVERYTHING})
    assert (check(rooms.offers), rooms.offers.application_ids()) == ("1.0.0", ["my-app"])


async def test_topics_that_are_no_applications_are_not_read(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: Any) -> Any:
        raise AssertionError("nothing to read")

    before = rooms.offers.present("my-app")
    monkeypatch.setattr(rooms.offers._store, "load", never)
    await rooms.database.tell({"#keys"})
    assert rooms.offers.present("my-app") is before


async def test_what_is_swapped_is_swapped_whole(rooms: Rooms) -> None:
    """A snapshot that a request holds stays as it was; the answers rendered from it go."""
    old = rooms.offers.present("my-app")
    old.answers.keep("question", "answer", 10)
    await register(rooms.publishing, "1.1.0")
    new = rooms.offers.present("my-app")
    assert list(old.snapshot.builds) == [("1.0.0", LINUX)]
    assert list(new.snapshot.builds) == [("1.1.0", LINUX)]
    assert (len(old.answers), len(new.answers), rooms.offers.answers.size_bytes) == (0, 0, 0)


async def test_an_application_keeps_its_snapshot_while_others_change(rooms: Rooms) -> None:
    await create(rooms, "other")
    kept = rooms.offers.present("my-app")
    kept.answers.keep("question", "answer", 10)
    await rooms.catalog.update_application("other", {"name": "New"}, actor=TESTER)
    await rooms.catalog.delete_application("other", actor=TESTER)
    assert rooms.offers.present("my-app") is kept
    assert kept.answers.get("question") == "answer"


async def test_a_removed_application_disappears(rooms: Rooms) -> None:
    await create(rooms, "other")
    old = rooms.offers.present("my-app")
    old.answers.keep("question", "answer", 10)
    await rooms.catalog.delete_application("my-app", actor=TESTER)
    assert rooms.offers.application_ids() == ["other"]
    assert rooms.offers.answers.size_bytes == 0
    with pytest.raises(NotFound) as caught:
        rooms.offers.snapshot_of("my-app")
    assert caught.value.kind == "application"
    await create(rooms)
    assert check(rooms.offers) is None, "created again it begins anew"


async def test_changes_made_at_once_are_all_followed(rooms: Rooms) -> None:
    await asyncio.gather(*(register(rooms.publishing, f"1.{number}.0") for number in range(1, 13)))
    assert check(rooms.offers) == "1.12.0"


# -- a change that cannot be read again


async def test_a_deletion_that_cannot_be_read_again_is_never_offered_after_its_answer(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The write returns after a second; from then on the application is refused until reading works."""
    await create(rooms, "other")
    await register(rooms.publishing, "1.1.0")
    tried = 0

    async def fails(*_: Any) -> Any:
        nonlocal tried
        tried += 1
        raise Unavailable("The database does not answer at the moment")

    with monkeypatch.context() as broken:
        broken.setattr(OfferStore, "load", fails)
        began_s = time.monotonic()
        await rooms.catalog.delete_build("my-app", "1.1.0", LINUX, actor=TESTER)
        assert STALE_S <= time.monotonic() - began_s < STALE_S + 20
        assert tried > 1
        questions: tuple[Callable[[], object], ...] = (
            lambda: check(rooms.offers),
            lambda: rooms.offers.get_latest("my-app", LINUX),
            lambda: rooms.offers.get_newest_release("my-app"),
            lambda: rooms.offers.assess("my-app", parse_version("1.0.0")),
            lambda: rooms.offers.parse("my-app", "1.0.0", "version"),
        )
        for ask in questions:
            with pytest.raises(Unavailable):
                ask()
        with pytest.raises(Unavailable):
            await DownloadService(rooms.offers, CatalogStore(rooms.database), rooms.database).get_build(
                "my-app", "1.1.0", LINUX
            )
        assert check(rooms.offers, application_id="other") is None, "others are served"
        assert rooms.offers.application_ids() == ["my-app", "other"]
    await served_again(rooms.offers)
    assert check(rooms.offers) == "1.0.0"


async def test_what_is_not_answered_yet_is_served_as_it_was_and_answered_when_it_is_read(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("updater.database.mirror.STALE_S", 60.0)
    await register(rooms.publishing, "1.1.0")
    tried = asyncio.Event()

    async def fails(*_: Any) -> Any:
        tried.set()
        raise Unavailable("The database does not answer at the moment")

    with monkeypatch.context() as broken:
        broken.setattr(OfferStore, "load", fails)
        deletion = asyncio.create_task(rooms.catalog.delete_build("my-app", "1.1.0", LINUX, actor=TESTER))
        await tried.wait()
        assert check(rooms.offers) == "1.1.0"
        assert not deletion.done()
    async with asyncio.timeout(30):
        await deletion
    assert check(rooms.offers) == "1.0.0"


async def served_again(offers: OfferService) -> None:
    """Wait until `my-app` is served. It is retried every second at least."""
    async with asyncio.timeout(30):
        while True:
            try:
                offers.present("my-app")
                return
            except Unavailable:
                await asyncio.sleep(0.01)


async def test_an_unexpected_failure_is_repeated_as_well(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong; a write that is read within the second is answered as usual."""
    load, failures = rooms.offers._store.load, [ValueError("a row that cannot be read"), Unavailable("away")]

    async def fails_twice(ids: Any = None) -> Any:
        if failures:
            raise failures.pop()
        return await load(ids)

    monkeypatch.setattr(rooms.offers._store, "load", fails_twice)
    await register(rooms.publishing, "1.1.0")
    assert not failures
    assert check(rooms.offers) == "1.1.0"


async def test_a_change_to_everything_that_cannot_be_read_refuses_everything(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: Any) -> Any:
        raise Unavailable("The database does not answer at the moment")

    with monkeypatch.context() as broken:
        broken.setattr(OfferStore, "load", fails)
        await rooms.database.tell({EVERYTHING})
        for application_id in ("my-app", "nope"):
            with pytest.raises(Unavailable):
                rooms.offers.present(application_id)
    await served_again(rooms.offers)
    with pytest.raises(NotFound):
        rooms.offers.present("nope")


async def test_loading_fails_with_the_database(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start does not go on without its snapshots."""

    async def fails(*_: Any) -> Any:
        raise Unavailable("The database does not answer at the moment")

    monkeypatch.setattr(OfferStore, "load", fails)
    with pytest.raises(Unavailable):
        await rooms.offers.load()
