"""The first run: while there is no user, an admin key makes the first account, in a browser."""

from __future__ import annotations

from updater.access.limits import RateLimits
from updater.access.people import PeopleService
from updater.access.principals import Permission
from updater.access.service import AccessService
from updater.access.users import User
from updater.errors import Invalid, RateLimited


class FirstRun:
    """Makes the first account within the limits of failed sign-ins; `limits` None: any number of attempts."""

    def __init__(self, access: AccessService, people: PeopleService, limits: RateLimits | None) -> None:
        self._access = access
        self._people = people
        self._limits = limits

    async def is_open(self) -> bool:
        """Tell whether there is no user yet. Raises Unavailable when the database does not answer."""
        return not await self._people.has_users()

    async def make_first_account(self, key: str, name: str, password: str, *, client: str) -> User:
        """Add an administrator, with an admin key of the whole installation. `client` is the address, see `client_of`.

        Raises:
            RateLimited: too many keys were wrong. Invalid: key, name or password do not fit. Conflict: there is a user.
            Unavailable: the database does not answer.
        """
        limits = self._limits
        if limits is not None:
            # Counted before its outcome is known: many at once must not pass together.
            await limits.prefetch([(limits.sign_in_address, client)])
            allowance = limits.sign_in_address.hit(client)
            if not allowance.allowed:
                raise RateLimited("Too many attempts to sign in", retry_after_s=max(1, allowance.retry_after_s))
        principal = self._access.find_key(key.strip())
        if principal is None or principal.level < Permission.ADMIN or principal.application is not None:
            raise Invalid({"key": "is no admin key of this installation"})
        if limits is not None:
            limits.sign_in_address.give_back(client)
        return await self._people.create_first_user(name, password, actor=principal.actor)
