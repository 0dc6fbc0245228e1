"""Which files clients may download: from memory where that is known, else from the database."""

from __future__ import annotations

from updater.catalog.file_store import FileStore
from updater.catalog.model import Build, BuildFile, ReleaseStatus
from updater.catalog.platforms import Target
from updater.catalog.store import CatalogStore
from updater.catalog.versions import Version
from updater.database.engine import Database
from updater.errors import NotFound, Unavailable
from updater.offers.service import OfferService

# What a build and one of its files take in memory at most, beside notes and name; metadata have 16 KiB.
_FILE_BYTES = 20_000


class DownloadService:
    """Finds what an address of a download names."""

    def __init__(self, offers: OfferService, catalog: CatalogStore, database: Database) -> None:
        self._offers = offers
        self._catalog = catalog
        self._files = FileStore()
        self._database = database

    def find_known_build(self, application_id: str, version: str, target: Target) -> Build | None:
        """Return an active build that is in memory, whole or not. Raises NotFound, Invalid as `get_build`."""
        wanted = self._offers.parse(application_id, version, "version")
        return self._offers.snapshot_of(application_id).builds.get((wanted.text, target))

    async def get_build(self, application_id: str, version: str, target: Target, *, sees_drafts: bool = False) -> Build:
        """Return one build that clients may download: from the snapshot when it is there, else from the database.

        Raises:
            NotFound: no such application or build, it has no primary file, or its release is not active; with
                `sees_drafts` it may be a draft. Invalid: not a version. Unavailable: its bytes are in quarantine.
        """
        found = self.find_known_build(application_id, version, target)
        if found is None:  # not on a ladder, or spelt otherwise
            wanted = self._offers.parse(application_id, version, "version")
            found = await self._catalog.find_build(application_id, wanted, target)
            if found is None or not _is_downloadable(found, sees_drafts=sees_drafts):
                raise NotFound("release", f"Release not found: {wanted.text} for {'/'.join(target)}")
        if found.file is None and found.url is None:
            raise NotFound("release", f"Version {found.version.text} has no primary file yet")
        _require_whole(found)
        return found

    def find_known_file(
        self, application_id: str, version: str, target: Target, name: str
    ) -> tuple[Build, BuildFile] | None:
        """Return a file of an active build that is in memory, whole or not. Raises NotFound, Invalid as `get_file`."""
        wanted = self._offers.parse(application_id, version, "version")
        known: tuple[Build, BuildFile] | None = self._offers.present(application_id).answers.get(
            _key(wanted, target, name)
        )
        return known

    async def get_file(
        self, application_id: str, version: str, target: Target, name: str, *, sees_drafts: bool = False
    ) -> tuple[Build, BuildFile]:
        """Return a file of a build that clients may download, by its name, whose case does not count.

        Raises:
            NotFound: no such application, build or file, or the release is not active; with `sees_drafts` it may be a
                draft. Invalid: not a version. Unavailable: its bytes are in quarantine.
        """
        known = self.find_known_file(application_id, version, target, name)
        if known is None:
            present = self._offers.present(application_id)
            wanted = self._offers.parse(application_id, version, "version")
            async with self._database.read() as connection:
                build = await self._catalog.get_build_in(connection, application_id, wanted, target)
                if not _is_downloadable(build, sees_drafts=sees_drafts):
                    raise NotFound("release", f"Release not found: {wanted.text} for {'/'.join(target)}")
                known = build, await self._files.get_file(connection, build, name)
            if build.status is ReleaseStatus.ACTIVE:
                present.answers.keep(_key(wanted, target, name), known, len(build.notes) + len(name) + _FILE_BYTES)
        _require_whole(known[1])
        return known


def _key(version: Version, target: Target, name: str) -> tuple[object, ...]:
    return "file", version.text, target, name


def _is_downloadable(build: Build, *, sees_drafts: bool) -> bool:
    return build.status is ReleaseStatus.ACTIVE or (sees_drafts and build.status is ReleaseStatus.DRAFT)


def _require_whole(each: Build | BuildFile) -> None:
    if each.quarantined:
        raise Unavailable("The stored file is damaged and is not served until it is repaired", retry_after_s=600)
