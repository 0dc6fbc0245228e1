"""Webhooks. An application's `notification_url` becomes one, of what happens from now on."""

import json
import secrets
import time
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    row_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    webhook = op.create_table(
        "webhook",
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("application_id", sa.String(length=100), nullable=True),
        sa.Column("configured", sa.Boolean(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("form", sa.String(length=16), nullable=False),
        sa.Column("events", sa.JSON(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("salt", sa.String(length=64), nullable=False),
        sa.Column("old_salt", sa.String(length=64), nullable=True),
        sa.Column("old_until", sa.BigInteger(), nullable=True),
        sa.Column("cursor", sa.BigInteger(), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=True),
        sa.Column("parked", sa.Boolean(), nullable=False),
        sa.Column("last_error", sa.String(length=300), nullable=True),
        sa.Column("last_delivered_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["application_id"], ["application.id"], name=op.f("fk_webhook_application_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook")),
    )
    op.create_index("ix_webhook_application_id", "webhook", ["application_id"])
    op.create_table(
        "webhook_delivery",
        sa.Column("id", row_id, nullable=False),
        sa.Column("webhook_id", sa.String(length=16), nullable=False),
        sa.Column("event_id", sa.String(length=60), nullable=False),
        sa.Column("event", sa.String(length=40), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.String(length=300), nullable=True),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhook.id"], name=op.f("fk_webhook_delivery_webhook_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_delivery")),
    )
    op.create_index("ix_webhook_delivery_webhook_id_id", "webhook_delivery", ["webhook_id", "id"])
    op.create_table(
        "told_fact",
        sa.Column("name", sa.String(length=300), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_told_fact")),
    )
    _take_over(op.get_bind(), webhook)


def _take_over(connection: sa.Connection, webhook: sa.Table) -> None:
    cursor = connection.scalar(sa.text("SELECT last_id FROM audit_head")) or 0
    now = time.time_ns() // 1_000
    for application_id, config in connection.execute(sa.text("SELECT id, config FROM application")).all():
        found: dict[str, Any] = json.loads(config) if isinstance(config, str) else config or {}
        if found.get("notification_url"):
            connection.execute(
                webhook.insert().values(
                    id=secrets.token_hex(8),
                    application_id=application_id,
                    configured=True,
                    name="notification_url",
                    url=found["notification_url"],
                    form="auto",
                    events=[],
                    enabled=True,
                    salt=secrets.token_hex(32),
                    cursor=cursor,
                    turn=0,
                    attempts=0,
                    parked=False,
                    created_at=now,
                    updated_at=now,
                )
            )


def downgrade() -> None:
    raise NotImplementedError("restore the backup made before the upgrade")
