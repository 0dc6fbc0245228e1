"""Builds with companions, published without HTTP."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from sqlalchemy import insert, update

import updater.database.tables as tables
from tests.actors import TESTER
from tests.stored import database_of
from updater.catalog.model import Build
from updater.catalog.platforms import Target
from updater.catalog.requests import FileRequest, PublishRequest, ReceivedFile


async def publish(
    service: Any,
    version: str,
    target: Target,
    files: Mapping[str, bytes],
    *,
    application_id: str = "my-app",
    facts: Mapping[str, Mapping[str, Any]] | None = None,
    **more: Any,
) -> Build:
    """Publish a build, the first of its files as the primary; digests are known.

    `facts` are columns of files, by name.
    """
    services = service.services
    (primary, content), *companions = files.items()

    async def once() -> AsyncIterator[bytes]:
        yield content

    async with services.artifacts.receive(once()) as staged:
        request = PublishRequest(application_id, version, target, **more)
        made: Build = (await services.publishing.publish(request, ReceivedFile(staged, primary), TESTER)).build
    database = database_of(service)
    for name, companion in companions:
        await _store(service, made, name, companion)
    for name, content in files.items():
        digests = {"sha512": hashlib.sha512(content).hexdigest(), "sha1": hashlib.sha1(content).hexdigest()}
        await set_blob(service, content, application_id, **digests)
        for column, value in (facts or {}).get(name, {}).items():
            async with database.write() as connection:
                mine = tables.file.c.build_id == made.id, tables.file.c.name == name
                await connection.execute(update(tables.file).where(*mine).values({column: value}))
                await database.announce(connection, application_id)
    return made


async def _store(service: Any, made: Build, name: str, content: bytes) -> None:
    services = service.services

    async def once() -> AsyncIterator[bytes]:
        yield content

    async with services.artifacts.receive(once()) as staged:
        request = FileRequest(made.application_id, made.version.text, made.target, name)
        await services.companions.add(request, ReceivedFile(staged, name), TESTER)


async def set_blob(service: Any, content: bytes, application_id: str = "my-app", **values: Any) -> None:
    """Change what is known of a blob."""
    database = database_of(service)
    async with database.write() as connection:
        mine = tables.blob.c.digest == hashlib.sha256(content).hexdigest()
        await connection.execute(update(tables.blob).where(mine).values(**values))
        await database.announce(connection, application_id)


async def sign(service: Any, build: Build, name: str, scheme: str, signature: str) -> None:
    """Give a file a signature, unchecked."""
    database = database_of(service)
    async with database.write() as connection:
        mine = tables.file.c.build_id == build.id, tables.file.c.name == name
        file_id = await connection.scalar(tables.file.select().with_only_columns(tables.file.c.id).where(*mine))
        values = {"file_id": file_id, "scheme": scheme, "signature": signature}
        await connection.execute(insert(tables.file_signature).values(values))
        await database.announce(connection, build.application_id)
