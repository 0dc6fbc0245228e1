"""The settings in effect: those of the start, with what was reread since."""

from __future__ import annotations

import dataclasses

from updater.settings.sections import Settings


class SettingsInEffect:
    """Holds what this process goes by."""

    def __init__(self, started_with: Settings) -> None:
        self.current = started_with

    def reread(self, fresh: Settings) -> None:
        """Take what a reload changes: access, and the numbers of the limits. All else counts from the next start."""
        now = self.current.rate_limit
        limits = dataclasses.replace(fresh.rate_limit, enabled=now.enabled, storage_url=now.storage_url)
        self.current = dataclasses.replace(self.current, access=fresh.access, rate_limit=limits)
