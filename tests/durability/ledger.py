"""What clients of a service that is cut off again and again were told, kept outside of it, and held against it.

What was acknowledged must be there; what was asked and not answered may have happened as a whole or not at all.
"""

from __future__ import annotations

import functools
import hashlib
import json
import random
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from http.client import HTTPException

from tests.durability.conftest import Server
from tests.stored import stored_id

MIB = 1 << 20
SAMPLE = 40  # how many older things are looked at each time, beside the fresh ones


class State(Enum):
    ASKED = "asked"  # the upload was sent, and not answered
    KEPT = "kept"
    LEAVING = "leaving"  # the deletion was sent, and not answered
    DELETED = "deleted"


@dataclass
class Build:
    """One coordinate and the bytes that were sent for it."""

    version: str
    seed: int
    size_bytes: int
    digest: str
    state: State = State.ASKED
    round_number: int = 0

    @property
    def path(self) -> str:
        return f"/updates/my-app/builds/{self.version}/linux/amd64"

    @property
    def release_path(self) -> str:
        return f"/updates/my-app/releases/{self.version}/linux/amd64"

    def content(self) -> bytes:
        return content_of(self.seed, self.size_bytes)


@dataclass
class Key:
    """An API key that was made; `revoked` is None while that is unknown."""

    id: int
    text: str
    revoked: bool | None = False


@functools.lru_cache(maxsize=64)
def content_of(seed: int, size_bytes: int) -> bytes:
    return random.Random(seed).randbytes(size_bytes)


