"""What makes a key, and which rows of the audit are wanted, as marshmallow schemas: of the REST API and of pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import updater.web.messages.fields as own
from updater.settings import LEVELS
from updater.web.messages.schemas import Lenient, Strict

MAX_FILTER_BYTES = 800


class KeyBody(Strict):
    """A new key."""

    name = own.Name(required=True)
    level = own.OneOf("level", LEVELS, required=True)
    application = own.ApplicationId(allow_none=True, load_default=None)
    expires_at = own.Timestamp(allow_none=True, load_default=None)


class AuditQuery(Lenient):
    """Which rows; `before` is the id of the last row of the page before."""

    actor = own.Text(max_bytes=MAX_FILTER_BYTES)
    action = own.Text(max_bytes=200)
    subject = own.Text(max_bytes=MAX_FILTER_BYTES)
    application = own.ApplicationId()
    version = own.VersionText()
    since = own.Timestamp()
    until = own.Timestamp()
    before = own.QueryInteger(1, 10**18 - 1)
    limit = own.QueryInteger(1, 1_000, load_default=50)


def filters_of(query: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `AuditQuery` read, by the names of `operations.audits.build_filter`."""
    renamed = {"before": "before_id"}
    return {renamed.get(name, name): value for name, value in query.items() if name != "limit"}
