"""Users, passwords and sessions, on a real database."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.actors import TESTER, audit_of
from updater.access.accounts import AccountService
from updater.access.people import PeopleService
from updater.access.store import PeopleStore
from updater.access.users import Role
from updater.database.engine import Database
from updater.database.opening import open_database
from updater.errors import Conflict, Invalid, NotFound, Unauthenticated
from updater.settings import AccessSettings

PASSWORD = "correct horse battery"


class Hand:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **time: float) -> None:
        self.now += timedelta(**time)


@pytest.fixture
def clock() -> Hand:
    return Hand()


@pytest.fixture
async def database(database_url: str | None, tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(database_url, tmp_path) as opened:
        yield opened


@pytest.fixture
async def people(database: Database, clock: Hand) -> PeopleService:
    settings = AccessSettings(session_idle_minutes=30, session_hours=8)
    return PeopleService(PeopleStore(database), settings, database, audit_of(database), secret=b"s" * 32, clock=clock)


@pytest.fixture
async def accounts(people: PeopleService, database: Database, clock: Hand) -> AccountService:
    return AccountService(PeopleStore(database), people, database, audit_of(database), secret=b"s" * 32, clock=clock)


async def test_somebody_signs_in_is_known_and_signs_out(people: PeopleService) -> None:
    made = await people.create_user(" Anna@Example.com ", "staff", PASSWORD, actor=TESTER)
    assert (made.name, made.role) == ("anna@example.com", Role.STAFF)
    session_id, opened = await people.sign_in("ANNA@example.com", PASSWORD)
    found = await people.find_session(session_id)
    assert found is not None
    assert found.user.id == made.id == opened.user.id
    assert found.user.principal().user_id == made.id
    await people.sign_out(session_id)
    assert await people.find_session(session_id) is None


@pytest.mark.parametrize(
    ("name", "password"), [("anna", PASSWORD + "!"), ("anna", ""), ("nobody", PASSWORD), ("off", PASSWORD), ("", "")]
)
async def test_every_refusal_is_the_same(
    people: PeopleService, accounts: AccountService, name: str, password: str
) -> None:
    await people.create_user("anna", "admin", PASSWORD, actor=TESTER)
    await people.create_user("off", "admin", PASSWORD, actor=TESTER)
    await accounts.change_user("off", disabled=True, actor=TESTER)
    with pytest.raises(Unauthenticated, match="The name or the password is wrong"):
        await people.sign_in(name, password)


async def test_an_unknown_name_takes_as_long_as_a_wrong_password(people: PeopleService) -> None:
    """Counted in processor time, which no neighbour prolongs.

    Control: with `fits` returning at once for an unknown name, the medians differ by far more than half.
    """
    await people.create_user("anna", "admin", PASSWORD, actor=TESTER)
    took: dict[str, list[float]] = {"anna": [], "nobody": []}
    for _ in range(5):
        for name, times in took.items():
            started = time.process_time()
            with pytest.raises(Unauthenticated):
                await people.sign_in(name, "wrong password")
            times.append(time.process_time() - started)
    known, unknown = (sorted(times)[2] for times in took.values())
    assert 0.5 < known / unknown < 2


async def test_nothing_that_opens_a_door_is_kept(people: PeopleService, database: Database) -> None:
    await people.create_user("anna", "admin", PASSWORD, actor=TESTER)
    session_id, _ = await people.sign_in("anna", PASSWORD)
    async with database.read() as connection:
        kept = str((await connection.execute(text("SELECT * FROM user_account"))).all())
        kept += str((await connection.execute(text("SELECT * FROM session"))).all())
    assert "$argon2id$v=19$m=19456,t=2,p=1$" in kept
    assert PASSWORD not in kept
    assert session_id not in kept


async def test_a_session_ends_when_idle_and_in_any_case(people: PeopleService, clock: Hand) -> None:
    await people.create_user("anna", "user", PASSWORD, actor=TESTER)
    idle, _ = await people.sign_in("anna", PASSWORD)
    busy, _ = await people.sign_in("anna", PASSWORD)
    for _ in range(23):
        clock.pass_(minutes=20)
        assert await people.find_session(busy) is not None
    assert await people.find_session(idle) is None
    clock.pass_(minutes=20)
    assert await people.find_session(busy) is None, "eight hours are over"


async def test_a_script_session_lasts_as_long_as_was_said(people: PeopleService, clock: Hand) -> None:
    await people.create_user("ci", "admin", PASSWORD, actor=TESTER)
    session_id, session = await people.open_script_session("CI", 120, actor=TESTER)
    assert session.expires_at == clock.now + timedelta(hours=2)
    clock.pass_(minutes=119)
    assert await people.find_session(session_id) is not None
    clock.pass_(minutes=1)
    assert await people.find_session(session_id) is None
    for minutes in (0, -1, 10**9, float("nan")):
        with pytest.raises(Invalid):
            await people.open_script_session("ci", minutes, actor=TESTER)


@pytest.mark.parametrize("how", ["password", "disable"])
async def test_a_new_password_and_a_disabling_end_all_sessions(
    people: PeopleService, accounts: AccountService, how: str
) -> None:
    await people.create_user("anna", "user", PASSWORD, actor=TESTER)
    await people.create_user("bert", "user", PASSWORD, actor=TESTER)
    ids = [(await people.sign_in("anna", PASSWORD))[0] for _ in range(2)]
    other, _ = await people.sign_in("bert", PASSWORD)
    if how == "password":
        await accounts.change_user("anna", password="another long password", actor=TESTER)
    else:
        await accounts.change_user("anna", disabled=True, actor=TESTER)
    assert [await people.find_session(each) for each in ids] == [None, None]
    assert await people.find_session(other) is not None
    with pytest.raises(Unauthenticated):
        await people.sign_in("anna", PASSWORD)


async def test_somebody_disabled_can_be_let_in_again(people: PeopleService, accounts: AccountService) -> None:
    await people.create_user("anna", "user", PASSWORD, actor=TESTER)
    await accounts.change_user("anna", disabled=True, actor=TESTER)
    with pytest.raises(Conflict):
        await people.open_script_session("anna", 5, actor=TESTER)
    await accounts.change_user("anna", disabled=False, actor=TESTER)
    assert (await people.sign_in("anna", PASSWORD))[1].user.disabled_at is None


async def test_what_is_no_session_id_is_nobody(people: PeopleService) -> None:
    for presented in ("", "x", "x" * 43, "x" * 44, "é" * 43, "' OR 1=1 --" + "x" * 32, "\0" * 43):
        assert await people.find_session(presented) is None
        await people.sign_out(presented)


async def test_sessions_that_are_over_are_removed(people: PeopleService, database: Database, clock: Hand) -> None:
    await people.create_user("anna", "user", PASSWORD, actor=TESTER)
    for _ in range(3):
        await people.sign_in("anna", PASSWORD)
    clock.pass_(hours=9)
    await people.sign_in("anna", PASSWORD)
    async with database.read() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM session"))).scalar() == 1


@pytest.mark.parametrize("name", ["", " ", "a b", "a\nb", "-a", "ä", "a" * 101, "<script>", "a/b", "\0"])
async def test_names_that_do_not_fit(people: PeopleService, name: str) -> None:
    with pytest.raises(Invalid) as caught:
        await people.create_user(name, "chief", "short", actor=TESTER)
    assert set(caught.value.fields) == {"name", "role", "password"}


async def test_names_are_taken_once_in_any_case(people: PeopleService, accounts: AccountService) -> None:
    await people.create_user("anna", "user", PASSWORD, actor=TESTER)
    with pytest.raises(Conflict, match="anna"):
        await people.create_user("ANNA", "admin", PASSWORD, actor=TESTER)
    with pytest.raises(NotFound):
        await accounts.change_user("nobody", password=PASSWORD, actor=TESTER)


async def test_passwords_may_be_long_and_hold_anything(people: PeopleService) -> None:
    for number, password in enumerate(("x" * 1000, "pässwörd \0 \U0001f600 " * 3, "\ud800" * 10)):
        await people.create_user(f"u{number}", "user", password, actor=TESTER)
        await people.sign_in(f"u{number}", password)
        with pytest.raises(Unauthenticated):
            await people.sign_in(f"u{number}", password + "x")


def test_a_form_token_fits_its_own_session_alone() -> None:
    from updater.access.sessions import fits_token, form_token

    token = form_token(b"secret", "one")
    assert fits_token(b"secret", "one", token)
    assert not any(fits_token(b"secret", bound, given) for bound, given in (("two", token), ("one", ""), ("one", "é")))
    assert not fits_token(b"other", "one", token)
