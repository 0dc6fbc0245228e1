"""The rows and files that a service has stored, for tests of what a change leaves behind and a refusal does not."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from sqlalchemy import select, update

import updater.database.tables as tables
from tests.actors import TESTER
from updater.audit.model import AuditRow, Filter
from updater.catalog.model import Build
from updater.database.engine import Database

_CATALOG = (
    tables.application,
    tables.release,
    tables.build,
    tables.file,
    tables.blob,
    tables.pinned_digest,
    tables.audit,
    tables.audit_head,
)


def database_of(service: Any) -> Database:
    """Return the database of a service."""
    found: Database = service.services.catalog._database
    return found


def stored_id(report_id: str, address: str = "127.0.0.1") -> str:
    """Return what is stored of the id of a report from a client that named only its address: its id alone."""
    return hashlib.sha256(f"address {address}\0{report_id}".encode()).hexdigest()


async def settle(service: Any) -> None:
    """Wait until snapshots are not read again: on a shared database a service hears of its own changes as well."""
    if service.services.catch_up is not None:
        await service.services.catch_up()


async def everything(service: Any) -> dict[str, Any]:
    """Return all rows of catalog and audit, by table, and the digest of every file in the store, by path."""
    found: dict[str, Any] = {}
    async with database_of(service).read() as connection:
        for table in _CATALOG:
            rows = await connection.execute(select(table).order_by(*table.primary_key.columns))
            found[table.name] = [dict(row._mapping) for row in rows]
    root = Path(service.services.settings.storage.root)
    for folder in ("blobs", "incoming"):
        found[folder] = {
            str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in (root / folder).rglob("*")
            if path.is_file()
        }
    return found


async def rows_since(service: Any, last_id: int) -> list[AuditRow]:
    """Return the audit rows after a number, oldest first."""
    rows, _ = await service.services.audit.list_rows(Filter(after_id=last_id), limit=1000)
    return list(reversed(rows))


async def last_row(service: Any) -> int:
    """Return the number of the newest audit row; 0 when there is none."""
    rows, _ = await service.services.audit.list_rows(Filter(), limit=1)
    return rows[0].id if rows else 0


def told(row: AuditRow) -> tuple[str, str, Any, Any]:
    """Return what a row tells: action, subject, before and after."""
    before, after = (None if each is None else json.loads(each) for each in (row.before, row.after))
    return row.action, row.subject, before, after


def path_of(service: Any, build: Build) -> Path:
    """Return the stored file of a hosted build."""
    assert build.file is not None
    path: Path | None = service.services.artifacts.blobs.locate(build.file.digest)
    assert path is not None
    return path


async def damage(service: Any, build: Build) -> None:
    """Damage the stored file of a hosted build, and have the damage found: its blob is in quarantine."""
    path_of(service, build).write_bytes(b"damaged")
    found = [each.digest async for each in service.services.artifacts.verify(actor=TESTER) if not each.good]
    assert build.checksum.value in found


async def set_release(service: Any, build: Build, **values: Any) -> None:
    """Set columns of a build's release beside every service, and have snapshots follow."""
    database = database_of(service)
    async with database.write() as connection:
        statement = update(tables.release).where(tables.release.c.id == build.release_id)
        await connection.execute(statement.values(**values))
        await database.announce(connection, build.application_id)
