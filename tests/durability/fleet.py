"""A fleet that lives through a rollout of 1.1.0 while the service dies again and again, and what it holds it to.

An install checks, takes what it is offered, and reports until the report is acknowledged; now and then it reports once
more, as a client does that lost the answer. Half of the fleet has the release before the last, and is the control arm.
"""

from __future__ import annotations

import http.client
import itertools
import json
import random
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.durability.conftest import Server

UPDATES = "/updates/my-app"
LINUX = {"platform": "linux", "architecture": "amd64"}
VERSION = "1.1.0"
STAGES = (5, 10, 20, 40)  # a last one of 60 % stays
FAILS = 0.02
TAKES = 0.3  # what is offered is not installed at once, but after some checks
VISITORS = 4
ROUNDED_S = 1  # the history tells times in whole seconds, of the moment at which a stage's begin was written
GONE = (OSError, http.client.HTTPException)


@dataclass
class Install:
    """One copy of the application. `begged` is its report that was not acknowledged yet: target and status."""

    number: int
    version: str
    inside: bool = False  # it was offered the new release once
    tried: set[str] = field(default_factory=set)
    begged: tuple[str, str] | None = None
    told: list[tuple[str, str, str]] = field(default_factory=list)  # acknowledged: version before, target, status

    @property
    def headers(self) -> dict[str, str]:
        return {"X-Forwarded-For": f"198.18.{self.number >> 8}.{self.number & 255}"}

    @property
    def id(self) -> str:
        return f"install-{self.number}"


