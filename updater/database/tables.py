"""Every table, once, for both SQLite and PostgreSQL.

Times are stored as whole microseconds since the epoch and read as aware UTC datetimes: both engines then order,
compare and index them alike. Versions are ordered by `sort_key`, a text compared by code point.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    column,
    false,
    table,
)

from updater.database.columns import RowId, SortKey, UtcTime
from updater.database.columns import metadata as metadata

application = Table(
    "application",
    metadata,
    Column("id", String(100), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("description", Text, nullable=False),
    Column("platforms", JSON, nullable=False),
    # The names of its channels, the most stable first.
    Column("channels", JSON, nullable=False, default=["stable"]),
    # The plan of releases that are published without one; None: they are for everybody.
    Column("default_rollout", JSON(none_as_null=True)),
    Column("config", JSON, nullable=False),
    Column("scheme", String(10), nullable=False),
    # The public keys that signatures of its files are held to: lists of texts, by scheme.
    Column("keys", JSON, nullable=False, default={}),
    # What the feeds of package managers say of it, by feed.
    Column("feeds", JSON, nullable=False, default={}),
    # Whether installed clients need a key too.
    Column("private", Boolean, nullable=False, server_default=false()),
    # The sort key of config.max_version, so that the database can leave out what is above it.
    Column("ceiling_key", SortKey),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
)

release = Table(
    "release",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("application_id", ForeignKey("application.id", ondelete="CASCADE"), nullable=False),
    Column("version", String(100), nullable=False),
    Column("sort_key", SortKey, nullable=False),
    Column("prerelease", Boolean, nullable=False),
    # Of how many numbers the version consists, None when it holds anything else: 3 for 1.2.3.
    Column("numbers", Integer),
    # draft, active or withdrawn.
    Column("status", String(10), nullable=False),
    # Whether it is for all clients; else some of them may get the release before.
    Column("complete", Boolean, nullable=False),
    # Its channel, and where that stands in the application's list: 0 is the most stable.
    Column("channel", String(40), nullable=False, default="stable"),
    Column("channel_position", Integer, nullable=False, default=0),
    Column("created_at", UtcTime, nullable=False),
    # When clients could first see it; None for a draft.
    Column("published_at", UtcTime),
    UniqueConstraint("application_id", "version"),
    Index(None, "application_id", "sort_key"),
)

blob = Table(
    "blob",
    metadata,
    Column("digest", String(64), primary_key=True),
    # Further digests, in hex; None until they are known.
    Column("sha512", String(128)),
    Column("sha1", String(40)),
    Column("size_bytes", BigInteger, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("verified_at", UtcTime),
    Column("quarantined_at", UtcTime),
)

build = Table(
    "build",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("release_id", ForeignKey("release.id", ondelete="CASCADE"), nullable=False),
    Column("platform", String(20), nullable=False),
    Column("architecture", String(20), nullable=False),
    # Of an external build: its address, and what was announced of its file. A hosted one has rows in `file`.
    Column("url", Text),
    Column("checksum_type", String(10)),
    Column("checksum", Text),
    Column("size_bytes", BigInteger),
    Column("notes", Text, nullable=False),
    Column("required", Boolean, nullable=False),
    Column("minimum_version", String(100)),
    Column("minimum_key", SortKey),
    Column("metadata", JSON, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    UniqueConstraint("release_id", "platform", "architecture"),
)

file = Table(
    "file",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("build_id", ForeignKey("build.id", ondelete="CASCADE"), nullable=False),
    Column("name", String(255), nullable=False),
    # The name in the form in which two names are the same: case does not count.
    Column("name_key", String(700), nullable=False),
    Column("kind", String(10), nullable=False),
    # The file that updates give; a build has one.
    Column("is_primary", Boolean, nullable=False),
    Column("digest", ForeignKey("blob.digest"), nullable=False),
    # For a delta: the version that it turns into the build's.
    Column("delta_from", String(100)),
    # developer or server.
    Column("made_by", String(10), nullable=False),
    # What was found in its bytes, by name.
    Column("facts", JSON(none_as_null=True)),
    Column("created_at", UtcTime, nullable=False),
    UniqueConstraint("build_id", "name_key"),
    Index(None, "digest"),
    # Clients ask for packages by name alone.
    Index(None, "name_key"),
)

file_signature = Table(
    "file_signature",
    metadata,
    Column("file_id", ForeignKey("file.id", ondelete="CASCADE"), primary_key=True),
    Column("scheme", String(10), primary_key=True),
    Column("signature", Text, nullable=False),
)

# The one relation that says what uses a blob: a view, so that a copy of the database answers it too. It has a row for
# each use; whatever refers to a blob must be in it, or its bytes are collected, and missing in backups.
blob_use = table("blob_use", column("digest", String(64)))

# What an address of a hosted file has ever served. Outlives file, build and application on purpose: caches hold the
# address as immutable, so it may only ever give these bytes.
pinned_digest = Table(
    "pinned_digest",
    metadata,
    Column("application_id", String(100), primary_key=True),
    Column("version", String(100), primary_key=True),
    Column("platform", String(20), primary_key=True),
    Column("architecture", String(20), primary_key=True),
    # Of the address with a file's name: the name in the form of `file.name_key`. Empty: the address of the build.
    Column("name_key", String(700), primary_key=True),
    Column("digest", String(64), nullable=False),
)

download_count = Table(
    "download_count",
    metadata,
    Column("build_id", ForeignKey("build.id", ondelete="CASCADE"), primary_key=True),
    Column("started", BigInteger, nullable=False),
    Column("finished", BigInteger, nullable=False),
)

report = Table(
    "report",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("application_id", ForeignKey("application.id", ondelete="CASCADE"), nullable=False),
    # Given by the client: the same report sent again counts once.
    Column("report_id", String(100)),
    Column("current_version", String(100), nullable=False),
    Column("target_version", String(100), nullable=False),
    Column("platform", String(20), nullable=False),
    Column("architecture", String(20), nullable=False),
    Column("status", String(10), nullable=False),
    Column("error_message", Text),
    Column("install_time_seconds", Integer),
    Column("key_hash", String(64)),
    # The channel that the client says it is on.
    Column("channel", String(40)),
    Column("received_at", UtcTime, nullable=False),
    UniqueConstraint("application_id", "report_id"),
    Index(None, "application_id", "received_at"),
)

# Counts of events, added up as they arrive, so that figures over a year never read a single report. Each event
# is counted under its hour and under its day. Rows stay when raw reports go.
rollup = Table(
    "rollup",
    metadata,
    Column("application_id", ForeignKey("application.id", ondelete="CASCADE"), primary_key=True),
    Column("span", String(10), primary_key=True),
    Column("measure", String(20), primary_key=True),
    Column("starts_at", UtcTime, primary_key=True),
    Column("label", String(200), primary_key=True),
    Column("amount", BigInteger, nullable=False),
    # The key is the whole row but one number: kept once, in the order in which figures read it.
    sqlite_with_rowid=False,
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("name", String(100), nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
    Column("level", String(10), nullable=False),
    # No foreign key: a key may be made before its application.
    Column("application_id", String(100)),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Column("revoked_at", UtcTime),
    Column("last_used_at", UtcTime),
)

user_account = Table(
    "user_account",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("role", String(10), nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("disabled_at", UtcTime),
    Column("last_sign_in_at", UtcTime),
)

session = Table(
    "session",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("user_id", ForeignKey("user_account.id", ondelete="CASCADE"), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("last_used_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    # None: the session of a script, which only ends at its time.
    Column("idle_s", Integer),
    Index(None, "user_id"),
)

task = Table(
    "task",
    metadata,
    Column("id", RowId, primary_key=True),
    # The issuer of the tokens knows these people; they are no users of ours.
    Column("user_id", BigInteger, nullable=False),
    Column("title", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("completed", Boolean, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Index(None, "user_id"),
)

# One row: how many announced changes were committed. See `Database.announce`.
revision = Table(
    "revision",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("value", BigInteger, nullable=False),
)

change = Table(
    "change",
    metadata,
    Column("topic", String(120), primary_key=True),
    Column("revision", BigInteger, nullable=False),
)

# Who does the work that one process at a time does, and until when.
lease = Table(
    "lease",
    metadata,
    Column("name", String(50), primary_key=True),
    Column("holder", String(50), nullable=False),
    Column("expires_at", UtcTime, nullable=False),
)

# One row: the last time that was believed, and when an operator confirmed the clock (see `timekeeping`).
clock_mark = Table(
    "clock_mark",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("at", UtcTime, nullable=False),
    Column("confirmed_at", UtcTime),
)

# Who changed what, in the order of the changes. Each row holds the hash of the row before (see `audit.chain`).
audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=False),
    Column("at", UtcTime, nullable=False),
    Column("actor_kind", String(10), nullable=False),
    Column("actor_name", String(200), nullable=False),
    Column("action", String(50), nullable=False),
    # No foreign key: rows outlive what they are about.
    Column("application_id", String(100)),
    Column("version", String(100)),
    Column("subject", String(200), nullable=False),
    Column("reason", Text),
    # JSON objects, as text: what is hashed is what is kept.
    Column("before", Text),
    Column("after", Text),
    Column("previous_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index(None, "application_id", "id"),
    Index(None, "action", "id"),
)

# One row: where the chain of `audit` ends, and where what is left of it begins.
audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("last_id", BigInteger, nullable=False),
    Column("last_hash", String(64), nullable=False),
    Column("anchor_id", BigInteger, nullable=False),
    Column("anchor_hash", String(64), nullable=False),
)
