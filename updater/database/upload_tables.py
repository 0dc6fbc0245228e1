"""The table of uploads that resume. `tables.py` has the conventions that hold here too."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, String, Table, Text

from updater.database.columns import UtcTime
from updater.database.tables import metadata

partial_upload = Table(
    "partial_upload",
    metadata,
    # 128 random bits, in hex: it is in the address, which is told to its owner alone.
    Column("id", String(32), primary_key=True),
    # The folder that has its bytes: uploads are things of a machine.
    Column("place", String(32), nullable=False),
    # The id of the key or person that began it.
    Column("owner", String(100), nullable=False),
    Column("application_id", ForeignKey("application.id", ondelete="CASCADE"), nullable=False),
    # What its owner says of the file, as it was sent.
    Column("said", Text, nullable=False),
    Column("length_bytes", BigInteger, nullable=False),
    # How many bytes are durable; all of them only together with `outcome`.
    Column("offset_bytes", BigInteger, nullable=False),
    # What became of it: {"published": answer}, or {"refused": failure}.
    Column("outcome", JSON(none_as_null=True)),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Index(None, "owner"),
    Index(None, "application_id"),
    Index(None, "expires_at"),
)
