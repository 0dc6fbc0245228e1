"""Run migrations on the connection that `updater.database.schema` hands over."""

from alembic import context

from updater.database.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=False,  # the caller's transaction holds all revisions
    render_as_batch=True,
    compare_type=True,
)
context.run_migrations()
