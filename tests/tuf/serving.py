"""Publishes a repository as its developer would, and updates from it as an application with python-tuf does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aiohttp import FormData
from tuf.ngclient import Updater

from tests.conftest import Service
from tests.tuf.developer import Developer

UPLOADS = "/api/v1/updates/my-app/tuf/stable"
FEED = "/feeds/my-app/stable/tuf"


def form_of(files: Mapping[str, bytes] | list[tuple[str, bytes]], part: str = "files") -> FormData:
    made = FormData(default_to_multipart=True, quote_fields=False)
    for name, body in files.items() if isinstance(files, Mapping) else files:
        made.add_field(part, BytesIO(body), filename=name, content_type="application/json")
    return made


async def put(service: Service, path: str, content: bytes, *, status: int = 201, base: str = UPLOADS) -> Any:
    return await service.call("PUT", f"{base}/targets/{quote(path)}", key="write", data=content, status=status)


async def post(
    service: Service, files: Mapping[str, bytes] | list[tuple[str, bytes]], *, status: int = 200, base: str = UPLOADS
) -> Any:
    return await service.call("POST", f"{base}/metadata", key="write", data=form_of(files), status=status)


async def publish(service: Service, developer: Developer) -> None:
    """Upload targets that are not there, then what changed of the metadata."""
    for path, content in developer.targets_by_path.items():
        await service.exchange("PUT", f"{UPLOADS}/targets/{quote(path)}", key="write", data=content)
    new = developer.taken()
    assert await post(service, new) == {"published": list(new)}


class App:
    """An installed application: it has the root of its day, and asks with python-tuf."""

    def __init__(self, service: Service, folder: Path, root: bytes, *, prefix: str = "") -> None:
        self.base = f"{service.url}{prefix}{FEED}"
        self.metadata, self.files = folder / "metadata", folder / "files"
        self.metadata.mkdir(parents=True)
        self.files.mkdir()
        (self.metadata / "root.json").write_bytes(root)

    async def fetch(self, path: str) -> bytes | None:
        """Refresh, then return the bytes of a target; None when the repository names none of this path."""
        return await asyncio.to_thread(self._fetch, path)

    def _fetch(self, path: str) -> bytes | None:
        updater = Updater(str(self.metadata), f"{self.base}/metadata/", str(self.files), f"{self.base}/targets/")
        with closed(updater):
            updater.refresh()
            found = updater.get_targetinfo(path)
            if found is None:
                return None
            return Path(updater.find_cached_target(found) or updater.download_target(found)).read_bytes()


@contextmanager
def closed(updater: Updater) -> Iterator[None]:
    """Close the connections of an updater behind the block; python-tuf leaves them open."""
    try:
        yield
    finally:
        for session in updater._fetcher._sessions.values():
            session.close()
