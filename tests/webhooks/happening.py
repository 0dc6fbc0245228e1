"""Events that happen."""

from __future__ import annotations

from tests.actors import TESTER
from tests.conftest import Service
from updater.audit.model import Entry


async def happen(service: Service, count: int, first: int = 0) -> None:
    """Leave so many rows that are events, one transaction each, told apart by their versions."""
    for number in range(first, first + count):
        async with service.services.audit._database.write() as connection:
            entry = Entry("release.published", "my-app", application_id="my-app", version=f"{number}.0.0")
            await service.services.audit.record(connection, TESTER, entry)