class Fleet:
    """The installs, what they were told, and what broke a promise."""

    def __init__(self, size: int, seed: int) -> None:
        self.random = random.Random(seed)
        self.installs = [Install(number, "0.9.0" if number % 2 else "1.0.0") for number in range(size)]
        self.violations: list[str] = []
        self.counts: Counter[str] = Counter()
        self._stage = 0
        self._is_settled = False  # everybody has asked in the last stage
        self._lock = threading.Lock()

    def complain(self, what: str) -> None:
        with self._lock:
            self.violations.append(what)

    # -- a day

    def prepare(self, server: Server, stage_s: int) -> None:
        made = {"id": "my-app", "name": "x", "platforms": ["linux"]}
        assert server.status("POST", "/applications", made) == 201
        halt = {"per_address": 1_000, "min_addresses": 5}
        stages: list[dict[str, Any]] = [{"percent": each, "for_s": stage_s} for each in STAGES]
        plan = {"stages": [*stages, {"percent": 60}], "min_reports": 0, "halt": halt}
        self._began = datetime.now(UTC)
        for version, more in (("0.9.0", {}), ("1.0.0", {}), (VERSION, {"rollout": plan})):
            body = {"application_id": "my-app", "version": version, **LINUX, **more}
            body |= {"download_url": f"https://releases.example.com/{version}"}
            body |= {"checksum": "ab" * 32, "checksum_type": "sha256"}
            assert server.status("POST", f"{UPDATES}/register", body) == 201

    def visit_until_gone(self, server: Server, gone: threading.Event) -> list[threading.Thread]:
        """Start visitors, each with installs of its own; they end when the service does."""

        def run(installs: Sequence[Install], dice: random.Random) -> None:
            try:
                while True:
                    self.visit(server, dice.choice(installs), dice)
                    self.look_at_stage(server)
            except GONE as error:
                if not gone.is_set():
                    self.complain(f"failed: {error!r}")

        seeds = [self.random.getrandbits(32) for _ in range(VISITORS)]
        threads = [
            threading.Thread(target=run, args=(self.installs[number::VISITORS], random.Random(seed)))
            for number, seed in enumerate(seeds)
        ]
        for each in threads:
            each.start()
        return threads

    def visit(self, server: Server, install: Install, dice: random.Random) -> None:
        offered = self.check(server, install)
        if install.begged is None and offered is not None and offered not in install.tried and dice.random() < TAKES:
            install.tried.add(offered)
            install.begged = offered, "failed" if dice.random() < FAILS else "completed"
        if install.begged is not None:
            self.report(server, install, install.version, *install.begged)
            install.told.append((install.version, *install.begged))
            if install.begged[1] == "completed":
                install.version = install.begged[0]
            install.begged = None
        elif install.told and dice.random() < 0.2:
            self.report(server, install, *dice.choice(install.told))
            self.counts["reports once more"] += 1

    def check(self, server: Server, install: Install) -> str | None:
        """Ask for an install what it is offered; complain when it was inside, and is not any more."""
        query = "&".join(
            f"{name}={text}"
            for name, text in {"current_version": install.version, "client_id": install.id, **LINUX}.items()
        )
        found, _, body = server.call("GET", f"{UPDATES}/check?{query}", key="", headers=install.headers)
        assert found == 200, body
        offered: str | None = json.loads(body).get("latest_version")
        self.counts["checks"] += 1
        if install.version != VERSION:
            if install.inside and offered != VERSION:
                self.complain(f"two arms: {install.id} has {install.version}, and is offered {offered}")
            install.inside |= offered == VERSION
        return offered if offered != install.version else None

    def report(self, server: Server, install: Install, before: str, target: str, status: str) -> None:
        body = {"current_version": before, "target_version": target, **LINUX, "status": status}
        body |= {"report_id": f"{install.number}-{target}", "client_id": install.id}
        found, _, said = server.call("POST", f"{UPDATES}/status", body, key="", headers=install.headers)
        assert found == 200, said
        self.counts["reports acknowledged"] += 1

    def look_at_stage(self, server: Server) -> None:
        """The stage goes one further at a time, or stays."""
        with self._lock:  # what was asked later is not compared with what was asked before
            number = ask(server, f"/releases/{VERSION}/rollout")["stage"]["number"]
            if number < self._stage:
                self.violations.append(f"stage: {number} after {self._stage}")
            self._stage = number

    # -- what holds at its end

    def hold(self, server: Server, stage_s: int) -> None:
        """Compare the service, which stands in the last stage, with what the fleet was told."""
        inside, dice = [each.inside for each in self.installs], random.Random(1)
        for each in self.installs:
            self.visit(server, each, dice)
            self.visit(server, each, dice)
        if self._is_settled and inside != [each.inside for each in self.installs]:
            self.complain("two arms: more are inside than before, in one stage")
        self._is_settled = True
        self._hold_stages(server, stage_s)
        self._hold_evidence(server)

    def _hold_stages(self, server: Server, stage_s: int) -> None:
        entries = ask(server, f"/history?version={VERSION}&limit=100")["entries"][::-1]
        moves = [each for each in entries if each["action"] == "rollout.advanced"]
        times = [self._began, *(datetime.fromisoformat(each["at"]) for each in moves)]
        begun = [each["after"]["stage"] for each in moves]
        if begun != list(range(2, len(STAGES) + 2)):
            self.complain(f"stage: they began as {begun}")
        lasted = [(after - before).total_seconds() for before, after in itertools.pairwise(times)]
        if min(lasted, default=stage_s) < stage_s - ROUNDED_S:
            self.complain(f"stage: one lasted {min(lasted):.2f} s")

    def _hold_evidence(self, server: Server) -> None:
        (platform,) = ask(server, f"/releases/{VERSION}/rollout")["platforms"]
        for name, target in (("rollout", VERSION), ("control", "1.0.0")):
            told = Counter(status for each in self.installs for _, found, status in each.told if found == target)
            counted = {key: platform[name][key] for key in ("completed", "failed", "ignored")}
            if counted != {"completed": told["completed"], "failed": told["failed"], "ignored": 0}:
                self.complain(f"evidence: {name} has {counted}, the fleet reported {dict(told)}")
            self.counts[f"{name} arm"] = told.total()


def ask(server: Server, path: str) -> Any:
    found, _, content = server.call("GET", f"{UPDATES}{path}", key="admin")
    assert found == 200, content
    return json.loads(content)
