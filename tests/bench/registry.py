"""Files against docker-registry, which hashes and syncs what it takes as well: shown, not a bound."""

from __future__ import annotations

import hashlib
import shutil
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.bench.processes import KEY, SERVER_CORE, Process, create_application, running, service, settle
from tests.bench.rows import Figure, Pace, Row, Skip, interleave, speed
from tests.bench.transfer import SIZE_BYTES, Meter, fetch, freshen, make_file, processor, took_s
from tests.ports import free_port

_BUILD = "/api/v1/updates/my-app/builds/{version}/linux/amd64"
_DOWNLOAD = "/api/v1/updates/my-app/download/{version}/linux/amd64"
_CONFIGURATION = """
version: 0.1
log: {{accesslog: {{disabled: false}}, level: info}}
storage:
  cache: {{blobdescriptor: inmemory}}
  filesystem: {{rootdirectory: {folder}/registry}}
http: {{addr: "127.0.0.1:{port}"}}
"""


def blobs(folder: Path, pace: Pace) -> Sequence[Figure]:
    """Upload new bytes as one body, and download them, in turn; both servers have one core."""
    original = make_file(folder)
    versions = iter(f"1.0.{number}" for number in range(1_000))
    with service(folder) as own, _running(folder) as peer:
        create_application(own)
        mine, theirs = Meter(own), Meter(peer)

        def put() -> float:
            freshen(original)
            return mine.over(lambda: _put(own, original, next(versions)))

        put_s, push_s = interleave(pace, put, lambda: theirs.over(lambda: _push(peer, original)))
        put_cpu_s, push_cpu_s = mine.runs(), theirs.runs()
        _put(own, original, last := next(versions))
        settle(own)
        own_url, peer_url = own.url + _DOWNLOAD.format(version=last), f"{peer.url}/v2/bench/blobs/{_digest(original)}"
        get_s, pull_s = interleave(pace, lambda: fetch(own_url), lambda: fetch(peer_url))
    size, against = f"{SIZE_BYTES >> 20} MiB", "against docker-registry"
    return [
        speed(f"upload of {size} (one body), speed {against}", put_s, push_s),
        processor(f"upload of {size} (one body), processor time {against}", put_cpu_s, push_cpu_s),
        speed(f"download of {size}, speed {against}", get_s, pull_s),
    ]


def _put(server: Process, path: Path, version: str) -> float:
    key = f"Authorization: Bearer {KEY}"
    address = server.url + _BUILD.format(version=version)
    return took_s("curl", "-sSf", "-o", "/dev/null", "-T", str(path), "-H", key, address)


def _push(server: Process, path: Path) -> float:
    """Upload a blob in one piece. Source: https://distribution.github.io/distribution/spec/api."""
    digest = _digest(path)
    began_s = time.monotonic()
    request = urllib.request.Request(f"{server.url}/v2/bench/blobs/uploads/", method="POST")
    with urllib.request.urlopen(request) as response:
        address = f"{response.headers['Location']}&digest={digest}"
    kind = "Content-Type: application/octet-stream"
    took_s("curl", "-sSf", "-o", "/dev/null", "-T", str(path), "-H", kind, address)
    return time.monotonic() - began_s


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


@contextmanager
def _running(folder: Path) -> Iterator[Process]:
    if shutil.which("docker-registry") is None:
        raise Skip("docker-registry is missing (Debian: docker-registry)")
    port, configuration = free_port(), folder / "registry.yml"
    configuration.write_text(_CONFIGURATION.format(folder=folder, port=port))
    command = ["docker-registry", "serve", str(configuration)]
    with running(command, port, folder / "registry.log", core=SERVER_CORE) as process:
        yield process


ROWS = (Row("registry", blobs),)
