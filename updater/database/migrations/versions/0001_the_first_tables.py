"""The first tables: catalog, blobs, reports, keys."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

SortKey = sa.String(length=700).with_variant(sa.String(length=700, collation="C"), "postgresql")
RowId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "api_key",
        sa.Column("id", RowId, nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("level", sa.String(length=10), nullable=False),
        sa.Column("application_id", sa.String(length=100), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
        sa.UniqueConstraint("digest", name=op.f("uq_api_key_digest")),
    )
    op.create_table(
        "application",
        sa.Column("id", sa.String(length=100), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("platforms", sa.JSON(), nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("scheme", sa.String(length=10), nullable=False),
        sa.Column("ceiling_key", SortKey, nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_application")),
    )
    op.create_table(
        "blob",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("verified_at", sa.BigInteger(), nullable=True),
        sa.Column("quarantined_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_blob")),
    )
    op.create_table(
        "pinned_digest",
        sa.Column("application_id", sa.String(length=100), nullable=False),
        sa.Column("version", sa.String(length=100), nullable=False),
        sa.Column("platform", sa.String(length=20), nullable=False),
        sa.Column("architecture", sa.String(length=20), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("application_id", "version", "platform", "architecture", name=op.f("pk_pinned_digest")),
    )
    op.create_table(
        "release",
        sa.Column("id", RowId, nullable=False),
        sa.Column("application_id", sa.String(length=100), nullable=False),
        sa.Column("version", sa.String(length=100), nullable=False),
        sa.Column("sort_key", SortKey, nullable=False),
        sa.Column("prerelease", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["application_id"], ["application.id"], name=op.f("fk_release_application_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_release")),
        sa.UniqueConstraint("application_id", "version", name=op.f("uq_release_application_id_version")),
    )
    op.create_index("ix_release_application_id_sort_key", "release", ["application_id", "sort_key"])

    op.create_table(
        "report",
        sa.Column("id", RowId, nullable=False),
        sa.Column("application_id", sa.String(length=100), nullable=False),
        sa.Column("report_id", sa.String(length=100), nullable=True),
        sa.Column("current_version", sa.String(length=100), nullable=False),
        sa.Column("target_version", sa.String(length=100), nullable=False),
        sa.Column("platform", sa.String(length=20), nullable=False),
        sa.Column("architecture", sa.String(length=20), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("install_time_seconds", sa.Integer(), nullable=True),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["application_id"], ["application.id"], name=op.f("fk_report_application_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report")),
        sa.UniqueConstraint("application_id", "report_id", name=op.f("uq_report_application_id_report_id")),
    )
    op.create_index("ix_report_application_id_received_at", "report", ["application_id", "received_at"])

    op.create_table(
        "build",
        sa.Column("id", RowId, nullable=False),
        sa.Column("release_id", RowId, nullable=False),
        sa.Column("platform", sa.String(length=20), nullable=False),
        sa.Column("architecture", sa.String(length=20), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("checksum_type", sa.String(length=10), nullable=False),
        sa.Column("checksum", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("suffix", sa.String(length=20), nullable=False),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.Column("required", sa.Boolean(), nullable=False),
        sa.Column("minimum_version", sa.String(length=100), nullable=True),
        sa.Column("minimum_key", SortKey, nullable=True),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["digest"], ["blob.digest"], name=op.f("fk_build_digest")),
        sa.ForeignKeyConstraint(["release_id"], ["release.id"], name=op.f("fk_build_release_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_build")),
        sa.UniqueConstraint(
            "release_id", "platform", "architecture", name=op.f("uq_build_release_id_platform_architecture")
        ),
    )
    op.create_index("ix_build_digest", "build", ["digest"])

    op.create_table(
        "download_count",
        sa.Column("build_id", RowId, nullable=False),
        sa.Column("started", sa.BigInteger(), nullable=False),
        sa.Column("finished", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["build_id"], ["build.id"], name=op.f("fk_download_count_build_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("build_id", name=op.f("pk_download_count")),
    )


def downgrade() -> None:
    op.drop_table("download_count")
    op.drop_index("ix_build_digest", "build")
    op.drop_table("build")
    op.drop_index("ix_report_application_id_received_at", "report")
    op.drop_table("report")
    op.drop_index("ix_release_application_id_sort_key", "release")
    op.drop_table("release")
    op.drop_table("pinned_digest")
    op.drop_table("blob")
    op.drop_table("application")
    op.drop_table("api_key")
