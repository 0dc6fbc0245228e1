"""The SQL of the files of builds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from updater.catalog.files import FileKind
from updater.catalog.model import BuildFile
from updater.database.tables import blob, file, file_signature

# Fewer than SQLite allows in one statement.
_AT_ONCE = 500
_FILE = select(file, blob.c.size_bytes, blob.c.sha512, blob.c.sha1, blob.c.quarantined_at).join(
    blob, blob.c.digest == file.c.digest
)


class FileStore:
    """Reads the files of builds. Every method runs in the caller's transaction."""

    async def list_files(self, connection: AsyncConnection, build_ids: Sequence[int]) -> dict[int, list[BuildFile]]:
        """Return the files of builds by build, the primary one first, then by name; builds without any are left out."""
        found: dict[int, list[BuildFile]] = {}
        for start in range(0, len(build_ids), _AT_ONCE):
            some = build_ids[start : start + _AT_ONCE]
            wanted = _FILE.where(file.c.build_id.in_(some)).order_by(file.c.is_primary.desc(), file.c.name)
            for each, row in await self._load(connection, wanted):
                found.setdefault(row.build_id, []).append(each)
        return found

    async def _load(self, connection: AsyncConnection, wanted: Select[Any]) -> list[tuple[BuildFile, Any]]:
        rows = list(await connection.execute(wanted))
        signatures = await self._signatures(connection, [row.id for row in rows])
        return [(_file_of(row, signatures.get(row.id, {})), row) for row in rows]

    async def _signatures(self, connection: AsyncConnection, file_ids: Iterable[int]) -> dict[int, dict[str, str]]:
        ids = list(file_ids)
        found: dict[int, dict[str, str]] = {}
        for start in range(0, len(ids), _AT_ONCE):
            wanted = select(file_signature).where(file_signature.c.file_id.in_(ids[start : start + _AT_ONCE]))
            for row in await connection.execute(wanted):
                found.setdefault(row.file_id, {})[row.scheme] = row.signature
        return found


def _file_of(row: Any, signatures: Mapping[str, str]) -> BuildFile:
    return BuildFile(
        id=row.id,
        name=row.name,
        kind=FileKind(row.kind),
        primary=row.is_primary,
        digest=row.digest,
        size_bytes=row.size_bytes,
        sha512=row.sha512,
        sha1=row.sha1,
        signatures=signatures,
        delta_from=row.delta_from,
        made_by=row.made_by,
        created_at=row.created_at,
        quarantined=row.quarantined_at is not None,
        facts=row.facts or {},
    )
