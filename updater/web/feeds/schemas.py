"""What clients of feeds say in a query or a body, as marshmallow schemas."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

import updater.web.messages.client_fields as client
from updater.web.messages.schemas import Lenient


class ToldVersion(client.Version):
    """A version that is baked into a client's address: what is none counts as not given."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(load_default="", in_query=True, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        try:
            return super()._deserialize(value, attr, data, **kwargs)
        except ValidationError:
            return ""


class FeedQuery(Schema):
    """What any feed reads of its query; everything else is ignored."""

    current_version = ToldVersion()
    local_version = ToldVersion(data_key="localVersion")
    client_id = client.ClientId(load_default="")
    staging_id = fields.String(data_key="stagingId", load_default=None)
    allow_prerelease = client.Flag(load_default=False)
    manual = client.Flag(load_default=False)


class SquirrelAnswer(Schema):
    """An update for Squirrel.Mac or MSIX."""

    url = fields.String(required=True)
    name = fields.String(required=True)
    notes = fields.String(required=True)
    pub_date = fields.DateTime(required=True)


class VelopackAsset(Schema):
    """A package for Velopack."""

    package_id = fields.String(required=True, data_key="PackageId")
    version = fields.String(required=True, data_key="Version")
    type = fields.String(required=True, data_key="Type")
    file_name = fields.String(required=True, data_key="FileName")
    sha1 = fields.String(required=True, data_key="SHA1")
    sha256 = fields.String(required=True, data_key="SHA256")
    size = fields.Integer(required=True, data_key="Size")
    notes_markdown = fields.String(required=True, data_key="NotesMarkdown")
    notes_html = fields.String(required=True, data_key="NotesHTML")


class VelopackAnswer(Schema):
    """The packages that Velopack chooses from."""

    assets = fields.List(fields.Nested(VelopackAsset), required=True, data_key="Assets")


class TauriQuery(FeedQuery):
    """The same, and how the client was bundled, such as `deb`."""

    bundle = fields.String(load_default=None)
    bundle_type = fields.String(load_default=None)


class TauriAnswer(Schema):
    """A newer release for a client of Tauri; `signature` is the base64 of the minisign file."""

    version = fields.String(required=True)
    url = fields.String(required=True)
    signature = fields.String(required=True)
    notes = fields.String(required=True)
    pub_date = fields.DateTime(required=True)
    required = fields.Boolean(required=True)


class TauriPlatform(Schema):
    """A file of the static answer."""

    url = fields.String(required=True)
    signature = fields.String(required=True)


class TauriLatestAnswer(Schema):
    """The newest release, by targets such as `linux-x86_64` and `windows-x86_64-nsis`."""

    version = fields.String(required=True)
    notes = fields.String(required=True)
    pub_date = fields.DateTime(required=True)
    platforms = fields.Dict(keys=fields.String(), values=fields.Nested(TauriPlatform), required=True)


class WingetQuery(FeedQuery):
    """The same, and of which version the manifest is asked for."""

    version = fields.String(data_key="Version", load_default=None)


class WingetMatch(Lenient):
    """A word, and how it is looked for."""

    key_word = fields.String(
        data_key="KeyWord", attribute="KeyWord", allow_none=True, validate=validate.Length(max=255)
    )
    match_type = fields.String(data_key="MatchType", attribute="MatchType", allow_none=True)


class WingetFieldMatch(Lenient):
    """What is looked for, and in which field."""

    field = fields.String(data_key="PackageMatchField", attribute="PackageMatchField", allow_none=True)
    match = fields.Nested(WingetMatch, data_key="RequestMatch", attribute="RequestMatch", allow_none=True)


def _matches(name: str) -> fields.List[Any]:
    nested = fields.Nested(WingetFieldMatch)
    return fields.List(nested, data_key=name, attribute=name, allow_none=True, validate=validate.Length(max=100))


class WingetSearchBody(Lenient):
    """A search. Source: `ManifestSearchRequestSchema` of the REST source's interface 1.4."""

    maximum = fields.Integer(data_key="MaximumResults", attribute="MaximumResults", allow_none=True)
    everything = fields.Boolean(data_key="FetchAllManifests", attribute="FetchAllManifests", allow_none=True)
    query = fields.Nested(WingetMatch, data_key="Query", attribute="Query", allow_none=True)
    inclusions = _matches("Inclusions")
    filters = _matches("Filters")
