"""A real Azure blob store for the tests: Azurite, Microsoft's own emulator, on a free port of the loopback.

It checks every signature. npm brings it, as `npm/package-lock.json` pins it, into pytest's cache; Node.js and npm
are a wheel of the test lock, or the machine's own.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import os
import re
import secrets
import subprocess
import tempfile
import time
import urllib.request
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.servers.node import find_node, install

LOCKED = Path(__file__).parent / "npm"
_MAIN = "node_modules/azurite/dist/src/blob/main.js"
_ACCOUNT = "testaccount"
_API_VERSION = "2023-11-03"


@dataclass
class Azurite:
    """A running store, and the credentials for it."""

    port: int
    account_key: str
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def make_bucket(self) -> str:
        """Make an empty container; return its name."""
        name = f"container-{next(self._numbers)}"
        self._request("PUT", name, restype="container")
        return name

    def url(self, bucket: str, prefix: str = "", *, port: int | None = None, **options: str) -> str:
        """Return the address for `storage.blob_url`; `port` leads through a proxy."""
        endpoint = f"http://127.0.0.1:{port or self.port}/{_ACCOUNT}"
        named = {"endpoint": endpoint, "account_name": _ACCOUNT, "account_key": self.account_key, **options}
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in named.items())
        return f"az://{bucket}/{prefix}?{query}"

    def url_with_sas(self, bucket: str) -> str:
        """Return the address with a shared access signature instead of the key. Source: "Create an account SAS"."""
        fields = {"sv": _API_VERSION, "ss": "b", "srt": "sco", "sp": "rwdl", "se": "2099-01-01T00:00:00Z"}
        order = (fields["sp"], fields["ss"], fields["srt"], "", fields["se"], "", "", fields["sv"], "", "")
        signature = self._sign("\n".join((_ACCOUNT, *order)))
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in {**fields, "sig": signature}.items())
        return self.url(bucket, sas_key=query).replace(f"&account_key={quote(self.account_key, safe='')}", "")

    def keys(self, bucket: str) -> list[str]:
        """List what is in the container; blobs of which only blocks came are left out."""
        listed = self._request("GET", bucket, comp="list", restype="container")
        return [each.text or "" for each in ElementTree.fromstring(listed).iter("Name")]

    def _request(self, method: str, container: str, **query: str) -> bytes:
        """Send a request about a container. Source: Microsoft, "Authorize with Shared Key"."""
        headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": _API_VERSION}
        signed = [method, *[""] * 11, *(f"{name}:{value}" for name, value in headers.items())]
        signed += [f"/{_ACCOUNT}/{_ACCOUNT}/{container}", *(f"{name}:{query[name]}" for name in sorted(query))]
        text = "\n".join(signed)
        headers["Authorization"] = f"SharedKey {_ACCOUNT}:{self._sign(text)}"
        named = "&".join(f"{name}={value}" for name, value in query.items())
        address = f"http://127.0.0.1:{self.port}/{_ACCOUNT}/{container}?{named}"
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers, method=method)) as answer:
            return bytes(answer.read())

    def _sign(self, text: str) -> str:
        mac = hmac.new(base64.b64decode(self.account_key), text.encode(), hashlib.sha256)
        return base64.b64encode(mac.digest()).decode()


@contextmanager
def running_azurite(node: str, installed: Path) -> Iterator[Azurite]:
    """Run a store that keeps everything in memory, for the block; about 2 s to start."""
    # The key holds what a careless reader of addresses would break.
    key = base64.b64encode(b"\xfb\xef\xbe\xff" + secrets.token_bytes(59)).decode()
    options = ["--blobPort", "0", "--inMemoryPersistence", "--extentMemoryLimit", "1024", "--disableTelemetry"]
    environment = {**os.environ, "AZURITE_ACCOUNTS": f"{_ACCOUNT}:{key}"}
    with tempfile.TemporaryDirectory(prefix="azurite-") as folder:
        said = Path(folder) / "said"
        with said.open("wb") as log:
            command = [node, str(installed / _MAIN), *options, "--silent"]
            child = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            yield Azurite(_await_port(child, said), key)
        finally:
            child.kill()
            child.wait()


@pytest.fixture(scope="session")
def azurite(pytestconfig: pytest.Config) -> Iterator[Azurite]:
    """Give one store to all tests; each makes its own container."""
    pytest.importorskip("obstore")
    node = find_node()
    with running_azurite(node.program, install(LOCKED, node, pytestconfig.cache.mkdir("azurite"))) as started:
        yield started


def _await_port(child: subprocess.Popen[bytes], said: Path, within_s: float = 60) -> int:
    until_s = time.monotonic() + within_s
    while True:
        found = re.search(r"listens on http://127\.0\.0\.1:(\d+)", said.read_text())
        if found is not None:
            return int(found[1])
        if child.poll() is not None or time.monotonic() > until_s:
            raise RuntimeError(f"Azurite did not start: {said.read_text()[-2000:]}")
        time.sleep(0.05)
