"""What clients of feeds say in a query, as a marshmallow schema."""

from __future__ import annotations

from marshmallow import Schema, fields

import updater.web.messages.client_fields as client


class FeedQuery(Schema):
    """What any feed reads of its query; everything else is ignored."""

    current_version = client.Version(load_default="", in_query=True)
    local_version = fields.String(data_key="localVersion", load_default="")
    client_id = client.ClientId(load_default="")
    staging_id = fields.String(data_key="stagingId", load_default=None)
    allow_prerelease = client.Flag(load_default=False)
    manual = client.Flag(load_default=False)
