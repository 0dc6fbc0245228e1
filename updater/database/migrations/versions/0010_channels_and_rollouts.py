"""Channels, rollouts with what is counted about them, and the channel of a report."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

RowId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    with op.batch_alter_table("application") as application:
        application.add_column(sa.Column("channels", sa.JSON(), nullable=False, server_default='["stable"]'))
        application.add_column(sa.Column("default_rollout", sa.JSON(), nullable=True))
    with op.batch_alter_table("application") as application:
        application.alter_column("channels", existing_type=sa.JSON(), server_default=None)
    with op.batch_alter_table("release") as release:
        release.add_column(sa.Column("channel", sa.String(length=40), nullable=False, server_default="stable"))
        release.add_column(sa.Column("channel_position", sa.Integer(), nullable=False, server_default="0"))
    with op.batch_alter_table("release") as release:
        release.alter_column("channel", existing_type=sa.String(length=40), server_default=None)
        release.alter_column("channel_position", existing_type=sa.Integer(), server_default=None)
    with op.batch_alter_table("report") as report:
        report.add_column(sa.Column("channel", sa.String(length=40), nullable=True))
    _create_rollouts()


def _create_rollouts() -> None:
    op.create_table(
        "rollout",
        sa.Column("release_id", RowId, nullable=False, autoincrement=False),
        sa.Column("application_id", sa.String(length=100), nullable=False),
        sa.Column("salt", sa.String(length=32), nullable=False),
        sa.Column("plan", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("stage", sa.Integer(), nullable=False),
        sa.Column("stage_started_at", sa.BigInteger(), nullable=True),
        sa.Column("stage_ends_at", sa.BigInteger(), nullable=True),
        sa.Column("stage_left_s", sa.Float(), nullable=True),
        sa.Column("stage_reports", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("completed_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["application_id"], ["application.id"], name=op.f("fk_rollout_application_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["release_id"], ["release.id"], name=op.f("fk_rollout_release_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("release_id", name=op.f("pk_rollout")),
    )
    op.create_index(op.f("ix_rollout_application_id_state"), "rollout", ["application_id", "state"])
    op.create_table(
        "rollout_platform",
        sa.Column("release_id", RowId, nullable=False, autoincrement=False),
        sa.Column("platform", sa.String(length=20), nullable=False),
        sa.Column("series", sa.Integer(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("numbers", sa.JSON(), nullable=False),
        sa.Column("halted_at", sa.BigInteger(), nullable=True),
        sa.Column("halt", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(
            ["release_id"], ["rollout.release_id"], name=op.f("fk_rollout_platform_release_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("release_id", "platform", name=op.f("pk_rollout_platform")),
    )
    op.create_table(
        "rollout_source",
        sa.Column("release_id", RowId, nullable=False, autoincrement=False),
        sa.Column("platform", sa.String(length=20), nullable=False),
        sa.Column("arm", sa.String(length=10), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("reports", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["release_id"], ["rollout.release_id"], name=op.f("fk_rollout_source_release_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("release_id", "platform", "arm", "source", name=op.f("pk_rollout_source")),
        sqlite_with_rowid=False,
    )
