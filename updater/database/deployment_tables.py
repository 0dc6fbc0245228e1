"""The tables of deployments. `tables.py` has all others, and the conventions that hold here too."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint

from updater.database.columns import RowId, UtcTime
from updater.database.tables import metadata

deployment_update = Table(
    "deployment_update",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("deployment", String(64), nullable=False),
    Column("version", String(100), nullable=False),
    Column("title", String(200), nullable=False),
    Column("description", Text, nullable=False),
    Column("status", String(20), nullable=False),
    Column("rollback_possible", Boolean, nullable=False),
    # What to apply, as announced; neither ref nor commit: the head of the branch.
    Column("ref", String(200)),
    Column("commit_hash", String(64)),
    Column("previous_commit", String(64)),
    # The run that brought it in, or that is at it.
    Column("run", String(40)),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("applied_at", UtcTime),
    Index(None, "deployment", "status"),
    Index(None, "run"),
)

deployment_log = Table(
    "deployment_log",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("deployment", String(64), nullable=False),
    # None until the run knows which commit it is about, and where it found nothing to bring in.
    Column("update_id", ForeignKey("deployment_update.id", ondelete="CASCADE")),
    Column("run", String(40), nullable=False),
    Column("number", Integer, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("level", String(10), nullable=False),
    Column("component", String(40)),
    Column("message", Text, nullable=False),
    UniqueConstraint("run", "number"),
    Index(None, "update_id", "id"),
    Index(None, "deployment", "id"),
)
