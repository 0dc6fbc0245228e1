"""Which release does a feed show this client? PURE: no clock, no randomness, no I/O.

Source: ARCHITECTURE.md, "Feeds".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from updater.catalog.model import Application, Build, BuildFile
from updater.catalog.platforms import Target
from updater.rollouts.model import Rollout

RELEASES_SHOWN = 50
"""How many of the newest releases of a target a feed looks at."""


@dataclass(frozen=True, slots=True)
class FeedBuild:
    """A build of an active release with its files: the primary one first, then by name."""

    build: Build
    files: tuple[BuildFile, ...]


@dataclass(frozen=True, slots=True)
class FeedSnapshot:
    """One application as feeds see it: the builds of its newest releases by target, newest first.

    `rollouts` are those of releases that are not complete, by release id.
    """

    application: Application
    builds: Mapping[Target, tuple[FeedBuild, ...]]
    rollouts: Mapping[int, Rollout]
