"""The database, the object store, Redis, and the packages that they need."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from updater.access.shared import SharedWindows
from updater.artifacts.opening import open_blobs, require_usable
from updater.database.looking import look_at_embedded, look_at_postgres
from updater.database.revisions import head_revision
from updater.doctor.model import Finding, error, good, warning
from updater.errors import ConfigurationError, Failure
from updater.settings import Settings

_EXTRAS = "run ./scripts/setup extras, which installs it"


def look_at_extras(settings: Settings) -> Iterator[Finding]:
    """Look for the packages that single settings need."""
    wanted = {
        "asyncpg": ("storage.database_url", settings.storage.database_url),
        "obstore": ("storage.blob_url", settings.storage.blob_url),
        "redis": ("rate_limit.storage_url", settings.rate_limit.storage_url),
        "maxminddb": ("telemetry.geoip_database", settings.telemetry.geoip_database),
    }
    needed = {package: setting for package, (setting, value) in wanted.items() if value is not None}
    for package, setting in needed.items():
        if find_spec(package) is None:
            yield error("packages", f"{setting} needs the package {package}", _EXTRAS)
    if all(find_spec(each) is not None for each in needed):
        yield good("packages", ", ".join(needed) or "these settings need no extra")


async def look_at_database(settings: Settings) -> Finding:
    """Look at the database: does it answer, is it whole, does this version know its schema? Nothing is migrated."""
    subject, url = "database", settings.storage.database_url
    try:
        if url is None:
            found = look_at_embedded(Path(settings.storage.root))
            if found is None:
                return good(subject, "not there yet; `updater serve` makes it")
        else:
            found = await look_at_postgres(url)
    except ConfigurationError as failure:
        return error(subject, str(failure), "mend storage.database_url, or what it names")
    except Failure as failure:
        return error(subject, failure.message, "is the server up, and reachable from here?")
    if found.damage is not None:
        return error(subject, f"damaged: {found.damage}", "stop the service and restore a backup")
    if found.revision is None:
        return good(subject, f"{found.engine}, empty; `updater serve` makes its tables")
    if found.revision > head_revision():
        seen = f"{found.engine}, schema {found.revision}; this version knows up to {head_revision()}"
        return error(subject, seen, "start the newer version, or restore a backup")
    if found.revision < head_revision():
        seen = f"{found.engine}, schema {found.revision}; the next start brings it to {head_revision()}"
        return warning(subject, seen, "make a backup before that: updater backup FOLDER")
    return good(subject, f"{found.engine}, schema {found.revision}{', whole' if found.is_whole else ''}")


async def look_at_blobs(settings: Settings) -> Finding:
    """Look at the store of files; an object store must take what this service does there."""
    subject, storage = "stored files", settings.storage
    if storage.blob_url is None:
        return good(subject, "in the data folder")
    try:
        with open_blobs(storage.blob_url, Path(storage.root)) as blobs:
            await require_usable(blobs, signs=storage.remote_downloads == "redirect")
    except (ConfigurationError, Failure) as failure:
        return error(subject, str(failure), "mend storage.blob_url and its credentials")
    return good(subject, "the object store takes reads, writes and deletions")


async def look_at_redis(settings: Settings) -> Finding | None:
    """Look at the Redis that counts requests; None where none is set."""
    subject, url = "Redis", settings.rate_limit.storage_url
    if url is None:
        return None
    try:
        shared = SharedWindows(url)
        await shared.start()
    except ConfigurationError as failure:
        return error(subject, str(failure), "mend rate_limit.storage_url")
    try:
        if not shared.available:
            remedy = "is it up, and reachable from here? Until it is, each process counts for itself"
            return warning(subject, "it does not answer", remedy)
    finally:
        await shared.close()
    return good(subject, "answers")
