"""Signatures at the door: what a developer signed is held to the keys of the application before anything is stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import updater.artifacts.signatures as signatures
from updater.artifacts.received import mapped
from updater.catalog.model import Application
from updater.catalog.requests import ReceivedFile
from updater.catalog.store import CatalogStore
from updater.errors import Conflict, Invalid, NotFound

SCHEMES = ("minisign", "ed25519")
_PARSE: Mapping[str, Callable[[str], object]] = {
    "minisign": signatures.parse_minisign,
    "ed25519": signatures.parse_ed25519,
}
_PARSE_KEY: Mapping[str, Callable[[str], object]] = {
    "minisign": signatures.parse_minisign_key,
    "ed25519": signatures.parse_ed25519_key,
}
_VERIFY = {"minisign": signatures.verify_minisign, "ed25519": signatures.verify_ed25519}


def is_same(scheme: str, one: str, other: str) -> bool:
    """Tell whether two texts are one signature, however they are wrapped: a line break or Tauri's base64 is no part."""
    try:
        return one == other or _PARSE[scheme](one) == _PARSE[scheme](other)
    except ValueError:
        return False


def new_signatures(known: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Return the signatures that a file does not have yet, or has another one in place of."""
    return {
        scheme: text
        for scheme, text in given.items()
        if scheme not in known or not is_same(scheme, known[scheme], text)
    }


def require_keys(keys: Mapping[str, Sequence[str]]) -> None:
    """Hold public keys to their forms. Raises Invalid: names `keys.minisign.0` and the like."""
    problems = {}
    for scheme, texts in keys.items():
        for number, text in enumerate(texts):
            try:
                _PARSE_KEY[scheme](text)
            except ValueError as error:
                problems[f"keys.{scheme}.{number}"] = str(error)
    if problems:
        raise Invalid(problems)


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes that somebody signed: a local file or None, their number, and how to read them where there is none."""

    path: Path | None
    size_bytes: int
    read: Callable[[], AsyncIterator[bytes]]


@dataclass(frozen=True, slots=True)
class Checked:
    """The keys that signatures were held to; None when there were no signatures."""

    keys: Mapping[str, Sequence[str]] | None

    def require_same(self, application: Application) -> None:
        """Refuse when the keys changed between the check and the transaction. Raises Conflict."""
        if self.keys is not None and dict(self.keys) != dict(application.keys):
            raise Conflict("The keys of the application changed meanwhile; send the file again")


def require_forms(given: Mapping[str, str]) -> None:
    """Hold signatures, by scheme, to their forms. Raises Invalid: names `minisign` or `ed25519`."""
    for scheme, text in given.items():
        try:
            _PARSE[scheme](text)
        except ValueError as error:
            raise Invalid({scheme: str(error)}) from None


class SignatureChecks:
    """Checks signatures outside every transaction: reading a large file takes seconds."""

    def __init__(self, store: CatalogStore) -> None:
        self._store = store

    async def check_received(self, application_id: str, files: Sequence[ReceivedFile]) -> Checked:
        """Check the signatures of staged files.

        Raises:
            NotFound: no such application. Invalid: one has no right form, or no key of the application made it; names
                `minisign` or `ed25519`. Unavailable: the bytes cannot be read.
        """
        signed = [each for each in files if each.signatures]
        if not signed:
            return Checked(None)
        keys = await self._keys(application_id)
        for each in signed:
            content = Content(each.staged.locate(), each.staged.size_bytes, each.staged.read)
            await self._check(keys, each.signatures, content)
        return Checked(keys)

    async def check_stored(self, application_id: str, given: Mapping[str, str], content: Content) -> Checked:
        """Check signatures of a stored file. Raises as `check_received`."""
        keys = await self._keys(application_id)
        await self._check(keys, given, content)
        return Checked(keys)

    async def _keys(self, application_id: str) -> Mapping[str, Sequence[str]]:
        known = await self._store.find_application(application_id)
        if known is None:
            raise NotFound("application", "Application not found")
        return known.keys

    async def _check(self, keys: Mapping[str, Sequence[str]], given: Mapping[str, str], content: Content) -> None:
        require_forms(given)
        wanted = {scheme: text for scheme, text in given.items() if keys.get(scheme)}
        if not wanted:
            return  # the form alone; clients verify
        async with mapped(content.path, content.size_bytes, content.read) as data:
            for scheme, text in wanted.items():
                try:
                    await asyncio.to_thread(_VERIFY[scheme], text, keys[scheme], data)
                except ValueError as error:
                    raise Invalid({scheme: str(error)}) from None
