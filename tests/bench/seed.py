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
from updater.database.tables import application, build, release

_AT = datetime(2026, 1, 1, tzinfo=UTC)


def seed(root: Path, releases: int) -> None:
    """Give `my-app` this many releases, each with a build for linux/amd64."""
    (root / "storage").mkdir(parents=True)
    asyncio.run(_seed(root / "storage" / "updater.db", releases))
    # A database in use is refused without the secret that its keys depend on.
    load_secret(root / "storage" / "secret")


def newest(releases: int) -> str:
    """Return the newest version that `seed` writes."""
    return _version(releases - 1)


def _version(number: int) -> str:
    return f"{1 + number // 10_000}.{number // 100 % 100}.{number % 100}"


async def _seed(path: Path, releases: int) -> None:
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
        await connection.execute(insert(build), [_build(number) for number in range(releases)])


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
