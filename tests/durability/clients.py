"""Several clients at once, which use a service until it is cut off, and enter into the ledger what it told them."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from http.client import HTTPException

from tests.durability.conftest import Server
from tests.durability.ledger import MIB, Key, Ledger, State

MOST_BYTES = 2 * MIB
BOUNDARY = "a-boundary-that-no-file-holds"


class Client(threading.Thread):
    """Makes one of its moves after the other until the service is gone."""

    def __init__(self, server: Server, ledger: Ledger, moves: str, seed: int) -> None:
        super().__init__(name=moves)
        self._server, self._ledger = server, ledger
        self._random = random.Random(seed)
        self._moves: list[Callable[[], None]] = [getattr(self, move) for move in moves.split()]

    def run(self) -> None:
        while True:
            try:
                self._random.choice(self._moves)()
            # The control socket ends without a line (IndexError), with half a one (ValueError), or with a failure.
            except (OSError, HTTPException, IndexError, ValueError, KeyError) as error:
                if not self._ledger.ending.is_set():
                    self._ledger.complain(f"failed: {self.name}: {error!r}")
                return

    def upload_body(self) -> None:
        build = self._ledger.begin_build(MOST_BYTES)
        if self._fits(self._server.status("PUT", build.path, build.content()), 201):
            self._ledger.settle_build(build, State.KEPT)

    def upload_form(self) -> None:
        build = self._ledger.begin_build(MOST_BYTES)
        fields = {"version": build.version, "platform": "linux", "architecture": "amd64", "checksum": build.digest}
        head = "".join(
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'
            for name, text in fields.items()
        )
        head += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
        body = head.encode() + build.content() + f"\r\n--{BOUNDARY}--\r\n".encode()
        content_type = f"multipart/form-data; boundary={BOUNDARY}"
        status = self._server.status("POST", "/updates/my-app/upload", body, content_type=content_type)
        if self._fits(status, 201):
            self._ledger.settle_build(build, State.KEPT)

    def overwrite(self) -> None:
        build = self._ledger.take_build()
        if build is None:
            return self._notice_the_end()
        self._fits(self._server.publish(self._random.randbytes(2000), build.version), 409)
        return None

    def delete(self) -> None:
        build = self._ledger.take_build(becomes=State.LEAVING)
        if build is None:
            return self._notice_the_end()
        if self._fits(self._server.status("DELETE", build.release_path), 200):
            self._ledger.settle_build(build, State.DELETED)
        return None

    def download(self) -> None:
        build = self._ledger.take_build()
        if build is None:
            return self._notice_the_end()
        status, body = self._server.download(build.version)
        if status == 404 and build.state is State.KEPT:
            self._ledger.complain(f"lost upload: {build}, before the end")
        if status == 200 and body != build.content():
            self._ledger.complain(f"half: {build}, before the end")
        return None

    def report(self) -> None:
        name = self._ledger.begin_report()
        for _ in range(self._random.choice((1, 1, 2))):
            if self._fits(self._server.report(name), 200):
                self._ledger.reports[name] = True
                self._ledger.counts["reports"] += 1

    def make_key(self) -> None:
        made = self._server.operate("key.create", name="ci", level="read")
        if self._ledger.ending.is_set():
            return
        self._ledger.keys[made["id"]] = Key(made["id"], made["key"])
        self._ledger.counts["keys"] += 1

    def revoke_key(self) -> None:
        valid = [each for each in self._ledger.keys.values() if each.revoked is False]
        if len(valid) < 2:
            return self.make_key()
        key = self._random.choice(valid)
        key.revoked = None
        self._server.operate("key.revoke", key_id=key.id)
        key.revoked = None if self._ledger.ending.is_set() else True
        return None

    def collect(self) -> None:
        self._server.operate("collect", grace_s=0)

    def verify(self) -> None:
        if bad := self._server.operate("verify")["bad"]:
            self._ledger.complain(f"half: {bad}, before the end")

    def _notice_the_end(self) -> None:
        """Ask for anything: a client that finds nothing to do must hear of the cut too, or it never ends."""
        self._server.status("GET", "/updates/my-app/releases")

    def _fits(self, status: int, expected: int) -> bool:
        """Tell whether it was acknowledged. A service without its disk may refuse, but in words.

        An answer from after the cut acknowledges nothing: no machine without power gives one. The call that stands
        for the loss lets the kernel go on, and some flushes then succeed without a byte on the disk: of 190 that
        ended after it, in 383 cuts of ext4, 25 had kept nothing; of those before it none.
        """
        ended = self._ledger.ending.is_set()
        if status != expected and not (ended and status in (503, 507)):
            self._ledger.complain(f"failed: {self.name} is answered by {status}")
        return status == expected and not ended


# Two ways in, and what may get in their way.
CLIENTS = (
    "upload_form",
    "upload_body",
    "upload_form upload_body overwrite",
    "report",
    "report",
    "delete download",
    "collect verify make_key revoke_key",
)


def start_clients(server: Server, ledger: Ledger) -> list[Client]:
    """Start them all; they end when the service does."""
    clients = [Client(server, ledger, moves, ledger.random.getrandbits(32)) for moves in CLIENTS]
    for each in clients:
        each.start()
    return clients
