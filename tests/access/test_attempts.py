"""Attempts to sign in: what counts where, what is given back, and who is not locked out. The people are stand-ins."""

from __future__ import annotations

from typing import Any

import pytest

import updater.access.attempts as attempts
from updater.access.attempts import SignInAttempts
from updater.access.limits import RateLimits, WindowLimit
from updater.errors import Invalid, RateLimited, Unauthenticated, Unavailable
from updater.settings import RateLimitSettings

ANN, HOME, OFFICE = "ann", "192.0.2.1", "198.51.100.1"


class People:
    """Knows one password, `right`, and does what it is told for `fails`."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.fails: Exception | None = None

    async def sign_in(self, name: str, password: str) -> tuple[str, Any]:
        self.asked.append((name, password))
        if self.fails is not None:
            raise self.fails
        if password != "right":
            raise Unauthenticated("no")
        return "session-id", "session"

    async def change_own_password(self, session_id: str, present: str, password: str) -> int:
        self.asked.append((session_id, present, password))
        if self.fails is not None:
            raise self.fails
        if present != "right":
            raise Invalid({"current_password": "wrong"})
        if not password:
            raise Invalid({"password": "too short"})
        return 3


@pytest.fixture
def people() -> People:
    return People()


class Door:
    """Attempts within limits of 4 a minute, and what is left in each window."""

    def __init__(self, people: People, amount: int = 4) -> None:
        self.limits = RateLimits(RateLimitSettings(sign_in_per_minute=amount))
        self.attempts = SignInAttempts(people, self.limits)  # type: ignore[arg-type]
        self.people = people

    async def tries(
        self, password: str = "wrong", name: str = ANN, client: str = HOME, device: str | None = None
    ) -> str:
        try:
            opened = await self.attempts.sign_in(name, password, client=client, device=device)
        except RateLimited as refused:
            assert refused.message == "Too many attempts to sign in"
            assert 59 <= refused.retry_after_s <= 61
            return "limited"
        except Unauthenticated:
            return "refused"
        assert opened == ("session-id", "session")
        return "in"

    def used(self, limit: WindowLimit, key: str) -> int:
        allowance = limit.peek(key)
        return allowance.limit - allowance.remaining

    def counted(self, name: str = ANN, client: str = HOME) -> tuple[int, int, int]:
        """Return what counts for the address, the name at its place, and the name."""
        limits = self.limits
        return (
            self.used(limits.sign_in_address, client),
            self.used(limits.sign_in_place, f"{name} {client}"),
            self.used(limits.sign_in_name, name),
        )


@pytest.fixture
def door(people: People) -> Door:
    return Door(people)


async def test_without_limits_any_number_may_fail(people: People) -> None:
    open_door = SignInAttempts(people, None)  # type: ignore[arg-type]
    for _ in range(30):
        with pytest.raises(Unauthenticated):
            await open_door.sign_in(ANN, "wrong", client=HOME, device=None)
    assert await open_door.sign_in(ANN, "right", client=HOME, device=None) == ("session-id", "session")
    assert await open_door.change_password(people, ANN, "s", "right", "new") == 3  # type: ignore[arg-type]


async def test_failures_count_in_each_window_and_what_succeeds_in_none(door: Door) -> None:
    assert await door.tries() == "refused"
    assert door.counted() == (1, 1, 1)
    assert await door.tries("right") == "in"
    assert door.counted() == (1, 1, 1)


async def test_names_are_cut_and_compared_without_case(door: Door) -> None:
    assert await door.tries(name=" Ann ") == "refused"
    assert await door.tries(name="A" * 150) == "refused"
    assert door.people.asked == [("ann", "wrong"), ("a" * 100, "wrong")]
    assert door.counted() == (2, 1, 1)


async def test_what_breaks_is_no_attempt(door: Door) -> None:
    door.people.fails = Unavailable("gone")
    with pytest.raises(Unavailable):
        await door.attempts.sign_in(ANN, "right", client=HOME, device=None)
    assert door.counted() == (0, 0, 0)
    door.people.fails = None
    for _ in range(2):
        assert await door.tries() == "refused"


async def test_one_place_uses_up_no_more_than_half_of_a_name(door: Door) -> None:
    assert [await door.tries() for _ in range(4)] == ["refused"] * 4
    assert door.counted() == (4, 2, 2), "beyond its half a place costs the name nothing"
    assert await door.tries() == "limited", "the address has had its four"
    assert len(door.people.asked) == 4
    assert await door.tries("right", client=OFFICE) == "in"


async def test_beyond_its_half_a_place_may_still_be_right(door: Door) -> None:
    assert [await door.tries() for _ in range(2)] == ["refused"] * 2
    assert await door.tries("right") == "in"
    assert door.counted() == (2, 2, 2)


async def test_a_name_is_used_up_by_several_places(door: Door) -> None:
    for client in (HOME, OFFICE):
        assert [await door.tries(client=client) for _ in range(2)] == ["refused"] * 2
    assert await door.tries("right", client="203.0.113.1") == "limited"
    assert await door.tries("right", client=HOME) == "limited", "a place that is used up looks at the name"
    assert await door.tries("right", name="bob", client="203.0.113.1") == "in"


async def test_a_place_is_a_48_of_ipv6(door: Door) -> None:
    for number in range(2):
        assert await door.tries(client=f"2001:db8:1:{number}::/64") == "refused"
    assert door.used(door.limits.sign_in_place, "ann 2001:db8:1::/48") == 2
    assert door.used(door.limits.sign_in_address, "2001:db8:1:1::/64") == 1


async def test_a_place_of_an_earlier_sign_in_has_its_own_window(door: Door) -> None:
    assert await door.tries("right") == "in"
    for number in range(4):
        assert await door.tries(client=f"203.0.113.{number}") == "refused"
    assert await door.tries("right", client=OFFICE) == "limited"
    assert [await door.tries() for _ in range(5)] == ["refused"] * 4 + ["limited"]
    assert door.used(door.limits.sign_in_device, f"{ANN} {HOME}") == 4
    assert door.counted() == (0, 0, 4)


async def test_a_browser_of_an_earlier_sign_in_has_its_own_window(door: Door) -> None:
    assert [await door.tries(device="d1") for _ in range(5)] == ["refused"] * 4 + ["limited"]
    assert await door.tries("right", device="d2") == "in"
    assert door.used(door.limits.sign_in_device, f"{ANN} d1") == 4
    assert door.used(door.limits.sign_in_device, f"{ANN} d2") == 0
    assert door.counted() == (0, 0, 0)


async def test_the_last_places_are_kept(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "_KEPT_PLACES", 2)
    door = Door(people)
    for client in ("a", "b", "a", "c"):
        assert await door.tries("right", client=client) == "in"
    assert list(door.attempts._places) == [(ANN, "a"), (ANN, "c")]


async def test_wrong_present_passwords_count_in_a_window_of_their_own(door: Door) -> None:
    accounts: Any = door.people

    async def change(present: str, password: str = "new") -> int:
        return await door.attempts.change_password(accounts, ANN, "session", present, password)

    def used() -> int:
        return door.used(door.limits.sign_in_device, f"{ANN} own password")

    assert await change("right") == 3
    assert door.people.asked == [("session", "right", "new")]
    with pytest.raises(Invalid):
        await change("right", "")
    door.people.fails = Unavailable("gone")
    with pytest.raises(Unavailable):
        await change("right")
    door.people.fails = None
    assert used() == 0
    for number in range(4):
        with pytest.raises(Invalid):
            await change("wrong")
        assert used() == number + 1
    with pytest.raises(RateLimited, match=r"^Too many attempts to sign in$") as refused:
        await change("right")
    assert 59 <= refused.value.retry_after_s <= 61
    assert door.counted() == (0, 0, 0)


async def test_shared_windows_are_fetched_before_one_is_counted(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[Any] = []

    async def prefetch(windows: Any) -> None:
        fetched.append([key for _, key in windows])
        assert door.counted() == (0, 0, 0)

    monkeypatch.setattr(door.limits, "prefetch", prefetch)
    await door.tries("right")
    await door.attempts.change_password(door.people, ANN, "s", "right", "new")  # type: ignore[arg-type]
    assert fetched == [[HOME, f"{ANN} {HOME}", ANN], [f"{ANN} own password"]]


async def test_who_is_told_to_wait_waits_a_second_at_least(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    from updater.access.limits import Allowance

    refusal = Allowance(False, 4, 0, 0, 0)
    monkeypatch.setattr(door.limits.sign_in_device, "hit", lambda key: refusal)
    for ask in (
        door.attempts.sign_in(ANN, "x", client=HOME, device="d"),
        door.attempts.change_password(door.people, ANN, "s", "right", "new"),  # type: ignore[arg-type]
    ):
        with pytest.raises(RateLimited) as refused:
            await ask
        assert refused.value.retry_after_s == 1
