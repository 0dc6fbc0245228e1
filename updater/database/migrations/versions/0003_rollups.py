"""Roll-ups: counts of events by hour and by day."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "rollup",
        sa.Column("application_id", sa.String(length=100), nullable=False),
        sa.Column("span", sa.String(length=10), nullable=False),
        sa.Column("measure", sa.String(length=20), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        sa.Column("label", sa.String(length=200), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["application_id"], ["application.id"], name=op.f("fk_rollup_application_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("application_id", "span", "measure", "starts_at", "label", name=op.f("pk_rollup")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("rollup")
