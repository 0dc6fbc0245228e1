"""Deployments: their updates and the log of each run."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

RowId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "deployment_update",
        sa.Column("id", RowId, nullable=False),
        sa.Column("deployment", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=100), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("rollback_possible", sa.Boolean(), nullable=False),
        sa.Column("ref", sa.String(length=200), nullable=True),
        sa.Column("commit_hash", sa.String(length=64), nullable=True),
        sa.Column("previous_commit", sa.String(length=64), nullable=True),
        sa.Column("run", sa.String(length=40), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("applied_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployment_update")),
    )
    op.create_index("ix_deployment_update_deployment_status", "deployment_update", ["deployment", "status"])
    op.create_index("ix_deployment_update_run", "deployment_update", ["run"])
    op.create_table(
        "deployment_log",
        sa.Column("id", RowId, nullable=False),
        sa.Column("deployment", sa.String(length=64), nullable=False),
        sa.Column("update_id", RowId, nullable=True),
        sa.Column("run", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("level", sa.String(length=10), nullable=False),
        sa.Column("component", sa.String(length=40), nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["update_id"],
            ["deployment_update.id"],
            name=op.f("fk_deployment_log_update_id_deployment_update"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployment_log")),
        sa.UniqueConstraint("run", "number", name=op.f("uq_deployment_log_run_number")),
    )
    op.create_index("ix_deployment_log_update_id_id", "deployment_log", ["update_id", "id"])
    op.create_index("ix_deployment_log_deployment_id", "deployment_log", ["deployment", "id"])
