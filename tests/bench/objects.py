"""An object store behind the service, and nginx in front of it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from tests.bench.checks import per_cpu_s
from tests.bench.nginx import configure
from tests.bench.processes import KEY, SERVER_CORE, Process, create_application, running, service
from tests.bench.rows import Figure, Pace, Row, interleave, rate, speed
from tests.bench.transfer import fetch, make_file
from tests.ports import free_port
from tests.servers.ceph import Ceph, running_ceph

UPLOAD_BYTES = 512 << 20
_DOWNLOAD = "/api/v1/updates/my-app/download/1.0.0/linux/amd64"
_SENDS = "tcp_nopush on; sendfile_max_chunk 2m;"
_SITE = Path(__file__).parent.parent.parent / "scripts" / "nginx.conf"


def upload(folder: Path, pace: Pace) -> Sequence[Figure]:
    """Take 512 MiB into an object store, against the store's own client with the same file."""
    import obstore

    original = make_file(folder, UPLOAD_BYTES)
    with running_ceph(store_bytes=12 << 30) as ceph, _service_on(ceph, folder, core=None) as own:
        create_application(own)
        client: Any = ceph.client(ceph.make_bucket())
        versions = iter(f"1.0.{number}" for number in range(100))

        def put() -> float:
            began_s = time.monotonic()
            with original.open("rb") as file:
                obstore.put(client, "peer", file)
            return time.monotonic() - began_s

        _put(own, original, next(versions))
        put()
        mine_s, theirs_s = interleave(pace, lambda: _put(own, original, next(versions)), put)
    what = "upload of 512 MiB to S3 (Ceph), speed against the store's own client"
    return [speed(what, mine_s, theirs_s, at_least=0.7)]


def redirect(folder: Path, pace: Pace) -> Sequence[Figure]:
    """Redirect downloads to signed addresses, against a bare handler that always knows the address."""
    script = folder / "download.lua"
    script.write_text(f'wrk.path = "{_DOWNLOAD}"\n')
    small = make_file(folder, 1 << 20)
    with running_ceph() as ceph, _service_on(ceph, folder, core=SERVER_CORE) as own:
        create_application(own)
        _put(own, small, "1.0.0")
        body = folder / "body"
        body.write_text(_location(own.url + _DOWNLOAD))
        port = free_port()
        command = [sys.executable, "-m", "tests.bench.bare", str(port), str(body)]
        with running(command, port, folder / "bare.log", core=SERVER_CORE) as bare:
            mine, theirs = interleave(pace, lambda: per_cpu_s(own, script, pace), lambda: per_cpu_s(bare, script, pace))
    return [rate("redirected downloads a second, against a bare aiohttp handler", mine, theirs, at_least=0.55)]


def offload(folder: Path, pace: Pace) -> Sequence[Figure]:
    """Let nginx send 1 GiB in the service's name, against nginx alone with the same file."""
    original = make_file(folder, 1 << 30)
    port, plain_port = free_port(), free_port()
    settings = {"storage__offload": "x-accel", "server__trusted_proxies": ["127.0.0.1"]}
    with service(folder, **settings) as own:
        create_application(own)
        _put(own, original, "1.0.0")
        command = _configure(folder, own.url.removeprefix("http://"), port, plain_port)
        with running(command, port, folder / "nginx.log", core=SERVER_CORE) as nginx:
            plain = f"http://127.0.0.1:{plain_port}/{original.name}"
            mine_s, theirs_s = interleave(pace, lambda: fetch(nginx.url + _DOWNLOAD), lambda: fetch(plain))
    what = "download of 1 GiB by nginx for the service, speed against nginx alone"
    return [speed(what, mine_s, theirs_s, at_least=0.95)]


def _service_on(ceph: Ceph, folder: Path, *, core: str | None) -> AbstractContextManager[Process]:
    return service(folder, core=core, storage__blob_url=ceph.url(ceph.make_bucket(), "bench"))


def _configure(folder: Path, upstream: str, port: int, plain_port: int) -> list[str]:
    """Write the shipped configuration with this run's addresses; return the command.

    Without TLS: curl's share would hide the rest.
    """
    site = _SITE.read_text().replace("server 127.0.0.1:8080;", f"server {upstream};")
    site = site.replace("listen 443 ssl;", f"listen 127.0.0.1:{port};")
    site = site.replace("listen 80;", f"listen 127.0.0.1:{free_port()};")
    site = site.replace("/srv/updater/storage/blobs/", f"{folder}/storage/blobs/")
    (folder / "site.conf").write_text("\n".join(line for line in site.splitlines() if "ssl_" not in line))
    plain = f"server {{ listen 127.0.0.1:{plain_port}; location / {{ root {folder}; {_SENDS} }} }}"
    user = "user root;" if os.geteuid() == 0 else ""
    return configure(folder, f"{plain}\n    include {folder}/site.conf;", main=user)


def _put(server: Process, path: Path, version: str) -> float:
    address = f"{server.url}/api/v1/updates/my-app/builds/{version}/linux/amd64"
    began_s = time.monotonic()
    command = ["curl", "-sSf", "-o", "/dev/null", "-T", str(path), "-H", f"Authorization: Bearer {KEY}", address]
    subprocess.run(command, check=True)
    return time.monotonic() - began_s


def _location(url: str) -> str:
    """Return where an address redirects to."""

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: object) -> None:
            return None

    try:
        urllib.request.build_opener(Stay()).open(url)
    except urllib.error.HTTPError as answer:
        return str(answer.headers["Location"])
    raise RuntimeError("the download was not redirected")


ROWS = (Row("s3", upload), Row("redirect", redirect), Row("offload", offload))
