"""Changes of accounts: nobody is locked out by accident, and what was changed ends sessions at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.actors import TESTER, audit_of
from updater.access.accounts import AccountService
from updater.access.people import PeopleService
from updater.access.store import PeopleStore
from updater.access.users import Role
from updater.audit.model import Filter
from updater.audit.service import AuditService
from updater.database.engine import Database
from updater.database.opening import open_database
from updater.errors import Conflict, Invalid, NotFound
from updater.settings import AccessSettings

PASSWORD, OTHER = "correct horse battery", "another long password"


@pytest.fixture
async def database(database_url: str | None, tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(database_url, tmp_path) as opened:
        yield opened


@pytest.fixture
async def audit(database: Database) -> AuditService:
    return audit_of(database)


@pytest.fixture
async def people(database: Database, audit: AuditService) -> PeopleService:
    return PeopleService(PeopleStore(database), AccessSettings(), database, audit, secret=b"s" * 32)


@pytest.fixture
async def accounts(people: PeopleService, database: Database, audit: AuditService) -> AccountService:
    return AccountService(PeopleStore(database), people, database, audit, secret=b"s" * 32)


async def actions(audit: AuditService) -> list[str]:
    rows, _ = await audit.list_rows(Filter())
    return [row.action for row in reversed(rows)]


@pytest.mark.parametrize("change", [{"role": "staff"}, {"disabled": True}, {"role": "user", "disabled": True}])
async def test_the_last_administrator_stays(
    people: PeopleService, accounts: AccountService, audit: AuditService, change: dict[str, Any]
) -> None:
    """Control: without the look at the others in `change_user` this is red."""
    await people.create_user("anna", "admin", PASSWORD, actor=TESTER)
    await people.create_user("off", "admin", PASSWORD, actor=TESTER)
    await accounts.change_user("off", disabled=True, actor=TESTER)
    session_id, _ = await people.sign_in("anna", PASSWORD)
    before = await actions(audit)
    with pytest.raises(Conflict, match="anna is the last administrator who can sign in"):
        await accounts.change_user("anna", **change, actor=TESTER)
    assert await people.find_session(session_id) is not None
    assert await actions(audit) == before
    await accounts.change_user("off", disabled=False, actor=TESTER)
    await accounts.change_user("anna", **change, actor=TESTER)
    assert await people.find_session(session_id) is None


async def test_of_two_administrators_who_end_each_other_one_stays(
    people: PeopleService, accounts: AccountService
) -> None:
    for name in ("anna", "ben"):
        await people.create_user(name, "admin", PASSWORD, actor=TESTER)
    for _ in range(5):
        outcomes = await asyncio.gather(
            accounts.change_user("anna", disabled=True, actor=TESTER),
            accounts.change_user("ben", role="user", actor=TESTER),
            return_exceptions=True,
        )
        assert sorted(type(each).__name__ for each in outcomes) == ["Conflict", "User"]
        left = [each for each in await people.list_users() if each.role is Role.ADMIN and each.disabled_at is None]
        assert len(left) == 1
        other = "ben" if left[0].name == "anna" else "anna"
        await accounts.change_user(other, role="admin", disabled=False, actor=TESTER)


async def test_nobody_takes_the_own_account_away(people: PeopleService, accounts: AccountService) -> None:
    anna = await people.create_user("anna", "admin", PASSWORD, actor=TESTER)
    await people.create_user("ben", "admin", PASSWORD, actor=TESTER)
    own = anna.principal().actor
    for change in ({"role": "staff"}, {"disabled": True}):
        with pytest.raises(Conflict, match="your own"):
            await accounts.change_user("ANNA", **change, actor=own)
    with pytest.raises(Conflict, match="with the present one"):
        await accounts.change_user("anna", password=OTHER, actor=own)
    assert await accounts.change_user("anna", role="admin", disabled=False, actor=own) == anna


async def test_several_changes_are_one(people: PeopleService, accounts: AccountService, audit: AuditService) -> None:
    await people.create_user("anna", "admin", PASSWORD, actor=TESTER)
    await people.create_user("ben", "user", PASSWORD, actor=TESTER)
    session_id, _ = await people.sign_in("ben", PASSWORD)
    with pytest.raises(Invalid) as refused:
        await accounts.change_user("ben", role="chief", password="short", actor=TESTER)
    assert set(refused.value.fields) == {"role", "password"}
    assert await people.find_session(session_id) is not None
    changed = await accounts.change_user("ben", role="staff", password=OTHER, actor=TESTER)
    assert changed.role is Role.STAFF
    assert await people.find_session(session_id) is None
    assert (await actions(audit))[-2:] == ["user.role_set", "user.password_set"]
    assert (await people.sign_in("ben", OTHER))[1].user.role is Role.STAFF


async def test_what_is_so_already_ends_nothing(
    people: PeopleService, accounts: AccountService, audit: AuditService
) -> None:
    await people.create_user("ben", "staff", PASSWORD, actor=TESTER)
    session_id, _ = await people.sign_in("ben", PASSWORD)
    before = await actions(audit)
    await accounts.change_user("ben", role="staff", disabled=False, actor=TESTER)
    await accounts.change_user("ben", actor=TESTER)
    assert await actions(audit) == before
    assert await people.find_session(session_id) is not None


async def test_the_own_password_keeps_this_session_and_ends_the_others(
    people: PeopleService, accounts: AccountService, audit: AuditService
) -> None:
    await people.create_user("anna", "user", PASSWORD, actor=TESTER)
    here, there = [(await people.sign_in("anna", PASSWORD))[0] for _ in range(2)]
    for present, new, field in (("wrong", OTHER, "current_password"), (PASSWORD, "short", "password")):
        with pytest.raises(Invalid) as refused:
            await accounts.change_own_password(here, present, new)
        assert list(refused.value.fields) == [field]
    assert await accounts.change_own_password(here, PASSWORD, OTHER) == 1
    assert await people.find_session(here) is not None
    assert await people.find_session(there) is None
    rows, _ = await audit.list_rows(Filter(), limit=1)
    assert (rows[0].action, rows[0].actor.name) == ("user.password_set", "anna")
    with pytest.raises(NotFound):
        await accounts.change_own_password(there, OTHER, PASSWORD)


async def test_of_two_new_own_passwords_at_once_one_counts(people: PeopleService, accounts: AccountService) -> None:
    await people.create_user("anna", "user", PASSWORD, actor=TESTER)
    ids = [(await people.sign_in("anna", PASSWORD))[0] for _ in range(2)]
    outcomes = await asyncio.gather(
        *(accounts.change_own_password(each, PASSWORD, f"{OTHER} {each}") for each in ids), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in outcomes) == ["Conflict", "int"]


async def test_sessions_are_listed_and_ended_by_a_number(people: PeopleService, accounts: AccountService) -> None:
    await people.create_user("anna", "user", PASSWORD, actor=TESTER)
    await people.create_user("ben", "user", PASSWORD, actor=TESTER)
    ids = [(await people.sign_in("anna", PASSWORD))[0] for _ in range(3)]
    of_ben, _ = await people.sign_in("ben", PASSWORD)
    listed = await accounts.list_sessions("anna")
    assert {each.number for each in listed} == {accounts.number_of(each) for each in ids}
    assert not any(each.number in session_id for each in listed for session_id in ids)
    for number in (accounts.number_of(of_ben), "", "%", "_" * 16, "0" * 16, listed[0].digest, "x"):
        with pytest.raises(NotFound):
            await accounts.end_session("anna", number, actor=TESTER)
    await accounts.end_session("anna", accounts.number_of(ids[0]), actor=TESTER)
    assert [await people.find_session(each) is not None for each in (*ids, of_ben)] == [False, True, True, True]
    assert await accounts.end_sessions("anna", actor=TESTER, but=ids[1]) == 1
    assert await accounts.end_sessions("anna", actor=TESTER) == 1
    assert await accounts.end_sessions("anna", actor=TESTER) == 0
    assert await people.find_session(of_ben) is not None


async def test_the_first_account_is_made_once(people: PeopleService, audit: AuditService) -> None:
    """Control: without the count in the transaction, both are made."""
    assert not await people.has_users()
    outcomes = await asyncio.gather(
        *(people.create_first_user(name, PASSWORD, actor=TESTER) for name in ("anna", "ben", "anna")),
        return_exceptions=True,
    )
    assert sorted(type(each).__name__ for each in outcomes) == ["Conflict", "Conflict", "User"]
    (user,) = await people.list_users()
    assert user.role is Role.ADMIN
    assert await actions(audit) == ["user.created"]
    await asyncio.sleep(0)
    with pytest.raises(Conflict):
        await people.create_first_user("carl", PASSWORD, actor=TESTER)
