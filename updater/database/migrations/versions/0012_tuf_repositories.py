"""TUF repositories, and what they use of blobs."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "tuf_metadata",
        sa.Column("application_id", sa.String(length=100), nullable=False),
        sa.Column("channel", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=180), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("consistent", sa.Boolean(), nullable=True),
        sa.Column("meta", sa.JSON(), nullable=False),
        sa.Column("delegates", sa.JSON(), nullable=False),
        sa.Column("published_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["application_id"], ["application.id"], name=op.f("fk_tuf_metadata_application_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["digest"], ["blob.digest"], name=op.f("fk_tuf_metadata_digest")),
        sa.PrimaryKeyConstraint("application_id", "channel", "name", name=op.f("pk_tuf_metadata")),
    )
    op.create_index("ix_tuf_metadata_digest", "tuf_metadata", ["digest"])
    op.create_table(
        "tuf_target",
        sa.Column("application_id", sa.String(length=100), nullable=False),
        sa.Column("channel", sa.String(length=40), nullable=False),
        sa.Column("path", sa.String(length=1447), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("bound", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["application_id"], ["application.id"], name=op.f("fk_tuf_target_application_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["digest"], ["blob.digest"], name=op.f("fk_tuf_target_digest")),
        sa.PrimaryKeyConstraint("application_id", "channel", "path", name=op.f("pk_tuf_target")),
    )
    op.create_index("ix_tuf_target_digest", "tuf_target", ["digest"])
    op.create_table(
        "tuf_pin",
        sa.Column("application_id", sa.String(length=100), nullable=False),
        sa.Column("channel", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=180), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("application_id", "channel", "name", name=op.f("pk_tuf_pin")),
    )
    op.execute("DROP VIEW blob_use")
    op.execute(
        "CREATE VIEW blob_use AS SELECT digest FROM file "
        "UNION ALL SELECT digest FROM tuf_metadata UNION ALL SELECT digest FROM tuf_target"
    )


def downgrade() -> None:
    raise NotImplementedError("restore the backup made before the upgrade")
