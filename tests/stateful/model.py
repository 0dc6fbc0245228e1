"""What a service holds and what it should answer, said with plain dictionaries and the rules of the documentation.

Nothing of `updater` is imported: versions have their order from a list, and who is inside a rollout is worked out anew.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field

# From the lowest up; the first one is never published.
VERSIONS = ("0.9.0", "1.0.0", "1.0.1", "1.1.0", "1.2.0-beta.1", "1.2.0", "1.10.0", "2.0.0")
PLATFORMS = ("linux", "windows")
CHANNELS = ("stable", "beta")  # the most stable first
WHOLE = 100.0


def rank(version: str) -> int:
    """Return the place of a version in the order of all."""
    return VERSIONS.index(version)


@dataclass
class Build:
    content: bytes
    required: bool = False
    minimum: str | None = None


@dataclass
class Rollout:
    """A release for a share of clients: a percent for each stage. `state` is active, paused or complete."""

    stages: tuple[float, ...]
    salt: str
    number: int = 1
    state: str = "active"
    halted: set[str] = field(default_factory=set)

    def enter(self, number: int) -> None:
        """Begin a stage; the last one at 100 % completes it."""
        self.number = number
        done = number == len(self.stages) and self.stages[-1] == WHOLE
        self.state = "complete" if done else "active"
        if done:
            self.halted = set()

    def takes(self, client: str, platform: str) -> bool:
        """Tell whether a client sees the release; `manual` is one that asked by hand."""
        if self.state == "complete":
            return True
        percent = self.stages[self.number - 1]
        if self.state == "paused" or platform in self.halted or percent == 0:
            return False
        digest = hashlib.sha256(f"{self.salt}:{client}".encode()).digest()
        return client == "manual" or int.from_bytes(digest[:8], "big") / 2**64 < percent / WHOLE


@dataclass
class Release:
    channel: str
    status: str  # draft, active or withdrawn
    builds: dict[str, Build] = field(default_factory=dict)
    rollout: Rollout | None = None


@dataclass(frozen=True)
class Question:
    """One update check."""

    current: str
    platform: str
    channel: str = CHANNELS[0]
    prereleases: bool = False
    client: str = "one"


@dataclass
class Model:
    """One application: its releases, what its addresses are bound to for ever, and what was reported."""

    releases: dict[str, Release] = field(default_factory=dict)
    bound: dict[tuple[str, str], bytes] = field(default_factory=dict)
    reports: dict[str, str] = field(default_factory=dict)

    def offer(self, asked: Question) -> tuple[str, bool] | None:
        """Return the version that a client gets, and whether it must take it; None when there is nothing for it."""
        current = rank(asked.current)
        above = [version for version in self.releases if rank(version) > current and self._sees(asked, version)]
        minimums = {version: self.releases[version].builds[asked.platform].minimum for version in above}
        taking = [version for version, minimum in minimums.items() if minimum is None or rank(minimum) <= current]
        if not taking:
            return None
        best = max(taking, key=rank)
        on_the_way = (self.releases[each].builds[asked.platform] for each in above if rank(each) <= rank(best))
        return best, any(each.required for each in on_the_way)

    def _sees(self, asked: Question, version: str) -> bool:
        release = self.releases[version]
        if release.status != "active" or asked.platform not in release.builds:
            return False
        if CHANNELS.index(release.channel) > CHANNELS.index(asked.channel):
            return False
        if "-" in version and not asked.prereleases and asked.channel == CHANNELS[0]:
            return False
        return release.rollout is None or release.rollout.takes(asked.client, asked.platform)

    def remove(self, version: str) -> None:
        del self.releases[version]

    def digests(self) -> set[str]:
        """Return which blobs the builds need."""
        contents = {build.content for release in self.releases.values() for build in release.builds.values()}
        return {hashlib.sha256(each).hexdigest() for each in contents}

    def counts(self) -> dict[str, int]:
        """Return how many reports there are of each outcome."""
        found = Counter(self.reports.values())
        return {status: found[status] for status in ("completed", "failed", "cancelled")}
