"""The tables of rollouts. `tables.py` has all others, and the conventions that hold here too."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Float, ForeignKey, Index, Integer, String, Table

from updater.database.columns import UtcTime
from updater.database.tables import metadata

# The rollout of a release that is not, or was not always, for everybody.
rollout = Table(
    "rollout",
    metadata,
    Column("release_id", ForeignKey("release.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("application_id", ForeignKey("application.id", ondelete="CASCADE"), nullable=False),
    Column("salt", String(32), nullable=False),
    Column("plan", JSON, nullable=False),
    # scheduled, active, paused or complete.
    Column("state", String(10), nullable=False),
    # The present stage, counted from 1; 0 before the first.
    Column("stage", Integer, nullable=False),
    Column("stage_started_at", UtcTime),
    Column("stage_ends_at", UtcTime),
    # What is left of a stage whose clock stands still, in seconds.
    Column("stage_left_s", Float),
    Column("stage_reports", Integer, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("completed_at", UtcTime),
    Index(None, "application_id", "state"),
)

# What was counted about a rollout on one platform. `numbers` are the fields of `rollouts.evidence.Series`.
rollout_platform = Table(
    "rollout_platform",
    metadata,
    Column("release_id", ForeignKey("rollout.release_id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("platform", String(20), primary_key=True),
    # The series, counted from 1, and when it began.
    Column("series", Integer, nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("numbers", JSON, nullable=False),
    Column("halted_at", UtcTime),
    Column("halt", JSON(none_as_null=True)),
)

# Where counted reports of a series came from: keyed hashes of addresses and client ids.
rollout_source = Table(
    "rollout_source",
    metadata,
    Column("release_id", ForeignKey("rollout.release_id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("platform", String(20), primary_key=True),
    # rollout or control.
    Column("arm", String(10), primary_key=True),
    Column("source", String(64), primary_key=True),
    Column("reports", Integer, nullable=False),
    Column("failed", Boolean, nullable=False),
    sqlite_with_rowid=False,
)

# Sources of counted reports that are not in `rollout_source` yet, a row for each batch of reports that counted.
rollout_gathered = Table(
    "rollout_gathered",
    metadata,
    Column("release_id", ForeignKey("rollout.release_id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("platform", String(20), primary_key=True),
    # Counted from 1 since they were last moved to their table.
    Column("number", Integer, primary_key=True, autoincrement=False),
    # `rollouts.sources.Packed`.
    Column("sources", JSON, nullable=False),
)
