"""What is done with releases under rollout, and what installs report."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.stateful.model import VERSIONS, WHOLE, Release
from tests.stateful.publishing import Publishing, percents, platforms, versions

LONG_S = 86_400
OUTCOMES = ("completed", "failed", "cancelled")
# So many failures, and no success, halt a platform whatever the control did.
STORM = 25


class Rolling(Publishing):
    """Rollouts and reports."""

    @precondition(lambda self: self.model.releases)
    @rule(data=st.data(), first=percents, more=st.booleans())
    def set_plan(self, data: Any, first: float, more: bool) -> None:
        version, release = self.pick(data)
        stages = (first, WHOLE) if more and first < WHOLE else (first,)
        plan = [{"percent": each, "for_s": LONG_S} for each in stages[:-1]] + [{"percent": stages[-1]}]
        body = {"stages": plan, "halt": {"per_address": 1_000, "min_addresses": 1}}
        fits = release.status == "active"
        if release.rollout is not None and stages[0] == WHOLE and self._is_held_up(release.rollout):
            fits = False
        self.expect(200 if fits else 409, "PUT", f"~/releases/{version}/rollout", body)
        if fits:
            self._put_plan(version, release, stages)

    @precondition(lambda self: self.model.releases)
    @rule(data=st.data())
    def pause(self, data: Any) -> None:
        version, release = self.pick(data)
        rollout = release.rollout
        fits = release.status == "active" and rollout is not None and rollout.state != "complete"
        self._move(version, release, "pause", fits)
        if fits:
            assert rollout is not None
            rollout.state = "paused"

    @precondition(lambda self: self.model.releases)
    @rule(data=st.data(), accept=st.booleans())
    def resume(self, data: Any, accept: bool) -> None:
        version, release = self.pick(data)
        rollout = release.rollout
        fits = release.status == "active" and rollout is not None and rollout.state != "complete"
        if fits and rollout is not None:
            lifts = accept and bool(rollout.halted)
            fits = rollout.state == "paused" or lifts
            completes = rollout.number == len(rollout.stages) and rollout.stages[-1] == WHOLE
            if fits and rollout.state == "paused" and completes and rollout.halted and not accept:
                fits = False
        self._move(version, release, "resume", fits, {"accept": accept})
        if fits:
            assert rollout is not None
            if accept:
                rollout.halted = set()
            if rollout.state == "paused":
                rollout.enter(rollout.number)

    @precondition(lambda self: self.model.releases)
    @rule(data=st.data())
    def advance(self, data: Any) -> None:
        version, release = self.pick(data)
        rollout = release.rollout
        fits = release.status == "active" and rollout is not None and rollout.state == "active"
        fits = fits and rollout is not None and not rollout.halted and rollout.number < len(rollout.stages)
        self._move(version, release, "advance", fits)
        if fits:
            assert rollout is not None
            rollout.enter(rollout.number + 1)

    @precondition(lambda self: self.model.releases)
    @rule(data=st.data(), accept=st.booleans())
    def complete(self, data: Any, accept: bool) -> None:
        version, release = self.pick(data)
        rollout = release.rollout
        fits = release.status == "active" and rollout is not None
        fits = fits and rollout is not None and (rollout.state == "complete" or accept or not rollout.halted)
        self._move(version, release, "complete", fits, {"accept": accept})
        if fits:
            assert rollout is not None
            rollout.state, rollout.halted = "complete", set()

    def _move(self, version: str, release: Release, move: str, fits: bool, body: dict[str, Any] | None = None) -> None:
        status = 404 if release.rollout is None else 200 if fits else 409
        self.expect(status, "POST", f"~/releases/{version}/rollout/{move}", body or {})

    @rule(version=versions, platform=platforms, outcome=st.sampled_from(OUTCOMES), again=st.booleans())
    def report(self, version: str, platform: str, outcome: str, again: bool) -> None:
        self._report(version, platform, outcome, times=2 if again else 1)
        self._read_halts(version, platform, may=outcome == "failed")

    @precondition(lambda self: any(self._is_watched(each) for each in self.model.releases.values()))
    @rule(data=st.data())
    def storm(self, data: Any) -> None:
        """Many installs of one release fail, one after the other: the platform is halted."""
        watched = sorted(version for version, each in self.model.releases.items() if self._is_watched(each))
        version = data.draw(st.sampled_from(watched))
        platform = data.draw(st.sampled_from(sorted(self.model.releases[version].builds)))
        for _ in range(STORM):
            self._report(version, platform, "failed")
        self._read_halts(version, platform, may=True)

    def _is_watched(self, release: Release) -> bool:
        return release.status == "active" and release.rollout is not None and release.rollout.state == "active"

    def _report(self, version: str, platform: str, outcome: str, *, times: int = 1) -> None:
        name = f"{self.application}-{len(self.model.reports)}-{next(self.shop.numbers)}"
        body = {
            "current_version": VERSIONS[0],
            "target_version": version,
            "platform": platform,
            "architecture": "amd64",
            "status": outcome,
            "report_id": name,
        }
        for _ in range(times):
            self.expect(200, "POST", "~/status", body)
        self.model.reports[name] = outcome

    def _read_halts(self, version: str, platform: str, *, may: bool) -> None:
        """Take over which platforms the service halted. Only failures of a release under way halt it there."""
        release = self.model.releases.get(version)
        if release is None or release.rollout is None:
            return
        found = self.expect(200, "GET", f"~/releases/{version}/rollout")
        assert found["salt"] == release.rollout.salt, "who is inside must not change"
        halted = {each["platform"] for each in found["platforms"] if each["state"] == "halted"}
        fresh = halted - release.rollout.halted
        assert release.rollout.halted <= halted, "no report lifts a halt"
        assert not fresh or (may and fresh == {platform}), (fresh, platform)
        release.rollout.halted = halted
        self.shop.counts["halts"] += len(fresh)
