"""scripts/nginx.conf with a real nginx: TLS, and files that nginx sends in the service's name."""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.conftest import Service, StartService
from tests.ports import free_port
from tests.web.test_transfer_nginx import NGINX, wait_for

ROOT = Path(__file__).parent.parent.parent
DATA = random.Random(13).randbytes(300_007)
ETAG = f'"{hashlib.sha256(DATA).hexdigest()}"'
PATH = "/api/v1/updates/my-app/download/1.0.0/linux/amd64"
# nginx says these in its own words, or for itself.
_OWN = {"strict-transport-security", "date", "server", "connection", "x-request-id", "keep-alive"}
_MAIN = """
{user}
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off; default_type application/octet-stream;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""


@dataclass
class Front:
    """nginx and the service behind it."""

    service: Service
    url: str
    trust: ssl.SSLContext
    folder: Path

    async def ask(self, origin: str, method: str = "GET", **headers: str) -> tuple[Any, bytes]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        more = {"ssl": self.trust} if origin.startswith("https") else {}
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.request(method, origin + PATH, headers=named, allow_redirects=False, **more) as answer,
        ):
            return answer, await answer.read()


@pytest.fixture
async def front(start_service: StartService, tmp_path: Path) -> AsyncIterator[Front]:
    if NGINX is None or shutil.which("openssl") is None:
        pytest.skip("nginx and openssl are not both installed")
    port = free_port()
    storage = {"root": str(tmp_path / "storage"), "offload": "x-accel"}
    service = await start_service(
        storage=storage, server={"trusted_proxies": ["127.0.0.1"], "public_url": f"https://localhost:{port}"}
    )
    await service.application()
    await service.publish(DATA)
    folder = tmp_path / "nginx"
    folder.mkdir()
    _write_configuration(folder, tmp_path / "storage", port, service.url.removeprefix("http://"))
    with subprocess.Popen([NGINX, "-c", f"{folder}/nginx.conf", "-p", str(folder)]) as process:
        try:
            wait_for(port)
            yield Front(
                service,
                f"https://localhost:{port}",
                ssl.create_default_context(cafile=str(folder / "cert.pem")),
                folder,
            )
        finally:
            process.terminate()
    assert " [error] " not in (folder / "error.log").read_text()


def _write_configuration(folder: Path, storage: Path, port: int, upstream: str) -> None:
    """Write what the shipped file says, with this test's addresses and folders in it."""
    request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    files = ["-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem"]
    command = ["openssl", *request.split(), "-addext", "subjectAltName=DNS:localhost", *files]
    subprocess.run(command, check=True, capture_output=True)
    site = (ROOT / "scripts" / "nginx.conf").read_text()
    for shipped, ours in {
        "server 127.0.0.1:8080;": f"server {upstream};",
        "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        "listen 80;": f"listen 127.0.0.1:{free_port()};",
        "server_name updates.example.com;": "server_name localhost;",
        "/etc/ssl/updates.example.com.pem": f"{folder}/cert.pem",
        "/etc/ssl/updates.example.com.key": f"{folder}/key.pem",
        "/srv/updater/storage/blobs/": f"{storage}/blobs/",
    }.items():
        assert shipped in site
        site = site.replace(shipped, ours)
    (folder / "site.conf").write_text(site)
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(_MAIN.format(folder=folder, user=user))


async def test_nginx_sends_the_file_with_our_headers(front: Front) -> None:
    answer, body = await front.ask(front.url)
    assert (answer.status, body) == (200, DATA)
    assert answer.headers["ETag"] == ETAG
    assert answer.headers["Server"] == "nginx"
    assert "X-Accel-Redirect" not in answer.headers
    assert answer.headers["Content-Length"] == str(len(DATA))
    visits = await front.service.services.telemetry.download_counts(1)
    assert visits in ((0, 0), (1, 1))  # counted, perhaps a moment later


