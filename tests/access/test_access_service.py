"""Who is let in, and the life of keys, with rows in memory: what is asked of database and audit, and when."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from tests.actors import TESTER
from updater.access.keys import FEED_KEY_CHARACTERS, ApiKey, key_digest
from updater.access.principals import EVERYBODY, Permission, Principal
from updater.access.service import AccessService
from updater.access.store import KEYS
from updater.audit.model import SYSTEM, Actor, ActorKind, Entry
from updater.database import mirror
from updater.database.mirror import EVERYTHING
from updater.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated, Unavailable
from updater.settings import AccessSettings, ApiKeySettings

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECRET = b"s" * 32
TEXT = "reader-key-0123456789"


class Rows:
    """The rows of keys, and what was asked for, in order."""

    def __init__(self) -> None:
        self.keys: dict[int, ApiKey] = {}
        self.log: list[Any] = []
        self.fails = False
        self.subscribed: list[Any] = []

    # -- as the store

    async def list_keys(self) -> list[ApiKey]:
        if self.fails:
            raise Unavailable("gone")
        return list(self.keys.values())

    async def has_keys(self, connection: Any) -> bool:
        assert connection is self
        self.log.append("has keys")
        return bool(self.keys)

    async def insert_key(self, connection: Any, key: ApiKey) -> int:
        assert connection is self
        number = len(self.keys) + 1
        self.keys[number] = dataclasses.replace(key, id=number)
        return number

    async def revoke_key(self, connection: Any, key_id: int, now: datetime) -> tuple[str, str] | None:
        assert connection is self
        found = self.keys.get(key_id)
        if found is None or found.revoked_at is not None:
            return None
        self.keys[key_id] = dataclasses.replace(found, revoked_at=now)
        return found.name, found.digest

    async def note_used(self, used: Mapping[str, datetime]) -> None:
        if self.fails:
            raise Unavailable("gone")
        self.log.append(("used", dict(used)))

    # -- as the database

    def subscribe(self, follow: Any) -> None:
        self.subscribed.append(follow)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Any]:
        yield self

    async def announce(self, connection: Any, *topics: str) -> None:
        assert connection is self
        self.log.append(("announced", *topics))

    # -- as the audit

    async def hold(self, connection: Any) -> None:
        assert connection is self
        self.log.append("held")

    async def record(self, connection: Any, actor: Actor, entry: Entry) -> None:
        assert connection is self
        self.log.append((actor, entry))


@pytest.fixture
def rows() -> Rows:
    return Rows()


@pytest.fixture
def clock() -> SimpleNamespace:
    return SimpleNamespace(now=NOW)


@pytest.fixture
def access(rows: Rows, clock: SimpleNamespace) -> AccessService:
    return service(rows, clock)


def service(rows: Any, clock: SimpleNamespace, **settings: Any) -> AccessService:
    return AccessService(rows, AccessSettings(**settings), rows, rows, secret=SECRET, clock=lambda: clock.now)


def configured(**more: Any) -> ApiKeySettings:
    return ApiKeySettings(**{"name": "of the settings", "key": TEXT, "permissions": ("read", "write"), **more})


async def test_a_key_of_the_settings_is_its_highest_level(rows: Rows, clock: SimpleNamespace) -> None:
    ends = NOW + timedelta(days=1)
    keys = (configured(expires_at=ends, application="my-app"), configured(key="x" * 16, enabled=False))
    access = service(rows, clock, api_keys=keys)
    digest = key_digest(SECRET, TEXT)
    wanted = ApiKey(None, "of the settings", digest, Permission.WRITE, "my-app", None, ends)
    assert access.list_configured_keys() == [wanted]
    assert access.identify(TEXT) is None, "nothing is read yet"
    await access.load()
    assert access.keys() == [wanted]
    who = Principal(f"key:{digest[:16]}", "of the settings", Permission.WRITE, "my-app", digest)
    assert access.identify(TEXT) == access.find_key(TEXT) == who
    assert access.identify(TEXT + "x") is None
    assert access.identify("x" * 16) is None
    assert access.identify(None) is None
    clock.now = ends
    assert (access.identify(TEXT), access.find_key(TEXT)) == (None, None)


async def test_switched_off_everybody_is_let_in_and_keys_are_known(rows: Rows, clock: SimpleNamespace) -> None:
    access = service(rows, clock, enabled=False, api_keys=(configured(),))
    await access.load()
    assert access.identify(None) is access.identify("anything") is EVERYBODY
    assert access.find_key("anything") is None
    found = access.find_key(TEXT)
    assert found is not None
    assert found.name == "of the settings"
    access.configure(AccessSettings())
    assert access.identify(None) is None
    await access.load()
    assert access.keys() == []


async def test_keys_that_are_known_to_be_old_let_nobody_in(
    rows: Rows, access: AccessService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "STALE_S", 0.01)
    _, text = await access.create_key("k", "read", actor=TESTER)
    await access.load()
    rows.fails = True
    (follow,) = rows.subscribed
    await follow({"my-app", EVERYTHING})
    assert access.identify(text) is not None, "other topics are no business of keys"
    await follow({KEYS})
    for ask in (access.identify, access.find_key):
        with pytest.raises(Unavailable):
            ask(text)
    monkeypatch.setattr(mirror, "STALE_S", 30)  # so that it waits for the reading, however slow
    rows.fails = False
    await follow({KEYS})
    assert access.identify(text) is not None
    await access.close()


@pytest.mark.parametrize("needed", Permission)
@pytest.mark.parametrize("held", Permission)
def test_a_level_includes_those_below(access: AccessService, held: Permission, needed: Permission) -> None:
    principal = Principal("key:1", "k", held)
    if held >= needed:
        access.authorize(principal, needed)
        access.authorize(principal, needed, "my-app")
        return
    with pytest.raises(Forbidden, match=rf"^This needs a key with {needed.name.lower()} permission$"):
        access.authorize(principal, needed)


def test_a_key_of_one_application_opens_no_other(access: AccessService) -> None:
    principal = Principal("key:1", "k", Permission.READ, "my-app")
    access.authorize(principal, Permission.READ, "my-app")
    access.authorize(principal, Permission.READ)
    with pytest.raises(Forbidden, match=r"^This key is for another application$"):
        access.authorize(principal, Permission.READ, "other")
    with pytest.raises(Unauthenticated, match=r"^A valid API key is required$"):
        access.authorize(None, Permission.NONE)


def test_a_source_is_hashed_with_the_secret(rows: Rows, clock: SimpleNamespace, access: AccessService) -> None:
    hashed = access.hash_source("192.0.2.1")
    assert hashed == "LoP658O92bGXHQIT-K6o", "reports of one source are found by it, whatever the version"
    other = AccessService(rows, AccessSettings(), rows, rows, secret=b"o" * 32)  # type: ignore[arg-type]
    assert (
        len({hashed, other.hash_source("192.0.2.1"), access.hash_source("192.0.2.2"), access.hash_source("\udc80")})
        == 4
    )


@pytest.mark.parametrize(
    ("given", "problems"),
    [
        ({"name": ""}, {"name": "expected 1 to 100 printable characters"}),
        ({"name": "x" * 101}, {"name": "expected 1 to 100 printable characters"}),
        ({"name": "a\nb"}, {"name": "expected 1 to 100 printable characters"}),
        ({"level": "root"}, {"level": "expected feed, read, write or admin"}),
        ({"level": "feed"}, {"application": "a feed key is for one application; name it"}),
        ({"expires_at": NOW}, {"expires_at": "expected a time in the future"}),
        (
            {"name": "", "level": "none", "expires_at": NOW - timedelta(1)},
            {
                "name": "expected 1 to 100 printable characters",
                "level": "expected feed, read, write or admin",
                "expires_at": "expected a time in the future",
            },
        ),
    ],
)
async def test_what_does_not_fit_makes_no_key(
    rows: Rows, access: AccessService, given: dict[str, Any], problems: dict[str, str]
) -> None:
    with pytest.raises(Invalid) as refused:
        await access.create_key(**{"name": "k", "level": "read", "actor": TESTER, **given})
    assert refused.value.fields == problems
    assert (rows.keys, rows.log) == ({}, [])


@pytest.mark.parametrize("name", ["x", "x" * 100])
@pytest.mark.parametrize(
    ("level", "application"), [("feed", "my-app"), ("read", None), ("write", "a"), ("admin", None)]
)
async def test_a_key_is_made_with_its_row_of_the_audit(
    rows: Rows, access: AccessService, name: str, level: str, application: str | None
) -> None:
    ends = NOW + timedelta(seconds=1.5)
    key, text = await access.create_key(name, level, actor=TESTER, application=application, expires_at=ends)
    assert key == ApiKey(1, name, key_digest(SECRET, text), Permission[level.upper()], application, NOW, ends)
    assert rows.keys == {1: key}
    after = {"level": level, "application": application, "expires_at": "2026-01-01T00:00:01+00:00"}
    assert rows.log == [(TESTER, Entry("key.created", f"key 1 {name}", after=after)), ("announced", KEYS)]
    assert (len(text) == FEED_KEY_CHARACTERS and text.isalnum()) == (level == "feed")
    assert text.startswith("upd_") == (level != "feed")
    await access.load()
    found = access.identify(text)
    assert found is not None
    assert (found.level, found.application) == (Permission[level.upper()], application)


async def test_the_first_key_is_made_once(rows: Rows, access: AccessService) -> None:
    text = await access.create_first_key()
    assert text is not None
    digest = key_digest(SECRET, text)
    assert rows.keys == {1: ApiKey(1, "first admin", digest, Permission.ADMIN, None, NOW, None)}
    after = {"level": "admin", "application": None, "expires_at": None}
    entry = Entry("key.created", "key 1 first admin", after=after)
    assert rows.log == ["held", "has keys", (SYSTEM, entry), ("announced", KEYS)]
    assert await access.create_first_key() is None
    assert len(rows.keys) == 1


async def test_a_key_is_revoked_once_and_not_by_itself(
    rows: Rows, clock: SimpleNamespace, access: AccessService
) -> None:
    key, _ = await access.create_key("k", "admin", actor=TESTER)
    rows.log.clear()
    with pytest.raises(Conflict, match=r"^A key cannot revoke itself; use another one, a session or the command line$"):
        await access.revoke_key(1, actor=TESTER, by=key.digest)
    rows.keys[1] = key  # the transaction took it back
    assert rows.log == []
    clock.now = NOW + timedelta(hours=1)
    await access.revoke_key(1, actor=TESTER, by="0" * 64)
    assert rows.keys[1].revoked_at == clock.now
    assert rows.log == [(TESTER, Entry("key.revoked", "key 1 k")), ("announced", KEYS)]
    for number in (1, 2):
        with pytest.raises(NotFound, match=rf"^No usable key has id {number}$") as refused:
            await access.revoke_key(number, actor=TESTER)
        assert refused.value.kind == "key"


async def test_uses_are_noted_and_none_is_lost(rows: Rows, clock: SimpleNamespace, access: AccessService) -> None:
    made = [await access.create_key(f"key {number}", "read", actor=TESTER) for number in range(2)]
    (first, _), (second, _) = made
    await access.load()
    rows.log.clear()
    await access.flush_used()
    assert rows.log == []
    assert access.find_key(made[0][1]) is not None
    await access.flush_used()
    assert rows.log == [], "to look a key up is no use of it"
    for _, text in made:
        access.identify(text)
    rows.fails = True
    with pytest.raises(Unavailable):
        await access.flush_used()
    rows.fails = False
    clock.now = NOW + timedelta(seconds=5)
    access.identify(made[0][1])
    access.identify("unknown")
    assert await access.list_keys() == list(rows.keys.values())
    assert rows.log == [("used", {first.digest: clock.now, second.digest: NOW})]
    await access.flush_used()
    assert len(rows.log) == 1


async def test_uses_that_were_not_stored_do_not_hide_later_ones(
    rows: Rows, clock: SimpleNamespace, access: AccessService, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, text = await access.create_key("k", "read", actor=TESTER)
    await access.load()
    access.identify(text)
    later = NOW + timedelta(seconds=9)

    async def meanwhile(used: Mapping[str, datetime]) -> None:
        clock.now = later
        access.identify(text)
        raise Unavailable("gone")

    monkeypatch.setattr(rows, "note_used", meanwhile)
    with pytest.raises(Unavailable):
        await access.flush_used()
    monkeypatch.undo()
    rows.log.clear()
    await access.flush_used()
    assert [list(used.values()) for _, used in rows.log] == [[later]]


@pytest.mark.parametrize(
    ("principal", "actor"),
    [
        (Principal("key:ab", "k", Permission.READ), Actor(ActorKind.KEY, "k")),
        (Principal("user:1", "ann", Permission.READ), Actor(ActorKind.USER, "ann")),
        (Principal("token:1", "user 1", Permission.READ), Actor(ActorKind.USER, "user 1")),
        (EVERYBODY, Actor(ActorKind.OPEN, "")),
    ],
)
def test_as_whom_the_audit_knows_somebody(principal: Principal, actor: Actor) -> None:
    assert principal.actor == actor
