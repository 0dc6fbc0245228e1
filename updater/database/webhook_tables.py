"""The tables of webhooks. `tables.py` has the conventions that hold here too."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, ForeignKey, Index, Integer, String, Table, Text

from updater.database.columns import RowId, UtcTime
from updater.database.tables import metadata

webhook = Table(
    "webhook",
    metadata,
    # 64 random bits, in hex.
    Column("id", String(16), primary_key=True),
    # None: events of the whole server.
    Column("application_id", ForeignKey("application.id", ondelete="CASCADE")),
    # Whether it is the `notification_url` of its application, and follows that.
    Column("configured", Boolean, nullable=False),
    Column("name", String(100), nullable=False),
    Column("url", Text, nullable=False),
    # standard, slack, teams or discord.
    Column("form", String(16), nullable=False),
    # Names of events; an empty list takes all.
    Column("events", JSON, nullable=False),
    Column("enabled", Boolean, nullable=False),
    # What the secret is derived from, together with the secret of the installation; the one before, and until when.
    Column("salt", String(64), nullable=False),
    Column("old_salt", String(64)),
    Column("old_until", UtcTime),
    # The number of the last audit row that is done with; `turn` grows when somebody else than the delivery moves it.
    Column("cursor", BigInteger, nullable=False),
    Column("turn", Integer, nullable=False),
    # Failed tries of the event after the cursor, when the next one is due, and whether no further one is made.
    Column("attempts", Integer, nullable=False),
    Column("next_at", UtcTime),
    Column("parked", Boolean, nullable=False),
    Column("last_error", String(300)),
    Column("last_delivered_at", UtcTime),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Index(None, "application_id"),
)

# The last tries of each receiver.
webhook_delivery = Table(
    "webhook_delivery",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("webhook_id", ForeignKey("webhook.id", ondelete="CASCADE"), nullable=False),
    Column("event_id", String(60), nullable=False),
    Column("event", String(40), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("duration_ms", Integer, nullable=False),
    # What the receiver answered; None: nothing.
    Column("status", Integer),
    # None: delivered.
    Column("error", String(300)),
    Index(None, "webhook_id", "id"),
)

# Facts that arise by themselves and were told of in the audit, and when: each is told once.
told_fact = Table(
    "told_fact",
    metadata,
    Column("name", String(300), primary_key=True),
    Column("at", UtcTime, nullable=False),
)
