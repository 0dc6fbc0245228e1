"""The SQL of the files of builds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, delete, func, insert, or_, select, update

from updater.catalog.files import FileKind, name_key
from updater.catalog.model import Build, BuildFile
from updater.catalog.platforms import Target
from updater.catalog.versions import Scheme, Version, is_spelling, spelling_patterns
from updater.database.asynchronous import AsyncConnection
from updater.database.tables import blob, build, file, file_signature, pinned_digest, release
from updater.errors import NotFound

DEVELOPER, SERVER = "developer", "server"
# Fewer than SQLite allows in one statement.
_AT_ONCE = 500
_FILE = select(file, blob.c.size_bytes, blob.c.sha512, blob.c.sha1, blob.c.quarantined_at).join(
    blob, blob.c.digest == file.c.digest
)


@dataclass(frozen=True, slots=True)
class FileAddress:
    """What an address that is bound to its bytes names: a build, and with a `name` one of its files."""

    application_id: str
    version: Version
    target: Target
    scheme: Scheme
    name: str = ""


class FileStore:
    """Reads and writes the files of builds. Every method runs in the caller's transaction."""

    async def list_files(self, connection: AsyncConnection, build_ids: Sequence[int]) -> dict[int, list[BuildFile]]:
        """Return the files of builds by build, the primary one first, then by name; builds without any are left out."""
        found: dict[int, list[BuildFile]] = {}
        for start in range(0, len(build_ids), _AT_ONCE):
            some = build_ids[start : start + _AT_ONCE]
            wanted = _FILE.where(file.c.build_id.in_(some)).order_by(file.c.is_primary.desc(), file.c.name)
            for each, row in await self._load(connection, wanted):
                found.setdefault(row.build_id, []).append(each)
        return found

    async def find_file(self, connection: AsyncConnection, build_id: int, name: str) -> BuildFile | None:
        """Return the file of a build by its name, whose case does not count."""
        wanted = _FILE.where(file.c.build_id == build_id, file.c.name_key == name_key(name))
        rows = await self._load(connection, wanted)
        return rows[0][0] if rows else None

    async def get_file(self, connection: AsyncConnection, build: Build, name: str) -> BuildFile:
        """Return the file of a build by its name, whose case does not count. Raises NotFound."""
        found = await self.find_file(connection, build.id, name)
        if found is None:
            target = f"{build.target.platform}/{build.target.architecture}"
            raise NotFound("file", f"File not found: {name[:60]} of {build.version.text} for {target}")
        return found

    async def count_companions(self, connection: AsyncConnection, build_id: int) -> int:
        """Return how many companions a build has of its developer."""
        mine = file.c.build_id == build_id, file.c.made_by == DEVELOPER, file.c.is_primary.is_(False)
        return int(await connection.scalar(select(func.count()).select_from(file).where(*mine)) or 0)

    async def insert_file(
        self, connection: AsyncConnection, build_id: int, name: str, digest: str, now: datetime, **more: Any
    ) -> int:
        """Give a build a file, whose blob is claimed; return its id.

        `more` are further columns: `kind`, and `is_primary`, `delta_from`, `made_by`, `facts` where they differ from a
        companion that its developer made.
        """
        values = {"is_primary": False, "made_by": DEVELOPER, **more}
        values |= {"build_id": build_id, "name": name, "name_key": name_key(name), "digest": digest, "created_at": now}
        return int(await connection.scalar(insert(file).values(values).returning(file.c.id)))

    async def replace_file(self, connection: AsyncConnection, file_id: int, **values: Any) -> None:
        """Give a file other bytes; what was signed and found in the old ones goes."""
        await connection.execute(delete(file_signature).where(file_signature.c.file_id == file_id))
        await connection.execute(update(file).where(file.c.id == file_id).values(facts=None, **values))

    async def update_file(self, connection: AsyncConnection, file_id: int, **values: Any) -> None:
        """Change what is said of a file whose bytes stay."""
        await connection.execute(update(file).where(file.c.id == file_id).values(**values))

    async def delete_file(self, connection: AsyncConnection, file_id: int) -> None:
        """Remove a file with its signatures."""
        await connection.execute(delete(file).where(file.c.id == file_id))

    async def delete_derived(self, connection: AsyncConnection, build_id: int, name: str) -> None:
        """Remove what the server made of a file of this name."""
        keys = [name_key(f"{name}.{each.value}") for each in (FileKind.BLOCKMAP, FileKind.ZSYNC)]
        mine = file.c.build_id == build_id, file.c.made_by == SERVER, file.c.name_key.in_(keys)
        await connection.execute(delete(file).where(*mine))

    async def insert_signatures(self, connection: AsyncConnection, file_id: int, signatures: Mapping[str, str]) -> None:
        """Add signatures of a file that has none of these schemes."""
        rows = [{"file_id": file_id, "scheme": scheme, "signature": each} for scheme, each in signatures.items()]
        if rows:
            await connection.execute(insert(file_signature), rows)

    async def find_package_version(
        self, connection: AsyncConnection, application_id: str, target: Target, name: str, kind: FileKind, but_for: int
    ) -> str | None:
        """Return another version of an application that has a package or delta of this name for a target.

        `kind` is that of the file that asks, `but_for` its release, by id. For other kinds there is no such version.
        """
        kinds = (FileKind.PACKAGE, FileKind.DELTA)
        if kind not in kinds:
            return None
        wanted = (
            select(release.c.version)
            .join(build, build.c.release_id == release.c.id)
            .join(file, file.c.build_id == build.c.id)
            .where(
                file.c.name_key == name_key(name),
                file.c.kind.in_(kinds),
                release.c.application_id == application_id,
                release.c.id != but_for,
                build.c.platform == target.platform,
                build.c.architecture == target.architecture,
            )
            .limit(1)
        )
        found: str | None = await connection.scalar(wanted)
        return found

    async def pin(
        self,
        connection: AsyncConnection,
        address: FileAddress,
        digest: str | None,
    ) -> tuple[str | None, str]:
        """Bind an address to its bytes for ever; return the digest it is bound to, and the version's text there.

        Without a digest nothing is bound, and None is what an unbound address returns. Every spelling of a version
        leads to the same build, so all of them are one address.
        """
        version, scheme, target = address.version, address.scheme, address.target
        bound_to = {
            "application_id": address.application_id,
            "platform": target.platform,
            "architecture": target.architecture,
            "name_key": name_key(address.name),
        }
        mine = [pinned_digest.c[column] == value for column, value in bound_to.items()]
        exact, pattern = spelling_patterns(version, scheme)
        spelt = or_(pinned_digest.c.version.in_((version.text, exact)), pinned_digest.c.version.like(pattern))
        rows = await connection.execute(select(pinned_digest.c.version, pinned_digest.c.digest).where(*mine, spelt))
        bound = {row.version: str(row.digest) for row in rows if is_spelling(row.version, version, scheme)}
        if bound:
            text = version.text if version.text in bound else min(bound)
            return bound[text], text
        if digest is not None:
            await connection.execute(insert(pinned_digest).values(digest=digest, version=version.text, **bound_to))
        return digest, version.text

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
