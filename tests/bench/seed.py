"""A catalog with many releases, written straight into the database of a service that does not run."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import insert

from updater.access.keys import load_secret
from updater.catalog.model import CONFIG_DEFAULTS
from updater.catalog.versions import parse_version
from updater.database.opening import open_database
from updater.database.tables import application, blob, build, file, release

_AT = datetime(2026, 1, 1, tzinfo=UTC)


# The files of a hosted build: their endings, kinds and sizes. No bytes lie behind them.
_FILES = (
    (".AppImage", "installer", 80_000_000),
    (".deb", "installer", 60_000_000),
    (".AppImage.zsync", "zsync", 300_000),
)


def seed(root: Path, releases: int, *, hosted: bool = False) -> None:
    """Give `my-app` this many releases, each with a build for linux/amd64; `hosted` ones have three files."""
    (root / "storage" / "blobs").mkdir(parents=True)
    asyncio.run(_seed(root / "storage" / "updater.db", releases, hosted=hosted))
    # A database in use is refused without the secret that its keys depend on.
    load_secret(root / "storage" / "secret")


def newest(releases: int) -> str:
    """Return the newest version that `seed` writes."""
    return _version(releases - 1)


def _version(number: int) -> str:
    return f"{1 + number // 10_000}.{number // 100 % 100}.{number % 100}"


async def _seed(path: Path, releases: int, *, hosted: bool) -> None:
    product = {
        "id": "my-app",
        "name": "My App",
        "description": "",
        "platforms": ["linux"],
        "config": dict(CONFIG_DEFAULTS),
        "scheme": "semver",
        "ceiling_key": None,
        "created_at": _AT,
        "updated_at": _AT,
    }
    async with open_database(None, path.parent) as database, database.write() as connection:
        await connection.execute(insert(application), [product])
        await connection.execute(insert(release), [_release(number) for number in range(releases)])
        builds = [_build(number) for number in range(releases)]
        if not hosted:
            await connection.execute(insert(build), builds)
            return
        nowhere = {"url": None, "checksum_type": None, "checksum": None, "size_bytes": None}
        await connection.execute(insert(build), [{**each, **nowhere} for each in builds])
        await connection.execute(insert(blob), [each for number in range(releases) for each in _blobs(number)])
        await connection.execute(insert(file), [each for number in range(releases) for each in _files(number)])


def _blobs(number: int) -> list[dict[str, object]]:
    return [
        {
            "digest": f"{3 * number + at:064x}",
            "sha512": f"{3 * number + at:0128x}",
            "size_bytes": size_bytes,
            "created_at": _AT,
        }
        for at, (_, _, size_bytes) in enumerate(_FILES)
    ]


def _files(number: int) -> list[dict[str, object]]:
    return [
        {
            "build_id": number + 1,
            "name": f"my-app-{_version(number)}{ending}",
            "name_key": f"my-app-{_version(number)}{ending}".casefold(),
            "kind": kind,
            "is_primary": at == 0,
            "digest": f"{3 * number + at:064x}",
            "made_by": "developer",
            # They were looked at: nothing reads the bytes that are not there.
            "facts": {},
            "created_at": _AT,
        }
        for at, (ending, kind, _) in enumerate(_FILES)
    ]


def _release(number: int) -> dict[str, object]:
    version = parse_version(_version(number))
    return {
        "id": number + 1,
        "application_id": "my-app",
        "version": version.text,
        "sort_key": version.sort_key,
        "prerelease": False,
        "numbers": 3,
        "complete": True,
        "status": "active",
        "created_at": _AT,
    }


def _build(number: int) -> dict[str, object]:
    return {
        "id": number + 1,
        "release_id": number + 1,
        "platform": "linux",
        "architecture": "amd64",
        "url": f"https://cdn.example.com/my-app/{_version(number)}/my-app.tar.gz",
        "checksum_type": "sha256",
        "checksum": f"{number:064x}",
        "size_bytes": 12_345_678,
        "notes": "Faster start and fewer crashes on the first run.",
        "required": number % 10_000 == 5_000,
        "metadata": {},
        "created_at": _AT,
    }