@dataclass
class Ledger:
    """The acknowledgements, and what was found to break them. Safe to use from several threads."""

    random: random.Random
    builds: dict[str, Build] = field(default_factory=dict)
    reports: dict[str, bool] = field(default_factory=dict)
    keys: dict[int, Key] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    # Set just before the service is cut off: from then on it may refuse, and connections may end.
    ending: threading.Event = field(default_factory=threading.Event)
    round_number: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _count: int = 0

    def begin_build(self, most_bytes: int) -> Build:
        """Note that an upload is about to be sent: mostly of new bytes, sometimes of those of another build."""
        with self._lock:
            self._count += 1
            number = seed = self._count
            size_bytes = int(1024 * (most_bytes / 1024) ** self.random.random())
            kept = [each for each in self.builds.values() if each.state is State.KEPT]
            if kept and self.random.random() < 0.2:
                twin = self.random.choice(kept)
                seed, size_bytes = twin.seed, twin.size_bytes
        digest = hashlib.sha256(content_of(seed, size_bytes)).hexdigest()
        build = Build(f"1.0.{number}", seed, size_bytes, digest, round_number=self.round_number)
        with self._lock:
            self.builds[build.version] = build
        return build

    def settle_build(self, build: Build, state: State) -> None:
        """Note what became of a build, as the service said or as it was found."""
        with self._lock:
            build.state = state
            build.round_number = self.round_number
            self.counts[state.value] += 1

    def take_build(self, state: State = State.KEPT, becomes: State | None = None) -> Build | None:
        """Choose a build, which from now on is in another state."""
        with self._lock:
            fitting = [each for each in self.builds.values() if each.state is state]
            if not fitting:
                return None
            build = self.random.choice(fitting)
            build.state = becomes or state
            return build

    def begin_report(self) -> str:
        with self._lock:
            self._count += 1
            name = f"report-{self._count}"
            self.reports[name] = False
            return name

    def complain(self, what: str) -> None:
        with self._lock:
            self.violations.append(f"round {self.round_number}: {what}")

    def hold(self, server: Server, *, whole: bool = False) -> None:
        """Compare a service that has just started with what its clients were told; note what breaks a promise."""
        if server.place.database_url is None:  # else another process may be receiving there
            left = server.incoming()
            self.counts["incoming"] += len(left)
            if left:
                self.complain(f"half: {len(left)} files in incoming/")
        for build in self._fresh(self.builds.values(), whole):
            self._hold_build(server, build)
        self._hold_newest(server)
        self._hold_write_once(server)
        for key in list(self.keys.values()):
            self._hold_key(server, key)
        self._hold_reports(server)
        self._hold_files(server)
        self.round_number += 1

    def trim(self, server: Server, keep: int) -> None:
        """Delete the oldest builds, and revoke the oldest keys, so that a long run stays small."""
        kept = [each for each in self.builds.values() if each.state is State.KEPT]
        for build in kept[:-keep]:
            assert server.status("DELETE", build.release_path) == 200
            self.settle_build(build, State.DELETED)
        for key in [each for each in self.keys.values() if each.revoked is False][:-keep]:
            server.operate("key.revoke", key_id=key.id)
            key.revoked = True

    def _fresh(self, builds: Iterable[Build], whole: bool) -> list[Build]:
        """Return what the last round touched, what is unsettled, and some of the rest."""
        every = list(builds)
        recent = {
            each.version
            for each in every
            if each.round_number >= self.round_number or each.state in (State.ASKED, State.LEAVING)
        }
        fresh = [each for each in every if each.version in recent]
        rest = [each for each in every if each.version not in recent]
        return every if whole else fresh + self.random.sample(rest, min(SAMPLE, len(rest)))

    def _hold_build(self, server: Server, build: Build) -> None:
        try:
            status, body = server.download(build.version)
        except HTTPException as error:
            status, body = 0, repr(error).encode()
        right = status == 200 and hashlib.sha256(body).hexdigest() == build.digest
        may_be, may_be_gone = build.state is not State.DELETED, build.state is not State.KEPT
        if status == 200 and not right:
            self.complain(f"half: {build} is served as {len(body)} bytes")
        elif status == 200 and not may_be:
            self.complain(f"undone: {build} is served again")
        elif status == 404 and not may_be_gone:
            self.complain(f"lost upload: {build}")
        elif status not in (200, 404):
            self.complain(f"lost upload: {build} is answered by {status} {body[:200]!r}")
        if build.state is State.ASKED:
            self.counts["unanswered uploads, " + ("whole" if right else "absent")] += 1
        if status == 200:
            build.state = State.KEPT
        elif build.state is State.ASKED:
            del self.builds[build.version]
        else:
            build.state = State.DELETED

    def _hold_newest(self, server: Server) -> None:
        kept = [each.version for each in self.builds.values() if each.state is State.KEPT]
        newest = max(kept, key=lambda version: int(version.rpartition(".")[2]), default=None)
        if (offered := server.offered()) != newest:
            self.complain(f"lost upload: {offered} is offered, not {newest}")

    def _hold_write_once(self, server: Server) -> None:
        for state in (State.KEPT, State.DELETED):
            build = self.take_build(state)
            if build is not None and (status := server.publish(b"other bytes", build.version)) != 409:
                self.complain(f"rewritten: other bytes for {build} are answered by {status}")
            if build is not None:
                self._hold_build(server, build)

    def _hold_key(self, server: Server, key: Key) -> None:
        status = server.status("GET", "/updates/my-app/releases", key=key.text)
        if status not in (200, 401) or (status == 401 and key.revoked is False):
            self.complain(f"lost key: {key.id} is answered by {status}")
        if status == 200 and key.revoked is True:
            self.complain(f"undone: the key {key.id} was revoked")
        key.revoked = status == 401

    def _hold_reports(self, server: Server) -> None:
        before = set(self._read(server))
        if lost := {name for name, told in self.reports.items() if told and stored_id(name) not in before}:
            self.complain(f"lost reports: {len(lost)}")
        # A client that was not answered sends its report again, and one whose answer was lost does, too.
        again = [name for name, told in self.reports.items() if not told]
        for name in again + self.random.sample(sorted(self.reports), min(5, len(self.reports))):
            self.counts[f"reports sent again, {'there' if stored_id(name) in before else 'absent'}"] += 1
            if (status := server.report(name)) != 200:
                self.complain(f"lost reports: {name} sent again is answered by {status}")
            self.reports[name] = True
        after = self._read(server)
        if len(after) != len(set(after)) or set(after) - set(map(stored_id, self.reports)):
            self.complain("counted twice: reports")

    def _read(self, server: Server) -> list[str]:
        """Return the ids of the reports that are kept; hold the database to what it says of itself."""
        gather = "json_agg"
        if server.place.database_url is None:
            gather = "json_group_array"
            damage = server.place.ask("PRAGMA integrity_check") + server.place.ask("PRAGMA foreign_key_check")
            if damage != [("ok",)]:
                self.complain(f"damaged: {damage}")
        # In one statement, or a report could come in between.
        ((kept, counted),) = server.place.ask(
            f"SELECT coalesce((SELECT {gather}(report_id) FROM report), '[]'),"
            " (SELECT coalesce(sum(amount), 0) FROM rollup WHERE measure = 'report' AND span = 'month')"
        )
        names: list[str] = json.loads(kept)
        if len(names) != int(counted):
            self.complain(f"counted twice: {counted} reports counted, {len(names)} kept")
        return names

    def _hold_files(self, server: Server) -> None:
        if bad := server.operate("verify")["bad"]:
            self.complain(f"half: {bad}")
        server.operate("collect", grace_s=0)
        wanted = {each.digest for each in self.builds.values() if each.state is State.KEPT}
        if (found := set(server.blobs())) != wanted:
            self.complain(f"files: {len(wanted - found)} missing, {len(found - wanted)} too many")
