"""What a publisher does over HTTP: applications, files of builds, rollouts; and which clients a rollout takes."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from tests.processes.serving import call

DERIVED_WITHIN_S = 60


@dataclass(frozen=True)
class Shop:
    """The service at an address, to a publisher with this key."""

    url: str
    key: str

    def ask(self, method: str, path: str, body: Any = None, *, status: int | None = None, **query: Any) -> Any:
        """Send one request below /api/v1; return the JSON of its answer, which must be a success or have `status`."""
        given = {name: value if isinstance(value, str) else json.dumps(value) for name, value in query.items()}
        address = f"{self.url}/api/v1{path}" + (f"?{urlencode(given)}" if given else "")
        got, text = call(address, method, body, self.key)
        right = got < 300 if status is None else got == status
        assert right, f"{method} {path}: {got} {text[:2000]!r}"
        return json.loads(text) if text else None

    def open(self, app: str, **fields: Any) -> None:
        """Create an application with the channels stable and beta."""
        given = {"id": app, "name": app, "platforms": ["windows", "linux", "darwin"], "channels": ["stable", "beta"]}
        self.ask("POST", "/applications", {**given, **fields})

    def hide(self, app: str) -> str:
        """Make an application private; return a feed key for the path of its clients' address."""
        self.ask("PUT", f"/applications/{app}", {"private": True})
        made = self.ask("POST", f"/applications/{app}/feed-keys", {"name": "laptops"})
        return str(made["feed_key"])

    def put(self, app: str, version: str, target: str, name: str, content: bytes, **query: Any) -> Any:
        """Publish the primary file of a build; `target` is windows/amd64 and the like."""
        return self.ask("PUT", f"/updates/{app}/builds/{version}/{target}", content, file_name=name, **query)

    def add(self, app: str, version: str, target: str, name: str, content: bytes, **query: Any) -> Any:
        """Add a companion to a build."""
        path = f"/updates/{app}/builds/{version}/{target}/files/{quote(name, safe='')}"
        return self.ask("PUT", path, content, **query)

    def sign(self, app: str, version: str, target: str, name: str, **signatures: str) -> Any:
        """Add signatures to a file of a build."""
        path = f"/updates/{app}/builds/{version}/{target}/files/{quote(name, safe='')}/signatures"
        return self.ask("PUT", path, signatures)

    def release(self, app: str, version: str) -> dict[str, Any]:
        """Return the item of a release's build from the list of releases."""
        listed = self.ask("GET", f"/updates/{app}/releases", limit=100)["releases"]
        return next(each for each in listed if each["version"] == version)

    def files(self, app: str, version: str) -> dict[str, dict[str, Any]]:
        """Return all files of a release by name, whatever their target."""
        listed = self.ask("GET", f"/updates/{app}/releases", limit=100)["releases"]
        return {file["name"]: file for each in listed if each["version"] == version for file in each["files"]}

    def await_files(self, app: str, version: str, *names: str) -> None:
        """Wait until the server has made these files."""
        until_s = time.monotonic() + DERIVED_WITHIN_S
        while not set(names) <= set(self.files(app, version)):
            assert time.monotonic() < until_s, f"{names} not among {sorted(self.files(app, version))}"
            time.sleep(0.1)

    def clients_of(self, app: str, version: str) -> Clients:
        """Return two identities: one that the rollout of this release takes, and one that it does not."""
        rollout = self.ask("GET", f"/updates/{app}/releases/{version}/rollout")
        bound = round(100 * rollout["percent"]) * 2**64
        taken: dict[bool, str] = {}
        for number in range(1000):
            identity = str(uuid.uuid5(uuid.NAMESPACE_OID, str(number)))
            digest = hashlib.sha256(f"{rollout['salt']}:{identity}".encode()).digest()
            taken.setdefault(int.from_bytes(digest[:8]) * 10_000 < bound, identity)
        return Clients(inside=taken[True], outside=taken[False])


@dataclass(frozen=True)
class Clients:
    """Two identities of clients."""

    inside: str
    outside: str
