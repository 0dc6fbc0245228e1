"""What clients ask, and what explains it: the queries of checks, as marshmallow schemas."""

from __future__ import annotations

from marshmallow import fields

import updater.web.messages.client_fields as client
import updater.web.messages.fields as own
from updater.web.messages.schemas import Lenient


class Asking(Lenient):
    """What a client says of itself beside its question."""

    client_id = client.ClientId(load_default=None, allow_none=True)
    channel = client.AskedChannel(load_default=None, allow_none=True)
    manual = client.Flag(load_default=False)


class StagingQuery(Asking):
    """The same in a query, where Velopack gives its own id."""

    staging_id = fields.String(data_key="stagingId", load_default=None)


class CheckQuery(StagingQuery):
    """The query of an update check."""

    current_version = client.Version(required=True, in_query=True)
    platform = client.platform(required=True)
    architecture = client.architecture(required=True)
    allow_prerelease = own.QueryBoolean(load_default=False)
    include_metadata = own.QueryBoolean(load_default=False)


class ExplainQuery(CheckQuery):
    """The query of a check, and for whom it is explained."""

    address = fields.String(load_default=None)
    at = fields.String(load_default=None)
