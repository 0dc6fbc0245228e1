"""A real object store for the tests: one Ceph monitor, one OSD in memory, one S3 gateway, on free ports of loopback."""

from __future__ import annotations

import itertools
import json
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.ports import free_port

PROGRAMS = ("ceph", "ceph-authtool", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")
_CONFIGURATION = """
[global]
fsid = {fsid}
mon host = v2:127.0.0.1:{mon_port}/0
public addr = 127.0.0.1
cluster addr = 127.0.0.1
public network = 127.0.0.0/8
ms bind ipv4 = true
keyring = {folder}/keyring
run dir = {folder}/run
admin socket = {folder}/run/$name.$pid.sock
log file = {folder}/log/$name.log
mon cluster log file = {folder}/log/cluster.log
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
mon allow pool size one = true
mon max pg per osd = 2000
mon warn on pool no redundancy = false
auth allow insecure global id reclaim = false
osd crush chooseleaf type = 0
[mon]
paxos propose interval = 0.05
paxos min wait = 0.02
[mon.a]
mon data = {folder}/mon
mon data avail crit = 1
mon data avail warn = 1
[osd.0]
osd data = {folder}/osd
keyring = {folder}/osd/keyring
osd objectstore = memstore
memstore device bytes = {store_bytes}
osd memory target = 939524096
[client.rgw]
rgw data = {folder}/rgw
keyring = {folder}/keyring
rgw frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1
rgw enable usage log = false
rgw enable ops log = false
rgw dns name = localhost
"""


@dataclass
class Ceph:
    """A running store, and the credentials for it."""

    folder: Path
    port: int
    access_key: str
    secret: str
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def make_bucket(self) -> str:
        """Make an empty bucket; return its name."""
        import obstore

        name = f"bucket-{next(self._numbers)}"
        address = obstore.sign(self.client(name), "PUT", "", timedelta(seconds=60))
        urllib.request.urlopen(urllib.request.Request(address, b"", method="PUT")).close()
        return name

    def url(self, bucket: str, prefix: str = "", *, port: int | None = None, **options: str) -> str:
        """Return the address for `storage.blob_url`; `port` leads through a proxy."""
        named = {**self._options(port), **options}
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in named.items())
        return f"s3://{bucket}/{prefix}?{query}"

    def client(self, bucket: str, prefix: str | None = None) -> object:
        """Return the library's own client."""
        from obstore.store import S3Store

        options = {**self._options(None), "virtual_hosted_style_request": "false"}
        return S3Store(bucket, prefix=prefix, config=options, client_options={"allow_http": True})

    def keys(self, bucket: str) -> list[str]:
        """List what the bucket's index holds, parts of uploads that were never completed included."""
        said = self._run("radosgw-admin", "-n", "client.rgw", "bi", "list", f"--bucket={bucket}")
        return [each["idx"] for each in json.loads(said)]

    def allow(self, operations: str) -> None:
        """Let the credentials do only these: `read`, `write`, `delete`."""
        self._run("radosgw-admin", "-n", "client.rgw", "user", "modify", "--uid=t", f"--op-mask={operations}")

    def _options(self, port: int | None) -> dict[str, str]:
        return {
            "endpoint": f"http://127.0.0.1:{port or self.port}",
            "region": "us-east-1",
            "access_key_id": self.access_key,
            "secret_access_key": self.secret,
        }

    def _run(self, program: str, *arguments: str, **more: object) -> str:
        command = [program, "-c", f"{self.folder}/ceph.conf", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60, **more).stdout


