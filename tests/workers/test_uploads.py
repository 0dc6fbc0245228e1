"""Uploads that resume, taken by several workers in turn; and into an object store."""

from __future__ import annotations

import hashlib
import http.client
import json
import random
import socket
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from tests.conftest import KEYS, StartService
from tests.servers.buckets import Buckets
from tests.servers.postgres import Postgres
from tests.web.tus.talking import BUILD, PIECE, TUS, UPLOADS, begin, metadata, send
from tests.workers.processes import Started, serving

CONTENT = random.Random(2).randbytes(6_000_011)
HEADERS = {"Authorization": f"Bearer {KEYS['write']}", **TUS}


def ask(url: str, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, dict[str, str]]:
    """Send one request on a connection of its own: any worker takes it."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    connection.request(method, path, body, {**HEADERS, "Connection": "close", **headers})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status, dict(answer.headers)


def send_piece(url: str, path: str, offset: int, piece: bytes) -> int:
    """Send a piece; return how far the upload is then."""
    status, told = ask(url, "PATCH", path, piece, **{"Upload-Offset": str(offset), "Content-Type": PIECE})
    assert status == 204
    return int(told["Upload-Offset"])


def stall(url: str, path: str, offset: int, piece: bytes) -> socket.socket:
    """Send a part of all the rest, and fall silent."""
    head = [f"PATCH {path} HTTP/1.1", f"Host: {urlsplit(url).netloc}", *(f"{k}: {v}" for k, v in HEADERS.items())]
    head += [f"Upload-Offset: {offset}", f"Content-Type: {PIECE}", f"Content-Length: {len(CONTENT) - offset}"]
    dead = socket.create_connection((urlsplit(url).hostname, urlsplit(url).port))
    dead.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + piece)
    return dead


def workers_of(started: Started) -> set[int]:
    """Return the workers that took pieces, by their metrics."""
    with urllib.request.urlopen(f"{started.url}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    taken = [line for line in lines if line.startswith("updater_received_bytes") and not line.endswith((" 0", " 0.0"))]
    return {hash(line.partition("}")[0]) for line in taken}


def test_any_worker_takes_the_next_piece(postgres: Postgres, tmp_path: Path) -> None:
    """Also from one whose connection is dead."""
    storage = {"root": str(tmp_path / "data"), "database_url": postgres.create_migrated()}
    with serving(tmp_path / "data", storage=storage, server={"workers": 3}) as started:
        body = {"id": "my-app", "name": "My App", "platforms": ["linux"]}
        started.call("POST", "/api/v1/applications", body)
        said = {"Upload-Length": str(len(CONTENT)), "Upload-Metadata": metadata(**BUILD)}
        status, told = ask(started.url, "POST", UPLOADS, **said)
        assert status == 201
        path, chosen, offset = told["Location"], random.Random(3), 0
        for _ in range(5):
            dead = stall(started.url, path, offset, CONTENT[offset : offset + 70_000])
            time.sleep(0.3)
            began_s = time.monotonic()
            status, told = ask(started.url, "HEAD", path)
            assert (status, int(told["Upload-Offset"])) == (200, offset + 70_000)
            assert time.monotonic() - began_s < 5
            offset += 70_000
            dead.close()
            for _ in range(5):
                offset = send_piece(started.url, path, offset, CONTENT[offset : offset + chosen.randrange(150_000)])
        offset = send_piece(started.url, path, offset, CONTENT[offset:])
        assert offset == len(CONTENT)
        result = json.loads(started.call("GET", path))["result"]
        assert result["checksum"] == hashlib.sha256(CONTENT).hexdigest()
        assert started.call("GET", urlsplit(result["download_url"]).path) == CONTENT
        assert len(workers_of(started)) >= 2


async def test_into_an_object_store(buckets: Buckets, start_service: StartService) -> None:
    """Pieces gather here, and go there with the last one."""
    bucket = buckets.make_bucket()
    service = await start_service(storage={"blob_url": buckets.url(bucket, "some/apps"), "remote_downloads": "stream"})
    await service.application()
    url = await begin(service, 300_000)
    await send(service, url, 0, CONTENT[:100_000])
    assert buckets.keys(bucket) == []
    await send(service, url, 100_000, CONTENT[100_000:300_000])
    digest = hashlib.sha256(CONTENT[:300_000]).hexdigest()
    assert buckets.keys(bucket) == [f"some/apps/blobs/{digest[:2]}/{digest[2:4]}/{digest}"]
    _, body = await service.exchange("GET", "/api/v1/updates/my-app/download/1.0.0/linux/amd64", status=200)
    assert body == CONTENT[:300_000]
    folder = Path(service.services.settings.storage.root) / "partial"
    assert [each.name for each in folder.iterdir()] == ["place"]


async def test_another_machine_says_so(postgres: Postgres, start_service: StartService, tmp_path: Path) -> None:
    """Two machines share the database, not the folder."""
    database = postgres.create_migrated()
    one = await start_service(storage={"database_url": database, "root": str(tmp_path / "one")})
    await one.application()
    url = await begin(one, 5)
    two_root = tmp_path / "two"
    two_root.mkdir()
    (two_root / "secret").write_bytes((tmp_path / "one" / "secret").read_bytes())
    (two_root / "secret").chmod(0o600)
    two = await start_service(storage={"database_url": database, "root": str(two_root)})
    await send(two, url, 0, b"bytes", status=503)
    assert await two.services.uploads.expire() == 0
    await send(one, url, 0, b"bytes")
    assert (await two.call("GET", url, key="write"))["state"] == "published"
