"""Users: their names, their roles, and how their passwords are stored.

A password is stored as argon2id. Hashing takes tens of milliseconds and 19 MiB, so it runs in a thread, only two at a
time, and only so many wait for their turn.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from functools import cached_property
from typing import TYPE_CHECKING

from updater.access.principals import Permission, Principal
from updater.errors import Invalid, Unavailable

if TYPE_CHECKING:
    from argon2 import PasswordHasher

MIN_PASSWORD_CHARACTERS = 10
MAX_PASSWORD_CHARACTERS = 1000
_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,99}")
_ROLE_PROBLEM = "expected admin, staff or user"
_AT_ONCE = 2
# Hashing or waiting to hash. The last one waits for about a second.
_MOST_QUEUED = 32


class Role(IntEnum):
    """What a user may do; each role includes those below."""

    USER = 1
    STAFF = 2
    ADMIN = 3

    @property
    def word(self) -> str:
        """Return the word of the command line: `user`, `staff`, `admin`."""
        return self.name.lower()

    @property
    def level(self) -> Permission:
        """Return the level that routes require: staff has the level of write keys, admin that of admin keys."""
        return _LEVELS[self]


_LEVELS = {Role.USER: Permission.READ, Role.STAFF: Permission.WRITE, Role.ADMIN: Permission.ADMIN}


@dataclass(frozen=True, slots=True)
class User:
    """A person with a name, a password and a role."""

    id: int
    name: str
    role: Role
    created_at: datetime
    disabled_at: datetime | None = None
    last_sign_in_at: datetime | None = None

    def principal(self) -> Principal:
        """Return the principal of a request by this user. Its id is `user:` and the user's number."""
        return Principal(f"user:{self.id}", self.name, self.role.level, user_id=self.id)


def clean_name(text: str) -> str:
    """Return the form in which a name is stored and compared: lower case, without blanks around it."""
    return text.strip().lower()


def is_name(text: str) -> bool:
    """Tell whether a text has the form of a stored name: 1 to 100 characters of `a-z 0-9 . _ @ + -`.

    No user has another.
    """
    return _NAME.fullmatch(text) is not None


def check_user(name: str, role: str, password: str) -> tuple[str, Role]:
    """Return the name and role as they are stored. Raises Invalid with every field that does not fit."""
    problems = {}
    cleaned = clean_name(name)
    if not is_name(cleaned):
        problems["name"] = "expected 1 to 100 letters, digits and . _ @ + -, beginning with a letter or digit"
    if role not in {each.word for each in Role}:
        problems["role"] = _ROLE_PROBLEM
    problem = _password_problem(password)
    if problem:
        problems["password"] = problem
    if problems:
        raise Invalid(problems)
    return cleaned, Role[role.upper()]


def check_changes(role: str | None, password: str | None) -> Role | None:
    """Return the role of changes to a user; what is None is not changed. Raises Invalid with what does not fit."""
    problems = {}
    if role is not None and role not in {each.word for each in Role}:
        problems["role"] = _ROLE_PROBLEM
    problem = None if password is None else _password_problem(password)
    if problem:
        problems["password"] = problem
    if problems:
        raise Invalid(problems)
    return None if role is None else Role[role.upper()]


def _password_problem(password: str) -> str | None:
    # Source: NIST SP 800-63B section 5.1.1.2: length counts, composition rules do harm.
    if not MIN_PASSWORD_CHARACTERS <= len(password) <= MAX_PASSWORD_CHARACTERS:
        return f"expected {MIN_PASSWORD_CHARACTERS} to {MAX_PASSWORD_CHARACTERS} characters"
    return None


class Passwords:
    """Hashes and verifies passwords in threads, off the event loop."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._queued = 0

    @cached_property
    def _hasher(self) -> PasswordHasher:
        from argon2 import PasswordHasher

        # Source: OWASP Password Storage Cheat Sheet, argon2id with 19 MiB, two passes, one lane.
        return PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)

    @cached_property
    def _dummy(self) -> str:
        return self._hasher.hash("the password of no user")

    async def hash(self, password: str) -> str:
        """Return the argon2id hash of a password as text, with its parameters.

        Raises Unavailable when too many passwords wait. Source: RFC 9106.
        """
        async with self._turn():
            return await asyncio.to_thread(lambda: self._hasher.hash(_bytes(password)))

    async def fits(self, kept: str | None, password: str) -> bool:
        """Tell whether a password has this stored hash; with None for the hash take as long, and return False.

        Raises Unavailable when too many passwords wait.
        """
        async with self._turn():
            return await asyncio.to_thread(self._fits, kept, password)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self._queued >= _MOST_QUEUED:
            raise Unavailable("Too many passwords are being checked at the moment", retry_after_s=2)
        self._queued += 1
        try:
            async with self._slots:
                yield
        finally:
            self._queued -= 1

    def _fits(self, kept: str | None, password: str) -> bool:
        from argon2.exceptions import InvalidHashError, VerificationError

        if len(password) > MAX_PASSWORD_CHARACTERS:
            kept, password = None, ""
        try:
            verified = self._hasher.verify(kept or self._dummy, _bytes(password))
        except (VerificationError, InvalidHashError):
            return False
        return verified and kept is not None


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")