@contextmanager
def running_ceph(store_bytes: int = 2 << 30) -> Iterator[Ceph]:
    """Run a store for the block; about 2 s to start."""
    # Not below pytest's folder: its name is too long for Ceph's sockets.
    folder = Path(tempfile.mkdtemp(prefix="ceph-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        # The secret holds what a careless reader of addresses would break.
        ceph = Ceph(folder, free_port(), f"KEY{secrets.token_hex(8)}", f"a+b/c={secrets.token_hex(12)}&d")
        _configure(ceph, store_bytes)
        _start_cluster(ceph, stack)
        _daemon(ceph, stack, "radosgw", "-n", "client.rgw")
        _await(lambda: socket.create_connection(("127.0.0.1", ceph.port), 1).close())
        identity = (f"--access-key={ceph.access_key}", f"--secret-key={ceph.secret}")
        ceph._run("radosgw-admin", "-n", "client.rgw", "user", "create", "--uid=t", "--display-name=t", *identity)
        yield ceph


@pytest.fixture(scope="session")
def ceph() -> Iterator[Ceph]:
    """Give one object store to all tests; each makes its own bucket."""
    pytest.importorskip("obstore")
    missing = [each for each in PROGRAMS if shutil.which(each) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)} (Debian: radosgw ceph-mon ceph-osd ceph-mgr ceph-common)")
    with running_ceph() as started:
        yield started


def _configure(ceph: Ceph, store_bytes: int) -> None:
    folder = ceph.folder
    for name in ("mon", "osd", "rgw", "log", "run"):
        (folder / name).mkdir()
    values = {"folder": folder, "port": ceph.port, "mon_port": free_port(), "store_bytes": store_bytes}
    (folder / "ceph.conf").write_text(_CONFIGURATION.format(fsid=uuid.uuid4(), **values))


def _start_cluster(ceph: Ceph, stack: ExitStack) -> None:
    folder = ceph.folder
    text = (folder / "ceph.conf").read_text()
    fsid = text.partition("fsid = ")[2].partition("\n")[0]
    mon_address = text.partition("mon host = ")[2].partition("\n")[0]
    ring = f"{folder}/keyring"
    _plain("ceph-authtool", "--create-keyring", ring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
    everything = [word for part in ("mon", "osd", "mgr") for word in ("--cap", part, "allow *")]
    _plain("ceph-authtool", ring, "--gen-key", "-n", "client.admin", *everything)
    gateway = ["--cap", "mon", "allow rw", "--cap", "osd", "allow rwx", "--cap", "mgr", "allow rw"]
    _plain("ceph-authtool", ring, "--gen-key", "-n", "client.rgw", *gateway)
    _plain("monmaptool", "--create", "--fsid", fsid, "--addv", "a", f"[{mon_address}]", f"{folder}/monmap")
    ceph._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", f"{folder}/monmap", "--keyring", ring)
    _daemon(ceph, stack, "ceph-mon", "-i", "a")
    osd_id, secret = str(uuid.uuid4()), _plain("ceph-authtool", "--gen-print-key").strip()
    ceph._run("ceph", "osd", "new", osd_id, "-i", "-", input=json.dumps({"cephx_secret": secret}))
    _plain("ceph-authtool", "--create-keyring", f"{folder}/osd/keyring", "--name", "osd.0", "--add-key", secret)
    ceph._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd_id)
    _daemon(ceph, stack, "ceph-osd", "-i", "0")
    _await(lambda: _require("1 up" in ceph._run("ceph", "osd", "stat")))


def _daemon(ceph: Ceph, stack: ExitStack, program: str, *arguments: str) -> None:
    """Run in the foreground, as a child that ends with the block."""
    command = [program, "-f", "-c", f"{ceph.folder}/ceph.conf", *arguments]
    log = stack.enter_context((ceph.folder / "log" / f"{program}.out").open("wb"))
    child = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    stack.callback(_end, child)


def _end(child: subprocess.Popen[bytes]) -> None:
    """Kill it: asked to end, the store would first write its memory to the disk."""
    child.kill()
    child.wait()


def _plain(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ}).stdout


def _require(fact: bool) -> None:
    if not fact:
        raise RuntimeError("not yet")


def _await(attempt: object, within_s: float = 30) -> None:
    until_s = time.monotonic() + within_s
    while True:
        try:
            return attempt()  # type: ignore[operator]
        except (OSError, RuntimeError, subprocess.CalledProcessError):
            if time.monotonic() > until_s:
                raise
            time.sleep(0.1)
