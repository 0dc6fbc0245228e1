"""The metadata of all tables, for what looks at every one of them.

A table is in the metadata once its module is imported: whoever takes it from here has them all.
"""

from __future__ import annotations

from updater.database import (
    deployment_tables,
    rollout_tables,
    tables,
    tuf_tables,
    upload_tables,
    webhook_tables,
)

MODULES = (tables, deployment_tables, rollout_tables, tuf_tables, upload_tables, webhook_tables)

metadata = tables.metadata
