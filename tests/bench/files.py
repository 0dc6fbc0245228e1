"""Whole files: a download against nginx, an upload against copying the file on the server."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.bench.processes import (
    KEY,
    LOAD_CORE,
    SERVER_CORE,
    Process,
    create_application,
    running,
    service,
)
from tests.bench.rows import Figure, Row, alternate
from tests.ports import free_port

SIZE_BYTES = 1 << 30
_ROUNDS = 4
_NGINX = """
worker_processes 1;
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr;
events {{ worker_connections 64; }}
http {{
    access_log {folder}/nginx.access.log;
    sendfile on;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    server {{ listen 127.0.0.1:{port}; location / {{ root {folder}; }} }}
}}
"""


def download(folder: Path) -> Sequence[Figure]:
    """Send 1 GiB from the page cache, against nginx on the same file."""
    original = make_file(folder)
    port = free_port()
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, port=port))
    nginx = ["nginx", "-c", str(folder / "nginx.conf")]
    with service(folder) as own, running(nginx, port, folder / "nginx.log", core=SERVER_CORE) as peer:
        create_application(own)
        _upload(own, original, "1.0.0")
        own_url = f"{own.url}/api/v1/updates/my-app/download/1.0.0/linux/amd64"
        peer_url = f"{peer.url}/{original.name}"
        own_cpu, peer_cpu = _Meter(own), _Meter(peer)
        mine_s, theirs_s, ratio = alternate(
            _ROUNDS, lambda: own_cpu.over(lambda: fetch(own_url)), lambda: peer_cpu.over(lambda: fetch(peer_url))
        )
    cpu = Figure(
        "download of 1 GiB, processor time against nginx",
        own_cpu.total_s / peer_cpu.total_s,
        f"{own_cpu.total_s / _ROUNDS:.3f} s",
        f"{peer_cpu.total_s / _ROUNDS:.3f} s",
        at_most=1.3,
    )
    return [
        Figure("download of 1 GiB, speed against nginx", 1 / ratio, f"{mine_s:.2f} s", f"{theirs_s:.2f} s", 0.95),
        cpu,
    ]


def upload(folder: Path) -> Sequence[Figure]:
    """Take 1 GiB as a form, against cp, sha256sum and fsync of the same file."""
    original = make_file(folder)
    with service(folder, core=None) as own:
        create_application(own)
        versions = iter(f"1.0.{number}" for number in range(1_000))
        _upload(own, original, next(versions))
        before_mib = own.memory_mib()
        own.forget_peak()
        mine_s, theirs_s, ratio = alternate(
            _ROUNDS, lambda: _upload(own, original, next(versions)), lambda: _copy(original, folder / "copy")
        )
        growth_mib = own.memory_mib("VmHWM") - before_mib
    what = "upload of 1 GiB (form), speed against cp + sha256sum + fsync"
    return [
        Figure(what, 1 / ratio, f"{mine_s:.2f} s", f"{theirs_s:.2f} s", at_least=0.80),
        Figure("memory that the uploads added", growth_mib, f"{growth_mib:.1f} MiB", "-", at_most=32, unit=" MiB"),
    ]


class _Meter:
    """Sums a process's time on the processor over some work."""

    def __init__(self, process: Process) -> None:
        self.total_s = 0.0
        self._process = process

    def over(self, work: Callable[[], float]) -> float:
        before_s = self._process.cpu_s()
        try:
            return work()
        finally:
            self.total_s += self._process.cpu_s() - before_s


def make_file(folder: Path, size_bytes: int = SIZE_BYTES) -> Path:
    """Write a file of random bytes, a whole number of MiB."""
    path = folder / "original.bin"
    with path.open("wb") as file:
        for _ in range(size_bytes >> 20):
            file.write(os.urandom(1 << 20))
        os.fsync(file.fileno())
    return path


def fetch(url: str) -> float:
    """Download with curl, to nowhere; return how long it took."""
    started = time.monotonic()
    subprocess.run(["taskset", "-c", LOAD_CORE, "curl", "-sSf", "-o", "/dev/null", url], check=True)
    return time.monotonic() - started


def _upload(server: Process, path: Path, version: str) -> float:
    fields = {"version": version, "platform": "linux", "architecture": "amd64", "file": f"@{path}"}
    form = [part for name, value in fields.items() for part in ("-F", f"{name}={value}")]
    address = f"{server.url}/api/v1/updates/my-app/upload"
    started = time.monotonic()
    subprocess.run(
        ["curl", "-sSf", "-o", "/dev/null", "-H", f"Authorization: Bearer {KEY}", *form, address], check=True
    )
    return time.monotonic() - started


def _copy(original: Path, copy: Path) -> float:
    started = time.monotonic()
    subprocess.run(["cp", str(original), str(copy)], check=True)
    subprocess.run(["sha256sum", str(copy)], check=True, stdout=subprocess.DEVNULL)
    with copy.open("rb") as file:
        os.fsync(file.fileno())
    took_s = time.monotonic() - started
    copy.unlink()
    return took_s


ROWS = (Row("download", download), Row("upload", upload))