CASES: list[dict[str, str]] = [
    {},
    {"Range": "bytes=5-99"},
    {"Range": "bytes=-1000"},
    {"Range": "bytes=299999-"},
    {"Range": "bytes=99999999-"},
    {"Range": "bytes=0-9,20-29,299990-"},
    {"Range": "bytes=0-199999,100-150000,0-299999,0-299999,0-299999,0-299999,0-299999,0-299999"},
    {"Range": "bytes=" + ",".join(f"{number}-{number}" for number in range(0, 4000, 4))},
    {"Range": "pages=1-2"},
    {"Range": "bytes=a-b"},
    {"If-None-Match": ETAG},
    {"If-None-Match": '"other"'},
    {"If-Match": '"other"'},
    {"If-Match": ETAG, "Range": "bytes=7-8"},
    {"If-Range": ETAG, "Range": "bytes=7-8"},
    {"If-Range": '"other"', "Range": "bytes=7-8"},
    {"If-Range": ETAG, "Range": "bytes=7-8,20-21"},
    {"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"},
    {"If-Unmodified-Since": "Fri, 01 Jan 2010 00:00:00 GMT"},
    {"If-Range": "Fri, 01 Jan 2100 00:00:00 GMT", "Range": "bytes=7-8"},
]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_offloaded_answers_equal_our_own(front: Front, method: str) -> None:
    """Asked directly, by an address that is no trusted proxy, the service would send the same itself."""
    direct = front.service.url
    for headers in CASES:
        named = {name.replace("-", "_"): value for name, value in headers.items()}
        theirs, their_body = await front.ask(front.url, method, **named)
        ours, our_body = await _ask_untrusted(front, direct, method, **named)
        assert theirs.status == ours.status, headers
        names = [name.lower() for name, _ in theirs.raw_headers]
        assert len(names) == len(set(names)), (headers, names)
        if ours.headers.get("Content-Type", "").startswith("multipart/"):
            assert _parts(theirs, their_body) == _parts(ours, our_body), headers
            continue
        assert their_body == our_body, headers
        shown = [{k.lower(): v for k, v in each.headers.items()} for each in (theirs, ours)]
        differing = {name for name in {*shown[0], *shown[1]} if shown[0].get(name) != shown[1].get(name)}
        assert differing <= _OWN, (headers, differing)


async def _ask_untrusted(front: Front, direct: str, method: str, **headers: str) -> tuple[Any, bytes]:
    """Ask as a client that is no proxy: from another address of this machine."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connector = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
    async with (
        aiohttp.ClientSession(connector=connector, auto_decompress=False) as session,
        session.request(method, direct + PATH, headers=named) as answer,
    ):
        return answer, await answer.read()


def _parts(answer: Any, body: bytes) -> list[bytes]:
    boundary = re.search(r"boundary=(\S+)", answer.headers["Content-Type"])
    assert boundary is not None
    assert body.startswith(b"\r\n--") or not body  # zsync 0.6.2
    return [part.strip(b"\r\n") for part in body.split(b"--" + boundary[1].encode())]


async def test_browsers_are_led_to_https_and_told_to_stay(front: Front) -> None:
    for path in (PATH, "/health", "/nothing/here"):
        async with aiohttp.ClientSession() as session, session.get(front.url + path, ssl=front.trust) as answer:
            assert answer.headers.getall("Strict-Transport-Security") == ["max-age=31536000"], path
    site = (front.folder / "site.conf").read_text()
    plain = re.search(r"listen (127\.0\.0\.1:\d+);", site)
    assert plain is not None
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{plain[1]}{PATH}?a=b", allow_redirects=False) as answer,
    ):
        assert (answer.status, answer.headers["Location"]) == (308, f"https://localhost{PATH}?a=b")


async def test_one_address_has_so_many_requests_at_once(front: Front) -> None:
    site = (front.folder / "site.conf").read_text()
    assert "limit_conn updater_address 256;" in site
    assert "limit_conn updater_all 8000;" in site


async def test_the_files_cannot_be_asked_for_directly(front: Front) -> None:
    digest = ETAG.strip('"')
    async with aiohttp.ClientSession() as session:
        for path in (f"/_blobs/{digest[:2]}/{digest[2:4]}/{digest}", "/_blobs/", "/_blobs/../updater.db", "/metrics"):
            async with session.get(front.url + path, ssl=front.trust) as answer:
                assert answer.status == 404, path


async def test_without_a_proxy_the_bytes_come_from_the_service(front: Front) -> None:
    answer, body = await _ask_untrusted(front, front.service.url, "GET")
    assert (answer.status, body) == (200, DATA)
    assert "X-Accel-Redirect" not in answer.headers
    trusted, empty = await front.ask(front.service.url)
    assert trusted.headers["X-Accel-Redirect"].startswith("/_blobs/")
    assert empty == b""


async def test_links_are_those_of_the_proxy(front: Front) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.get(
            f"{front.url}/api/v1/updates/my-app/latest?platform=linux&architecture=amd64", ssl=front.trust
        ) as answer,
    ):
        assert (await answer.json())["download_url"] == front.url + PATH


async def test_an_upload_passes_through_nginx(front: Front) -> None:
    from tests.conftest import KEYS

    path = "/api/v1/updates/my-app/builds/1.1.0/linux/amd64"
    headers = {"Authorization": f"Bearer {KEYS['write']}"}
    async with (
        aiohttp.ClientSession() as session,
        session.put(front.url + path, data=iter_chunks(), headers=headers, ssl=front.trust) as answer,
    ):
        assert answer.status == 201, await answer.text()
        assert (await answer.json())["file_size"] == 40 * 100_000


async def iter_chunks() -> AsyncIterator[bytes]:
    for number in range(40):
        yield bytes([number]) * 100_000
