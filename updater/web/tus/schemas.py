"""What Upload-Metadata carries, and what is told of an upload."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from marshmallow import Schema, fields

import updater.web.messages.fields as own
from updater.catalog.files import FileKind
from updater.catalog.platforms import Target
from updater.catalog.requests import FileRequest
from updater.catalog.uploads import Wanted
from updater.errors import Invalid
from updater.rollouts.service import RolloutService
from updater.web.transfer.upload_fields import UploadFields, given_signatures, load_fields, request_of

# What a release or a build has, and a companion has not.
_OF_BUILDS: Final = ("release_notes", "required", "minimum_version", "metadata", "channel", "rollout")


class SaidOfUpload(UploadFields):
    """The fields of the upload form, and what its path and its file part say there."""

    class Meta:
        """A form's map of signatures is for many files."""

        exclude = ("signatures",)

    application_id = own.ApplicationId(required=True)
    file_name = fields.String(load_default="")
    kind = own.OneOf("kind", tuple(each.value for each in FileKind), load_default=None)
    companion = own.QueryBoolean(load_default=False)
    delta_from = own.Text(max_bytes=100, load_default=None)


class UploadState(Schema):
    """An upload: how far it is, and what became of it."""

    id = fields.String(required=True)
    url = fields.String(required=True)
    state = fields.String(required=True, metadata={"enum": ["receiving", "published", "refused"]})
    offset = fields.Integer(required=True)
    length = fields.Integer(required=True)
    metadata = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    created_at = fields.DateTime(required=True)
    expires_at = fields.DateTime(required=True)
    result = fields.Dict(required=True, allow_none=True)
    error = fields.Dict(required=True, allow_none=True)


class UploadList(Schema):
    """The uploads of a key or person, newest first."""

    uploads = fields.List(fields.Nested(UploadState), required=True)


_SAID = SaidOfUpload()


def wanted_of(given: Mapping[str, str], rollouts: RolloutService) -> Wanted:
    """Say what an upload is to become. Raises Invalid: a field is wrong, missing, or does not go with the others."""
    loaded = load_fields(_SAID, given)
    problems = {}
    if loaded["companion"]:
        problems = {name: "is of a build; this is a companion" for name in _OF_BUILDS if name in given}
    elif loaded["delta_from"] is not None:
        problems = {"delta_from": "goes with companion=true"}
    if problems:
        raise Invalid(problems)
    about: dict[str, Any] = {
        "name": loaded["file_name"],
        "checksum": loaded["checksum"],
        "kind": None if loaded["kind"] is None else FileKind(loaded["kind"]),
        "signatures": given_signatures(loaded),
        "delta_from": loaded["delta_from"],
    }
    if not loaded["companion"]:
        return Wanted(request_of(loaded["application_id"], loaded, rollouts), **about)
    target = Target(loaded["platform"], loaded["architecture"])
    request = FileRequest(
        loaded["application_id"], loaded["version"], target, loaded["file_name"], loaded["also"], loaded["draft"]
    )
    return Wanted(request, **about)
