"""What the REST API takes and answers about files of builds and drafts."""

from __future__ import annotations

import re
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from updater.catalog.platforms import ARCHITECTURES, PLATFORMS
from updater.web.messages.plans import PlanValue
from updater.web.messages.rollout_schemas import ReasonBody
from updater.web.transfer.upload_fields import Signatures

MOST_REQUIRED = 1_000
_REQUIRED = re.compile(rf"(?:{'|'.join(PLATFORMS)})/(?:{'|'.join(ARCHITECTURES)})(?:/[^/]+)?")


class SignatureBody(Signatures):
    """Signatures that are added to a file."""

    def load(self, data: Any, **kwargs: Any) -> Any:
        """Check as ever, and refuse an empty object."""
        loaded = super().load(data, **kwargs)
        if not loaded:
            raise ValidationError({"minisign": ["Missing data for required field; or give ed25519"]})
        return loaded


class Required(fields.String):
    """A target, or a file of one: `windows/amd64`, `darwin/arm64/App.zip`."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        if _REQUIRED.fullmatch(text) is None:
            raise ValidationError("expected platform/architecture or platform/architecture/file name")
        return text


class PublishBody(ReasonBody):
    """How a draft goes live."""

    require = fields.List(Required(), validate=validate.Length(max=MOST_REQUIRED), load_default=list)
    rollout = PlanValue(load_default=None)


class FileAdded(Schema):
    """A companion as it is stored."""

    id = fields.String(required=True)
    message = fields.String(required=True)
    version = fields.String(required=True)
    platform = fields.String(required=True)
    architecture = fields.String(required=True)
    file_name = fields.String(required=True)
    kind = fields.String(required=True)
    checksum = fields.String(required=True)
    checksum_type = fields.String(required=True)
    file_size = fields.Integer(required=True)
    download_url = fields.String(required=True)
    created_at = fields.DateTime(required=True)
    status = fields.String(required=True)


class FileSigned(Schema):
    """The schemes of the signatures that a file has."""

    id = fields.String(required=True)
    message = fields.String(required=True)
    file_name = fields.String(required=True)
    signatures = fields.List(fields.String(), required=True)


class FileItem(Schema):
    """A file in the listing of releases."""

    name = fields.String(required=True)
    kind = fields.String(required=True)
    primary = fields.Boolean(required=True)
    size = fields.Integer(required=True)
    sha256 = fields.String(required=True)
    sha512 = fields.String(required=True, allow_none=True)
    sha1 = fields.String(required=True, allow_none=True)
    signatures = fields.List(fields.String(), required=True)
    delta_from = fields.String(required=True, allow_none=True)
    made_by = fields.String(required=True)
    download_url = fields.String(required=True)
    created_at = fields.DateTime(required=True)


class ReleasePublished(Schema):
    """A release that is live, with the numbers of its builds and files, and what each target's feeds say of it."""

    version = fields.String(required=True)
    message = fields.String(required=True)
    status = fields.String(required=True)
    published_at = fields.DateTime(required=True)
    builds = fields.Integer(required=True)
    files = fields.Integer(required=True)
    feeds = fields.Dict(keys=fields.String(), values=fields.Dict(keys=fields.String(), values=fields.String()))


class ReleaseDeleted(Schema):
    """A release that is gone."""

    version = fields.String(required=True)
    message = fields.String(required=True)
