"""The metadata of all tables, for what looks at every one of them."""

from __future__ import annotations

from updater.database.columns import metadata

__all__ = ["metadata"]
