"""Files of builds by their names: add a companion, sign a file, delete a companion."""

from __future__ import annotations

from typing import Any

from aiohttp import web

import updater.web.api.answer_schemas as answers
import updater.web.api.file_schemas as schemas
from updater.access.principals import Permission
from updater.catalog.files import FileKind, kind_of
from updater.catalog.requests import FileRequest, ReceivedFile
from updater.services import Services
from updater.web.api.targets import target_in_path
from updater.web.gate.context import CONTEXT
from updater.web.gate.metrics import Metrics
from updater.web.gate.routing import Contract, endpoint
from updater.web.messages.answers import json_answer
from updater.web.messages.links import Links
from updater.web.messages.parsing import load_values
from updater.web.transfer.published import added_file, file_id
from updater.web.transfer.upload_fields import FileQuery, given_signatures
from updater.web.transfer.uploads import receive_body

_QUERY = FileQuery()


class Files:
    """The files beside the primary one."""

    def __init__(self, services: Services, links: Links, metrics: Metrics) -> None:
        self._services = services
        self._companions = services.companions
        self._links = links
        self._count_received = metrics.received.inc

    @endpoint(
        Contract(
            "Upload a companion",
            Permission.WRITE,
            query=_QUERY,
            parses_itself=True,
            raw_body={"application/octet-stream": {"type": "string", "format": "binary"}},
            answers={200: schemas.FileAdded(), 201: schemas.FileAdded()},
            failures=(400, 404, 408, 409, 413, 415, 422, 507),
        )
    )
    async def upload_file(self, request: web.Request) -> web.Response:
        """Take the raw body as a further file of a build; the same bytes again change nothing."""
        path, query = request.match_info, load_values(_QUERY, dict(request.query))
        name = path["file_name"]
        kind = None if query["kind"] is None else FileKind(query["kind"])
        wanted = FileRequest(
            path["app_id"], path["version"], target_in_path(request), name, query["also"], query["draft"]
        )
        async with receive_body(
            request, self._services.artifacts, self._count_received, kind or kind_of(name)
        ) as staged:
            file = ReceivedFile(staged, name, query["checksum"], kind, given_signatures(query), query["delta_from"])
            build, stored, is_new = await self._companions.add(wanted, file, request[CONTEXT].actor)
        url = self._links.file_url(build, stored.name, self._links.download_origin(request))
        return json_answer(added_file(build, stored, url), 201 if is_new else 200)

    @endpoint(
        Contract(
            "Sign a file",
            Permission.WRITE,
            body=schemas.SignatureBody(),
            answers={200: schemas.FileSigned()},
            failures=(400, 404, 409, 413, 415, 422),
        )
    )
    async def sign_file(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        """Add signatures of a file; those that it has change nothing."""
        path = request.match_info
        _, stored, _ = await self._companions.sign(
            path["app_id"], path["version"], target_in_path(request), path["file_name"], body, request[CONTEXT].actor
        )
        answer = {
            "id": file_id(stored),
            "message": "File signed successfully",
            "file_name": stored.name,
            "signatures": sorted(stored.signatures),
        }
        return json_answer(answer)

    @endpoint(
        Contract("Delete a companion", Permission.WRITE, answers={200: answers.Deleted()}, failures=(404, 409, 422))
    )
    async def delete_file(self, request: web.Request) -> web.Response:
        """Delete a companion: of a draft with write access, else with admin access."""
        path, context = request.match_info, request[CONTEXT]
        _, stored, _ = await self._companions.delete(
            path["app_id"],
            path["version"],
            target_in_path(request),
            path["file_name"],
            context.actor,
            published_too=context.may(Permission.ADMIN, path["app_id"]),
        )
        return json_answer({"id": file_id(stored), "message": "File deleted successfully"})
