"""Hosted builds: upload a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from aiohttp import web

import updater.web.api.answer_schemas as answers
import updater.web.api.schemas as schemas
from updater.access.principals import Permission
from updater.catalog.files import kind_of, name_key, own_name
from updater.catalog.model import ReleaseStatus
from updater.catalog.requests import ReceivedFile
from updater.errors import Invalid
from updater.services import Services
from updater.web.gate.context import CONTEXT
from updater.web.gate.metrics import Metrics
from updater.web.gate.routing import Contract, endpoint
from updater.web.messages.answers import json_answer
from updater.web.messages.fields import shown
from updater.web.messages.links import Links
from updater.web.transfer.published import published_build
from updater.web.transfer.upload_fields import UploadFields, given_signatures, load_fields, request_of
from updater.web.transfer.uploads import NamedFile, receive_body, receive_form

_UPLOAD_FAILURES = (400, 404, 408, 409, 413, 415, 422, 507)
_FIELDS = UploadFields()


class Builds:
    """The two ways in."""

    FORM_FIELDS: ClassVar[frozenset[str]] = frozenset(_FIELDS.fields)

    def __init__(self, services: Services, links: Links, metrics: Metrics) -> None:
        self._services = services
        self._artifacts = services.artifacts
        self._links = links
        self._count_received = metrics.received.inc

    @endpoint(
        Contract(
            "Upload a build (form)",
            Permission.WRITE,
            raw_body={"multipart/form-data": schemas.UploadForm()},
            answers={200: answers.Uploaded(), 201: answers.Uploaded()},
            failures=_UPLOAD_FAILURES,
        )
    )
    async def upload_form(self, request: web.Request) -> web.Response:
        """Take a multipart form with the file, its companions and its fields, in any order."""
        received = receive_form(request, self._artifacts, self.FORM_FIELDS, self._count_received, companions=True)
        async with received as form:
            fields = load_fields(_FIELDS, form.fields)
            file, *companions = _signed((form.require_file(), *form.files), fields)
            return await self._publish(request, fields, file, companions)

    @endpoint(
        Contract(
            "Upload a build (raw body)",
            Permission.WRITE,
            query=schemas.UploadQuery(),
            parses_itself=True,
            raw_body={"application/octet-stream": {"type": "string", "format": "binary"}},
            answers={200: answers.Uploaded(), 201: answers.Uploaded()},
            failures=_UPLOAD_FAILURES,
        )
    )
    async def upload_body(self, request: web.Request) -> web.Response:
        """Take the raw body as the file; everything else is in the path and the query."""
        in_path = request.match_info
        if "signatures" in request.query:
            raise Invalid({"signatures": "is a field of forms; here minisign and ed25519 are those of the file"})
        given = {
            name: request.query[name] for name in request.query if name not in ("version", "platform", "file_name")
        }
        given |= {"version": in_path["version"], "platform": in_path["platform"], "architecture": in_path["arch"]}
        fields, name = load_fields(_FIELDS, given), request.query.get("file_name", "")
        async with receive_body(request, self._artifacts, self._count_received, kind_of(name)) as staged:
            (file,) = _signed((NamedFile(staged, name),), fields)
            return await self._publish(request, fields, file)

    async def _publish(
        self,
        request: web.Request,
        fields: dict[str, Any],
        file: ReceivedFile,
        companions: Sequence[ReceivedFile] = (),
    ) -> web.Response:
        wanted = request_of(request.match_info["app_id"], fields, self._services.rollouts)
        actor = request[CONTEXT].actor
        build, is_new = await self._services.publishing.publish(wanted, file, actor, companions)
        answer = published_build(build, self._links.download_url(build, self._links.download_origin(request)))
        return json_answer(answer, 201 if is_new or build.status is not ReleaseStatus.DRAFT else 200)


def _signed(files: Sequence[NamedFile], fields: dict[str, Any]) -> list[ReceivedFile]:
    """Give the files of an upload their signatures; the first is the build's own. Raises Invalid."""
    given: dict[str, dict[str, str]] = {}
    for name, each in fields["signatures"].items():
        _add_signatures(given.setdefault(name_key(own_name(name) or name), {}), each, name)
    described = []
    for number, (staged, name) in enumerate(files):
        signatures = given.pop(name_key(own_name(name) or name), {})
        if number == 0:
            _add_signatures(signatures, given_signatures(fields), name)
        checksum = fields["checksum"] if number == 0 else None
        described.append(ReceivedFile(staged, name, checksum, signatures=signatures))
    if given:
        raise Invalid({"signatures": f"no file of this form is called {', '.join(shown(each) for each in given)}"})
    return described


def _add_signatures(signatures: dict[str, str], further: Mapping[str, str], name: str) -> None:
    """Add signatures of a file to those that are known of it. Raises Invalid: one is given twice, with other texts."""
    for scheme, text in further.items():
        if signatures.setdefault(scheme, text) != text:
            raise Invalid({"signatures": f"gives two {scheme} signatures of {shown(name)}"})
