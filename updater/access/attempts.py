"""Attempts to sign in: how many may fail, and who is not locked out by the failures of others.

Failures count, for the address and for the name. What fails at one place never uses up all that a name has, so no
single place locks a person out everywhere. A person at a place, or with a browser, of an earlier sign-in has a window
of its own there: neither the name's nor the address's counts, since a whole office may share that one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from updater.access.accounts import AccountService
from updater.access.limits import RateLimits, Window, network_of
from updater.access.people import PeopleService
from updater.access.sessions import Session
from updater.errors import Invalid, RateLimited, Unauthenticated

# No user has a longer name; the rest of a longer one is cut off, so that clients cannot fill the storage.
MAX_NAME_CHARACTERS = 100
_KEPT_PLACES = 4_096
_TOO_MANY = "Too many attempts to sign in"


class SignInAttempts:
    """Signs people in within the limits; `limits` None: any number of attempts.

    Places of earlier sign-ins (name and address) are kept in memory, the last 4,096 of this process. Browsers hold
    their own proof (`device`), which outlasts it.
    """

    def __init__(self, people: PeopleService, limits: RateLimits | None) -> None:
        self._people = people
        self._limits = limits
        self._places: OrderedDict[tuple[str, str], None] = OrderedDict()

    async def sign_in(self, name: str, password: str, *, client: str, device: str | None) -> tuple[str, Session]:
        """Open a session with a name and a password.

        Args:
            client: the address, see `client_of`.
            device: names a browser in which this person signed in before, as it proved; None for any other.

        Returns: the session's id, which is stored nowhere, and the session.

        Raises:
            RateLimited: too many attempts failed. Unauthenticated: unknown name, wrong password or disabled user.
            Unavailable: too many passwords are being checked, or the database does not answer.
        """
        name = name.strip().lower()[:MAX_NAME_CHARACTERS]
        taken = await self._take(name, client, device)
        try:
            opened = await self._people.sign_in(name, password)
        except Unauthenticated:
            raise
        except BaseException:
            self._give_back(taken)
            raise
        self._give_back(taken)
        self._places[name, client] = None
        self._places.move_to_end((name, client))
        if len(self._places) > _KEPT_PLACES:
            self._places.popitem(last=False)
        return opened

    async def change_password(
        self, accounts: AccountService, name: str, session_id: str, present: str, password: str
    ) -> int:
        """Give a person a new password, as `AccountService.change_own_password` does; wrong present ones are counted.

        They count in a window of their own: whoever found an open browser guesses no more than at the sign-in page,
        and locks nobody out.

        Raises:
            RateLimited: too many were wrong. Also what `AccountService.change_own_password` raises.
        """
        windows = [] if self._limits is None else [(self._limits.sign_in_device, f"{name} own password")]
        taken = await self._take_all(windows)
        try:
            ended = await accounts.change_own_password(session_id, present, password)
        except Invalid as refused:
            if "current_password" not in refused.fields:
                self._give_back(taken)
            raise
        except BaseException:
            self._give_back(taken)
            raise
        self._give_back(taken)
        return ended

    async def _take_all(self, windows: Sequence[Window]) -> Sequence[Window]:
        """Count an attempt in each window. Raises RateLimited."""
        if self._limits is not None:
            await self._limits.prefetch(windows)
        for limit, key in windows:
            allowance = limit.hit(key)
            if not allowance.allowed:
                raise RateLimited(_TOO_MANY, retry_after_s=max(1, allowance.retry_after_s))
        return windows

    async def _take(self, name: str, client: str, device: str | None) -> Sequence[Window]:
        """Count an attempt before its outcome is known: many at once must not pass together. Raises RateLimited."""
        limits = self._limits
        if limits is None:
            return ()
        if device is not None or (name, client) in self._places:
            windows: list[Window] = [(limits.sign_in_device, f"{name} {device or client}")]
        else:
            # Each place before the name: a window that is used up hides those behind it.
            windows = [
                (limits.sign_in_address, client),
                (limits.sign_in_place, f"{name} {network_of(client)}"),
                (limits.sign_in_name, name),
            ]
        await limits.prefetch(windows)
        taken: list[Window] = []
        for limit, key in windows:
            allowance = limit.hit(key)
            if allowance.allowed:
                taken.append((limit, key))
                continue
            if limit is limits.sign_in_place:
                allowance = limits.sign_in_name.peek(name)
                if allowance.allowed:
                    break
            raise RateLimited(_TOO_MANY, retry_after_s=max(1, allowance.retry_after_s))
        return taken

    def _give_back(self, taken: Sequence[Window]) -> None:
        for limit, key in taken:
            limit.give_back(key)
