"""Files of a build, what uses a blob, further digests, the status of a release, and the audit.

On SQLite tables are built anew, which is why migrations run with foreign keys off (see `sqlite.py`).
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

RowId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    with op.batch_alter_table("blob") as blob:
        blob.add_column(sa.Column("sha512", sa.String(length=128), nullable=True))
        blob.add_column(sa.Column("sha1", sa.String(length=40), nullable=True))
    _extend_releases()
    _create_files()
    _slim_builds()
    op.execute("CREATE VIEW blob_use AS SELECT digest FROM file")
    _create_audit()


def _extend_releases() -> None:
    with op.batch_alter_table("release") as release:
        release.add_column(sa.Column("numbers", sa.Integer(), nullable=True))
        release.add_column(sa.Column("complete", sa.Boolean(), nullable=True))
    rest = "version"
    for digit in "0123456789":
        rest = f"replace({rest}, '{digit}', '')"
    # What is left of digits and dots are the dots.
    op.execute(
        f"UPDATE release SET complete = true, numbers = CASE WHEN replace({rest}, '.', '') = '' "
        f"THEN length({rest}) + 1 END"
    )
    op.execute("UPDATE release SET status = 'withdrawn' WHERE status = 'inactive'")
    with op.batch_alter_table("release") as release:
        release.alter_column("complete", existing_type=sa.Boolean(), nullable=False)


def _create_files() -> None:
    op.create_table(
        "file",
        sa.Column("id", RowId, nullable=False),
        sa.Column("build_id", RowId, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("name_key", sa.String(length=700), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("is_primary", sa.Boolean(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("delta_from", sa.String(length=100), nullable=True),
        sa.Column("made_by", sa.String(length=10), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["build_id"], ["build.id"], name=op.f("fk_file_build_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["digest"], ["blob.digest"], name=op.f("fk_file_digest")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_file")),
        sa.UniqueConstraint("build_id", "name_key", name=op.f("uq_file_build_id_name_key")),
    )
    op.create_table(
        "file_signature",
        sa.Column("file_id", RowId, nullable=False),
        sa.Column("scheme", sa.String(length=10), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["file_id"], ["file.id"], name=op.f("fk_file_signature_file_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("file_id", "scheme", name=op.f("pk_file_signature")),
    )
    # The name that downloads carried so far. Of what an id or a version may hold, only `!` is no part of a file's name.
    name = (
        "ltrim(replace(release.application_id || '-' || release.version || '-' || build.platform || '-' || "
        "build.architecture, '!', '_'), '.-') || build.suffix"
    )
    kind = (
        "CASE WHEN lower(build.suffix) IN ('.exe', '.msi', '.msix', '.dmg', '.pkg', '.deb', '.rpm', '.pacman', "
        "'.appimage', '.apk') THEN 'installer' WHEN lower(build.suffix) IN ('.zip', '.7z') THEN 'archive' "
        "WHEN lower(build.suffix) = '.delta' THEN 'delta' WHEN lower(build.suffix) = '.blockmap' THEN 'blockmap' "
        "WHEN lower(build.suffix) = '.zsync' THEN 'zsync' ELSE 'other' END"
    )
    op.execute(
        "INSERT INTO file (build_id, name, name_key, kind, is_primary, digest, made_by, created_at) "
        f"SELECT build.id, {name}, lower({name}), {kind}, true, build.digest, 'developer', build.created_at "
        "FROM build JOIN release ON release.id = build.release_id WHERE build.digest IS NOT NULL ORDER BY build.id"
    )
    op.create_index("ix_file_digest", "file", ["digest"])


def _slim_builds() -> None:
    op.drop_index("ix_build_digest", "build")
    with op.batch_alter_table("build") as build:
        build.alter_column("checksum_type", existing_type=sa.String(length=10), nullable=True)
        build.alter_column("checksum", existing_type=sa.Text(), nullable=True)
    op.execute("UPDATE build SET checksum_type = NULL, checksum = NULL, size_bytes = NULL WHERE digest IS NOT NULL")
    with op.batch_alter_table("build") as build:
        build.drop_constraint(op.f("fk_build_digest"), type_="foreignkey")
        build.drop_column("digest")
        build.drop_column("suffix")


def _create_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", RowId, autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor_kind", sa.String(length=10), nullable=False),
        sa.Column("actor_name", sa.String(length=200), nullable=False),
        sa.Column("action", sa.String(length=50), nullable=False),
        sa.Column("application_id", sa.String(length=100), nullable=True),
        sa.Column("version", sa.String(length=100), nullable=True),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("after", sa.Text(), nullable=True),
        sa.Column("previous_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_application_id_id", "audit", ["application_id", "id"])
    op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("last_id", sa.BigInteger(), nullable=False),
        sa.Column("last_hash", sa.String(length=64), nullable=False),
        sa.Column("anchor_id", sa.BigInteger(), nullable=False),
        sa.Column("anchor_hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_head")),
    )


def downgrade() -> None:
    raise NotImplementedError("restore the backup made before the upgrade")
