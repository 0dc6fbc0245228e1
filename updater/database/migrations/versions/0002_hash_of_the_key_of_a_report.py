"""Keep with a report the hash of the API key it was sent with."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("report", sa.Column("key_hash", sa.String(length=64), nullable=True))


def downgrade() -> None:
    op.drop_column("report", "key_hash")
