"""Files beside the primary one: when a release was published, names bound to their bytes, keys, facts of files."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    with op.batch_alter_table("application") as application:
        application.add_column(sa.Column("keys", sa.JSON(), nullable=False, server_default="{}"))
        application.add_column(sa.Column("feeds", sa.JSON(), nullable=False, server_default="{}"))
    with op.batch_alter_table("application") as application:
        application.alter_column("keys", existing_type=sa.JSON(), server_default=None)
        application.alter_column("feeds", existing_type=sa.JSON(), server_default=None)
    with op.batch_alter_table("release") as release:
        release.add_column(sa.Column("published_at", sa.BigInteger(), nullable=True))
    op.execute("UPDATE release SET published_at = created_at")
    with op.batch_alter_table("file") as file:
        file.add_column(sa.Column("facts", sa.JSON(), nullable=True))
    op.create_index(op.f("ix_file_name_key"), "file", ["name_key"])
    _bind_names()


def _bind_names() -> None:
    with op.batch_alter_table("pinned_digest") as pinned:
        pinned.drop_constraint(op.f("pk_pinned_digest"), type_="primary")
        pinned.add_column(sa.Column("name_key", sa.String(length=700), nullable=False, server_default=""))
        pinned.create_primary_key(
            op.f("pk_pinned_digest"), ["application_id", "version", "platform", "architecture", "name_key"]
        )
    with op.batch_alter_table("pinned_digest") as pinned:
        pinned.alter_column("name_key", existing_type=sa.String(length=700), server_default=None)
    # What is published already has its name for ever, too.
    op.execute(
        "INSERT INTO pinned_digest (application_id, version, platform, architecture, name_key, digest) "
        "SELECT release.application_id, release.version, build.platform, build.architecture, file.name_key, "
        "file.digest FROM file JOIN build ON build.id = file.build_id JOIN release ON release.id = build.release_id"
    )


def downgrade() -> None:
    raise NotImplementedError("restore the backup made before the upgrade")
