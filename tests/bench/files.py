"""Whole files: downloads against nginx, an upload against what has to be done to a file anyway."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.nginx import nginx
from tests.bench.processes import create_application, running, service, settle
from tests.bench.rows import Figure, Pace, Row, Runs, Skip, interleave, speed
from tests.bench.transfer import (
    SIZE_BYTES,
    Meter,
    fetch,
    fetch_in_pieces,
    freshen,
    make_file,
    processor,
    send_form,
    upload_form,
)
from tests.ports import free_port

_DOWNLOAD = "/api/v1/updates/my-app/download/1.0.0/linux/amd64"
_SIZE = f"{SIZE_BYTES >> 20} MiB"


def download(folder: Path, pace: Pace) -> Sequence[Figure]:
    """Send a file from the page cache over one connection, against nginx with the same file."""
    original = make_file(folder)
    with service(folder) as own, nginx(folder) as peer:
        create_application(own)
        upload_form(own, original, "1.0.0")
        settle(own)
        own_url, peer_url = own.url + _DOWNLOAD, f"{peer.url}/{original.name}"
        own_cpu, peer_cpu = Meter(own), Meter(peer)
        mine_s, theirs_s = interleave(
            pace, lambda: own_cpu.over(lambda: fetch(own_url)), lambda: peer_cpu.over(lambda: fetch(peer_url))
        )
    what = f"download of {_SIZE}"
    return [
        speed(f"{what}, speed against nginx", mine_s, theirs_s, at_least=1.0),
        processor(f"{what}, processor time against nginx", own_cpu.runs(), peer_cpu.runs(), at_most=1.2),
    ]


def in_pieces(folder: Path, pace: Pace) -> Sequence[Figure]:
    """Send a file over eight connections, a piece each, into memory: what download managers do."""
    if shutil.which("aria2c") is None:
        raise Skip("aria2c is missing (Debian: aria2)")
    original = make_file(folder)
    with (
        service(folder) as own,
        nginx(folder) as peer,
        tempfile.TemporaryDirectory(dir="/dev/shm", prefix="bench-") as memory,
    ):
        create_application(own)
        upload_form(own, original, "1.0.0")
        settle(own)
        own_url, peer_url, into = own.url + _DOWNLOAD, f"{peer.url}/{original.name}", Path(memory)
        own_cpu, peer_cpu = Meter(own), Meter(peer)
        mine_s, theirs_s = interleave(
            pace,
            lambda: own_cpu.over(lambda: fetch_in_pieces(own_url, into)),
            lambda: peer_cpu.over(lambda: fetch_in_pieces(peer_url, into)),
        )
    what = f"download of {_SIZE} over 8 connections (aria2c)"
    return [
        speed(f"{what}, speed against nginx", mine_s, theirs_s, at_least=1.0),
        processor(f"{what}, processor time against nginx", own_cpu.runs(), peer_cpu.runs()),
    ]


def upload(folder: Path, pace: Pace) -> Sequence[Figure]:
    """Take a file as a form, against cp, openssl and fsync of the same file, and a bare socket that does no more.

    The bound is for the time that the uploader waits; the processor time, of the server alone, is shown.
    """
    original, copy = make_file(folder), folder / "copy"
    copied_cpu_s: list[float] = []

    def copying() -> float:
        took_s, used_s = _copy(original, copy)
        copied_cpu_s.append(used_s)
        return took_s

    port = free_port()
    bare_command = [sys.executable, "-m", "tests.bench.receiver", str(port), str(folder / "received")]
    with service(folder, core=None) as own, running(bare_command, port, folder / "bare.log", core=None) as bare:
        create_application(own)
        versions = iter(f"1.0.{number}" for number in range(1_000))

        def uploading() -> float:
            freshen(original)
            return own_cpu.over(lambda: upload_form(own, original, next(versions)))

        upload_form(own, original, next(versions))
        before_mib = own.memory_mib()
        own.forget_peak()
        own_cpu = Meter(own)
        mine_s, theirs_s, bare_s = interleave(pace, uploading, copying, lambda: send_form(bare.url, original, "1.0.0"))
        growth = Runs((own.memory_mib("VmHWM") - before_mib,))
    what, peer = f"upload of {_SIZE} (form)", "cp + openssl dgst -sha256 + fsync"
    return [
        speed(f"{what}, speed against {peer}", mine_s, theirs_s, at_least=0.85),
        speed(f"{what}, speed against a bare socket that hashes and writes", mine_s, bare_s),
        speed(f"that socket, speed against {peer}", bare_s, theirs_s),
        processor(f"{what}, processor time against {peer}", own_cpu.runs(), Runs(tuple(copied_cpu_s))),
        Figure("memory that the uploads added", growth, at_most=32, unit=" MiB"),
    ]


def _copy(original: Path, copy: Path) -> tuple[float, float]:
    """Copy, hash and sync a file; return the seconds it took, and those of processor time."""
    before, began_s = _children_s() + time.process_time(), time.monotonic()
    subprocess.run(["cp", str(original), str(copy)], check=True)
    subprocess.run(["openssl", "dgst", "-sha256", str(copy)], check=True, stdout=subprocess.DEVNULL)
    with copy.open("rb") as file:
        os.fsync(file.fileno())
    took_s, used_s = time.monotonic() - began_s, _children_s() + time.process_time() - before
    copy.unlink()
    return took_s, used_s


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


ROWS = (Row("download", download), Row("pieces", in_pieces), Row("upload", upload))
