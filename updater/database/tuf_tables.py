"""The tables of TUF repositories, one for each channel. `tables.py` has the conventions that hold here too."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, ForeignKey, Index, String, Table

from updater.database.columns import UtcTime
from updater.database.tables import metadata

# A published metadata file: every version of those with a number in their names, the last one of plain names.
tuf_metadata = Table(
    "tuf_metadata",
    metadata,
    Column("application_id", ForeignKey("application.id", ondelete="CASCADE"), primary_key=True),
    Column("channel", String(40), primary_key=True),
    Column("name", String(180), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("digest", ForeignKey("blob.digest"), nullable=False),
    # Whether it is the newest root, the timestamp, or follows from that.
    Column("current", Boolean, nullable=False),
    Column("expires_at", UtcTime),
    # Of a root: whether clients ask for names with versions and digests; None where it does not say.
    Column("consistent", Boolean),
    # What it names: metadata files, each with version, size in bytes and SHA-256; and roles to which it delegates.
    Column("meta", JSON, nullable=False),
    Column("delegates", JSON, nullable=False),
    Column("published_at", UtcTime, nullable=False),
    Index(None, "digest"),
)

tuf_target = Table(
    "tuf_target",
    metadata,
    Column("application_id", ForeignKey("application.id", ondelete="CASCADE"), primary_key=True),
    Column("channel", String(40), primary_key=True),
    Column("path", String(1447), primary_key=True),
    Column("digest", ForeignKey("blob.digest"), nullable=False),
    # Whether published metadata names it: its path then has these bytes for ever.
    Column("bound", Boolean, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Index(None, "digest"),
)

# What a name with a version has ever served. Outlives the application on purpose, as `pinned_digest` does.
tuf_pin = Table(
    "tuf_pin",
    metadata,
    Column("application_id", String(100), primary_key=True),
    Column("channel", String(40), primary_key=True),
    Column("name", String(180), primary_key=True),
    Column("digest", String(64), nullable=False),
)
