"""The examination: one look after the other, each bounded in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from typing import Final

from updater.advice import list_advice
from updater.doctor.machine import look_at_clock, look_at_files, look_at_folder, look_at_port, look_at_space
from updater.doctor.model import Finding, error, warning
from updater.doctor.reach import look_at_deployment, look_at_public_url
from updater.doctor.stores import look_at_blobs, look_at_database, look_at_extras, look_at_redis
from updater.logs.texts import without_secrets
from updater.settings import Settings

_LOOK_S: Final = 60.0

# A generator blocks, and is run in a thread.
Look = Callable[[], Iterator[Finding] | Awaitable[Finding | None]]


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Look at everything that these settings name, and yield what was found, in the order in which it was looked at.

    Nothing is changed, made or migrated. A look that takes more than a minute, or fails in a way that nobody foresaw,
    is a finding.
    """
    for each in list_advice(settings, frozenset()):
        yield warning("settings", f"{each.setting}: {each.reason}", "see config.example.yaml")
    looks: list[tuple[str, Look]] = [
        ("packages", partial(look_at_extras, settings)),
        ("data folder", partial(look_at_folder, settings)),
        ("free space", partial(look_at_space, settings)),
        ("open files", partial(look_at_files, settings)),
        ("port", partial(look_at_port, settings)),
        ("clock", partial(look_at_clock, settings)),
        ("database", partial(look_at_database, settings)),
        ("stored files", partial(look_at_blobs, settings)),
        ("Redis", partial(look_at_redis, settings)),
        ("public_url", partial(look_at_public_url, settings)),
    ]
    looks += [(f"deployment {each.id}", partial(look_at_deployment, each)) for each in settings.deployments]
    for subject, look in looks:
        for finding in await _bounded(subject, look):
            yield finding


async def _bounded(subject: str, look: Look) -> list[Finding]:
    try:
        async with asyncio.timeout(_LOOK_S):
            begun = look()
            if isinstance(begun, Iterator):
                return await asyncio.to_thread(list, begun)
            found = await begun
            return [] if found is None else [found]
    except TimeoutError:
        return [error(subject, f"no answer within {_LOOK_S:.0f} s", "look there by hand")]
    except Exception as failure:  # a doctor that fails on the first illness is of no use
        seen = f"{type(failure).__name__}: {without_secrets(str(failure))}"
        return [error(subject, seen, "look there by hand")]
