"""The examination: one look after the other, each bounded in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Final

from updater.advice import list_advice
from updater.doctor.machine import look_at_clock, look_at_files, look_at_folder, look_at_port, look_at_space
from updater.doctor.model import Finding, error, warning
from updater.doctor.reach import look_at_deployments, look_at_public_url
from updater.doctor.stores import look_at_blobs, look_at_database, look_at_extras, look_at_redis
from updater.settings import Settings

_LOOK_S: Final = 60.0


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Look at everything that these settings name, and yield what was found, in the order in which it was looked at.

    Nothing is changed, made or migrated. A look that takes more than a minute, or fails in a way that nobody foresaw,
    is a finding.
    """
    for each in list_advice(settings, frozenset()):
        yield warning("settings", f"{each.setting}: {each.reason}", "see config.example.yaml")
    looks: tuple[tuple[str, Callable[[], Awaitable[Iterable[Finding]]]], ...] = (
        ("packages", _threaded(look_at_extras, settings)),
        ("data folder", _threaded(look_at_folder, settings)),
        ("free space", _threaded(lambda given: (look_at_space(given),), settings)),
        ("open files", _threaded(lambda given: (look_at_files(given),), settings)),
        ("port", _threaded(look_at_port, settings)),
        ("clock", _threaded(lambda given: (look_at_clock(given),), settings)),
        ("database", _one(look_at_database, settings)),
        ("stored files", _one(look_at_blobs, settings)),
        ("Redis", lambda: look_at_redis(settings)),
        ("public_url", _threaded(look_at_public_url, settings)),
    )
    for subject, look in looks:
        for finding in await _bounded(subject, look):
            yield finding
    async for finding in look_at_deployments(settings):
        yield finding


def _threaded(
    look: Callable[[Settings], Iterable[Finding]], settings: Settings
) -> Callable[[], Awaitable[Iterable[Finding]]]:
    return lambda: asyncio.to_thread(lambda: list(look(settings)))


def _one(
    look: Callable[[Settings], Awaitable[Finding]], settings: Settings
) -> Callable[[], Awaitable[Iterable[Finding]]]:
    async def ask() -> Iterable[Finding]:
        return (await look(settings),)

    return ask


async def _bounded(subject: str, look: Callable[[], Awaitable[Iterable[Finding]]]) -> Iterable[Finding]:
    try:
        async with asyncio.timeout(_LOOK_S):
            return await look()
    except TimeoutError:
        return (error(subject, f"no answer within {_LOOK_S:.0f} s", "look there by hand"),)
    except Exception as failure:  # a doctor that fails on the first illness is of no use
        return (error(subject, f"{type(failure).__name__}: {failure}", "look there by hand"),)
