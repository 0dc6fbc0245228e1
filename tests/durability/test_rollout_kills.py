"""The service is killed at every commit on the way of a report, a halt, a move or a stage of a rollout.

What was acknowledged holds after the restart; what was not is there as a whole or not at all; and a client that sends
its report again, because no answer came, is counted once.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import time
from typing import Any

import pytest

from tests.durability.conftest import Place, Server, Warm
from updater.rollouts.evidence import Arm, Series, above_ceiling

MOST_STEPS = 40
UPDATES = "/updates/my-app"
LIMIT, CEILING = 400.0, 0.1
WATCHED = {"per_address": 1_000, "min_addresses": 1, "max_failure_rate": CEILING, "alpha": 2 / LIMIT}
# With so many failures and nothing else a platform is halted.
ENOUGH = next(number for number in range(1, 100) if above_ceiling(Series(rollout=Arm(failed=number)), CEILING) >= LIMIT)
GONE = (ConnectionError, http.client.HTTPException)


class Rollouts:
    """A publisher and clients of a service that dies; `version` is the release of this round."""

    def __init__(self) -> None:
        self.server: Server
        self.round = 0

    @property
    def version(self) -> str:
        return f"1.{self.round}.0"

    @property
    def release(self) -> str:
        return f"{UPDATES}/releases/{self.version}"

    def ask(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        found, _, content = self.server.call(method, path, body)
        assert found == status, content
        return json.loads(content)

    def prepare(self, server: Server) -> None:
        self.server = server
        channels = {"id": "my-app", "name": "x", "platforms": ["linux"], "channels": ["stable", "beta"]}
        self.ask("POST", "/applications", channels, 201)
        assert server.publish(b"0", "1.0.0") == 201

    def begin(self, *stages: dict[str, Any]) -> None:
        """Publish the release of the next round; that of the one before goes out of the way."""
        if self.round:
            self.ask("POST", f"{self.release}/withdraw", {})
        self.round += 1
        plan = {"stages": list(stages) or [{"percent": 50}], "min_reports": 0, "halt": WATCHED}
        body = {
            "application_id": "my-app",
            "version": self.version,
            "platform": "linux",
            "architecture": "amd64",
            "download_url": f"https://releases.example.com/{self.version}",
            "checksum": "ab" * 32,
            "checksum_type": "sha256",
            "channel": "beta",
            "rollout": plan,
        }
        self.ask("POST", f"{UPDATES}/register", body, 201)

    def report(self, number: int, status: str) -> None:
        body = {
            "current_version": "1.0.0",
            "target_version": self.version,
            "platform": "linux",
            "architecture": "amd64",
            "status": status,
            "report_id": f"r-{number}",
            "client_id": f"{self.version}-{number}",
        }
        self.ask("POST", f"{UPDATES}/status", body)

    def rollout(self) -> Any:
        return self.ask("GET", f"{self.release}/rollout")

    def arm(self) -> Any:
        (platform,) = self.rollout()["platforms"]
        return platform

    def offered(self, channel: str) -> bool:
        """Tell whether somebody who asks by hand gets the release."""
        query = f"current_version=0.1.0&platform=linux&architecture=amd64&channel={channel}&manual=true"
        return bool(self.ask("GET", f"{UPDATES}/check?{query}")["latest_version"] == self.version)

    def actions(self) -> list[str]:
        page = self.ask("GET", f"{UPDATES}/history?version={self.version}")
        return [each["action"] for each in reversed(page["entries"])]


class Case:
    """One thing that is under way when the service dies: `before` it, the thing itself, and what holds `after` it."""

    def before(self, rollouts: Rollouts) -> None:
        rollouts.begin()

    def act(self, rollouts: Rollouts) -> None:
        raise NotImplementedError

    def hold_half(self, rollouts: Rollouts) -> None:
        """Hold the service to it that what was not acknowledged is there as a whole, or not at all."""

    def after(self, rollouts: Rollouts) -> None:
        raise NotImplementedError


class CountedReport(Case):
    """AR-7: with every report sent again until it is acknowledged."""

    def before(self, rollouts: Rollouts) -> None:
        rollouts.begin()
        rollouts.report(1, "completed")

    def act(self, rollouts: Rollouts) -> None:
        rollouts.report(2, "failed")
        rollouts.report(2, "failed")

    def after(self, rollouts: Rollouts) -> None:
        found = rollouts.rollout()
        arm = found["platforms"][0]["rollout"]
        assert arm == {"completed": 1, "failed": 1, "ignored": 0, "failed_addresses": 1}
        assert found["stage"]["reports"] == 2


class HaltingReport(Case):
    def before(self, rollouts: Rollouts) -> None:
        rollouts.begin()
        for number in range(1, ENOUGH):
            rollouts.report(number, "failed")
        assert rollouts.arm()["state"] == "open"
        assert rollouts.offered("beta")

    def act(self, rollouts: Rollouts) -> None:
        rollouts.report(ENOUGH, "failed")

    def hold_half(self, rollouts: Rollouts) -> None:
        arm = rollouts.arm()
        halted = arm["rollout"]["failed"] == ENOUGH
        assert (arm["state"] == "halted") is halted is ("rollout.halted" in rollouts.actions())
        assert rollouts.offered("beta") is not halted

    def after(self, rollouts: Rollouts) -> None:
        arm = rollouts.arm()
        assert (arm["state"], arm["rollout"]["failed"]) == ("halted", ENOUGH)
        assert rollouts.actions().count("rollout.halted") == 1
        assert not rollouts.offered("beta")


class Pause(Case):
    def act(self, rollouts: Rollouts) -> None:
        rollouts.ask("POST", f"{rollouts.release}/rollout/pause")

    def after(self, rollouts: Rollouts) -> None:
        assert rollouts.rollout()["state"] == "paused"
        assert not rollouts.offered("beta")
        assert rollouts.actions().count("rollout.paused") == 1


class Withdraw(Case):
    def act(self, rollouts: Rollouts) -> None:
        rollouts.ask("POST", f"{rollouts.release}/withdraw")

    def after(self, rollouts: Rollouts) -> None:
        assert not rollouts.offered("beta")
        assert rollouts.actions().count("release.withdrawn") == 1


class Promote(Case):
    def act(self, rollouts: Rollouts) -> None:
        rollouts.ask("POST", f"{rollouts.release}/promote", {"channel": "stable"})

    def after(self, rollouts: Rollouts) -> None:
        assert rollouts.offered("stable")
        assert rollouts.actions().count("release.promoted") == 1


class Stage(Case):
    """A stage begins by itself; its whole time was over before the kill, and it begins once."""

    def before(self, rollouts: Rollouts) -> None:
        rollouts.begin({"percent": 0, "for_s": 1}, {"percent": 50, "for_s": 86_400}, {"percent": 100})

    def act(self, rollouts: Rollouts) -> None:
        deadline_s = time.monotonic() + 15
        while not rollouts.offered("beta"):  # a check reads no database, so all steps are those of the engine
            assert time.monotonic() < deadline_s
            time.sleep(0.02)

    def hold_half(self, rollouts: Rollouts) -> None:
        # It may begin in between two looks.
        seen = [(rollouts.rollout()["stage"]["number"], rollouts.actions().count("rollout.advanced")) for _ in range(3)]
        assert any(number == begun + 1 for number, begun in seen), seen

    def after(self, rollouts: Rollouts) -> None:
        found = rollouts.rollout()
        assert (found["percent"], found["stage"]["number"]) == (50.0, 2)
        assert rollouts.actions().count("rollout.advanced") == 1


CASES: list[type[Case]] = [CountedReport, HaltingReport, Pause, Withdraw, Promote]
# On PostgreSQL each restart waits for the lease of the process before: `tests/workers` kills who holds it.
ALONE = pytest.param(Stage, id="Stage", marks=pytest.mark.sqlite("a lease has to run out first"))


@pytest.mark.parametrize("make", [*(pytest.param(each, id=each.__name__) for each in CASES), ALONE])
def test_killed_at_every_commit(make: type[Case], warm: Warm, place: Place) -> None:
    case, rollouts = make(), Rollouts()
    server = warm.start(place)
    rollouts.prepare(server)
    server.stop()
    passed: set[str] = set()
    for step in range(1, MOST_STEPS):
        rollouts.server = server = warm.start(place, fail_at=step)
        case.before(rollouts)
        server.send(signal.SIGUSR1)
        with contextlib.suppress(*GONE):
            case.act(rollouts)
            break
        assert server.wait() == -signal.SIGKILL
        passed |= set(place.steps.read_text().split())
        rollouts.server = server = warm.start(place)
        case.hold_half(rollouts)
        case.act(rollouts)
        case.after(rollouts)
        server.kill()
    else:
        raise AssertionError(f"more than {MOST_STEPS} steps")
    server.kill()
    rollouts.server = server = warm.start(place)
    case.after(rollouts)
    server.stop()
    assert passed >= {"commit", "committed"}
