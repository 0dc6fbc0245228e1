"""Rows of the audit are found by their action."""

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.create_index("ix_audit_action_id", "audit", ["action", "id"])


def downgrade() -> None:
    raise NotImplementedError("restore the backup made before the upgrade")
