"""TUF repositories, as their publishers see them: targets first, then the metadata that names them."""

from __future__ import annotations

from contextlib import aclosing

from aiohttp import web
from marshmallow import Schema, fields

from updater.access.principals import Permission
from updater.errors import Invalid
from updater.services import Services
from updater.tuf.model import MAX_METADATA_BYTES, MAX_METADATA_FILES, MAX_PATH_NAMES, own_path, require_channel
from updater.web.gate.context import CONTEXT
from updater.web.gate.metrics import Metrics
from updater.web.gate.routing import Contract, endpoint
from updater.web.messages.answers import json_answer
from updater.web.messages.paths import find_path
from updater.web.transfer.uploads import receive_body, receive_small_files

_FAILURES = (400, 404, 408, 409, 413, 415, 422, 507)
_PART = "files"


class TufTarget(Schema):
    """A target is stored."""

    path = fields.String(required=True)
    sha256 = fields.String(required=True)
    size = fields.Integer(required=True)


class TufPublished(Schema):
    """Metadata files are visible, all of them at once."""

    published = fields.List(fields.String(), required=True)


class TufForm(Schema):
    """The whole form, for the OpenAPI document: the files are streamed past the schema."""

    files = fields.List(fields.Raw(metadata={"type": "string", "format": "binary"}), required=True)


class TufRepositories:
    """The two ways in: a target, and a set of metadata."""

    def __init__(self, services: Services, metrics: Metrics) -> None:
        self._publishing = services.tuf_publishing
        self._offers = services.offers
        self._artifacts = services.artifacts
        self._count_received = metrics.received.inc

    @endpoint(
        Contract(
            "Upload a TUF target",
            Permission.WRITE,
            raw_body={"application/octet-stream": {"type": "string", "format": "binary"}},
            answers={200: TufTarget(), 201: TufTarget()},
            failures=_FAILURES,
        )
    )
    async def put_target(self, request: web.Request) -> web.Response:
        """Take the raw body as a target: 201, or 200 when it has these bytes already.

        Raises:
            Invalid: the path is none, or the application has no such channel.
        """
        application_id, channel = self._repository(request)
        given = find_path(request, "path")
        path = None if given is None else own_path(given)
        if path is None:
            raise Invalid({"path": f"must be 1 to {MAX_PATH_NAMES} names of files, with slashes between them"})
        async with receive_body(request, self._artifacts, self._count_received) as staged:
            target, is_new = await self._publishing.put_target(
                application_id, channel, path, staged, request[CONTEXT].actor
            )
        answer = {"path": target.path, "sha256": target.digest, "size": target.size_bytes}
        return json_answer(answer, 201 if is_new else 200)

    @endpoint(
        Contract(
            "Publish TUF metadata",
            Permission.WRITE,
            raw_body={"multipart/form-data": TufForm()},
            answers={200: TufPublished()},
            failures=_FAILURES,
        )
    )
    async def publish_metadata(self, request: web.Request) -> web.Response:
        """Take a form with all changed files as parts `files`; they are visible together or not at all.

        What does not fit is 409 with `details.problems`, which says why by name.

        Raises:
            Invalid: the application has no such channel.
        """
        application_id, channel = self._repository(request)
        files = receive_small_files(
            request, _PART, self._count_received, most=MAX_METADATA_FILES, max_bytes=MAX_METADATA_BYTES
        )
        async with aclosing(files):
            published = await self._publishing.publish(application_id, channel, files, request[CONTEXT].actor)
        return json_answer({"published": published})

    def _repository(self, request: web.Request) -> tuple[str, str]:
        """Return application and channel of the path. Raises Invalid before a body is read that nobody takes."""
        application_id, channel = request.match_info["app_id"], request.match_info["channel"]
        require_channel(self._offers.get_application(application_id).channels, channel)
        return application_id, channel
