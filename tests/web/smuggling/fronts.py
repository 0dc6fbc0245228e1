"""nginx and haproxy in front of a backend, and what they say that they sent it."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.ports import free_port
from tests.web.test_nginx_offload import _write_configuration
from tests.web.test_transfer_nginx import NGINX, wait_for

HAPROXY = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
_NGINX_LOG = (
    "log_format seen 'SEEN|$request_method|$request_uri|$upstream_addr|$upstream_http_x_request_id|'; "
    "access_log syslog:server=127.0.0.1:{log},nohostname seen;"
)
_HAPROXY = """
global
    log 127.0.0.1:{log} len 8192 local0
    maxconn 500
defaults
    mode http
    log global
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    http-reuse always
    option forwardfor
frontend front
    bind 127.0.0.1:{port}
    declare capture response len 64
    http-response capture res.hdr(x-request-id) id 0
    log-format "SEEN|%HM|%HU|%s|%[capture.res.hdr(0)]|%rc"
    default_backend back
backend back
    server updater {upstream}
"""


class Sent(NamedTuple):
    """A request that a front took, how often it sent it on, and the request id of the answer that it got, if any."""

    method: str
    target: str
    times: int
    answered: str


@dataclass
class Front:
    """A proxy that listens on `port`, and what it logged."""

    name: str
    port: int
    trust: ssl.SSLContext | None
    lines: list[Sent] = field(default_factory=list)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("localhost" if self.trust else "127.0.0.1", self.port, ssl=self.trust)


class _Log(asyncio.DatagramProtocol):
    def __init__(self, lines: list[Sent]) -> None:
        self._lines = lines

    def datagram_received(self, data: bytes, _: object) -> None:
        _, mark, text = data.decode("latin-1").partition("SEEN|")
        if not mark:
            return
        method, target, whom, answered, more = (
            text.rstrip("\n\x00").rsplit("|", 4) if text.count("|") == 4 else _odd(text)
        )
        sent_on = 0 if whom in ("-", "<NOSRV>", "") else whom.count(",") + 1 + int(more.lstrip("+") or 0)
        self._lines.append(Sent(method, target, sent_on, "" if answered == "-" else answered))


def _odd(text: str) -> list[str]:
    """A target with bars in it."""
    method, _, rest = text.rstrip("\n\x00").partition("|")
    return [method, *rest.rsplit("|", 3)]


@asynccontextmanager
async def running_front(name: str, folder: Path, storage: Path, upstream: str) -> AsyncIterator[Front]:
    """Run a proxy before `upstream`, HOST:PORT, for the block."""
    program = {"nginx": NGINX, "haproxy": HAPROXY}[name]
    if program is None:
        pytest.skip(f"{name} is not installed")
    folder.mkdir()
    front = Front(name, free_port(), None)
    receiving = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiving.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    receiving.bind(("127.0.0.1", 0))
    log = receiving.getsockname()[1]
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: _Log(front.lines), sock=receiving)
    configure: Callable[[], list[str]] = {
        "nginx": lambda: _configure_nginx(folder, storage, front, upstream, log),
        "haproxy": lambda: _configure_haproxy(folder, front, upstream, log),
    }[name]
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen([program, *configure()], stdout=said, stderr=said)
    try:
        await asyncio.to_thread(wait_for, front.port)
        yield front
    finally:
        process.terminate()
        process.wait(20)
        transport.close()


def _configure_nginx(folder: Path, storage: Path, front: Front, upstream: str, log: int) -> list[str]:
    _write_configuration(folder, storage, front.port, upstream)
    front.trust = ssl.create_default_context(cafile=str(folder / "cert.pem"))
    written = (folder / "nginx.conf").read_text()
    for shipped, ours in {
        "access_log off;": _NGINX_LOG.format(log=log),
        "worker_connections 64": "worker_connections 900",
    }.items():
        assert shipped in written
        written = written.replace(shipped, ours)
    (folder / "nginx.conf").write_text(written)
    return ["-c", f"{folder}/nginx.conf", "-p", str(folder)]


def _configure_haproxy(folder: Path, front: Front, upstream: str, log: int) -> list[str]:
    (folder / "haproxy.cfg").write_text(_HAPROXY.format(log=log, port=front.port, upstream=upstream))
    return ["-f", f"{folder}/haproxy.cfg", "-db"]
