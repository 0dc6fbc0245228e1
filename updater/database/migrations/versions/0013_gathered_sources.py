"""Sources of counted reports gather before they move to their table."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

RowId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "rollout_gathered",
        sa.Column("release_id", RowId, nullable=False, autoincrement=False),
        sa.Column("platform", sa.String(length=20), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("sources", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["release_id"], ["rollout.release_id"], name=op.f("fk_rollout_gathered_release_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("release_id", "platform", "number", name=op.f("pk_rollout_gathered")),
    )


def downgrade() -> None:
    raise NotImplementedError("restore the backup made before the upgrade")
