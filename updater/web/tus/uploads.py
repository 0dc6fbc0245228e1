"""The handlers of uploads that resume."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from functools import partial
from typing import Any, Final

from aiohttp import web

import updater.web.tus.protocol as tus
from updater.access.limits import Traffic
from updater.access.principals import EVERYBODY, Permission
from updater.artifacts.partial_file import Piece
from updater.artifacts.partial_store import PartialUpload
from updater.catalog.model import Build, BuildFile
from updater.catalog.uploads import Sender, Wanted, find_refusal
from updater.services import Services
from updater.times import rfc3339
from updater.web.gate.context import CONTEXT
from updater.web.gate.credentials import authorize_again
from updater.web.gate.metrics import Metrics
from updater.web.gate.routing import Contract, endpoint
from updater.web.messages.answers import json_answer
from updater.web.messages.errors import answer_for
from updater.web.messages.links import Links
from updater.web.messages.parsing import require_identity
from updater.web.server.internals import take_buffered
from updater.web.transfer.published import added_file, published_build
from updater.web.transfer.uploads import receive_piece
from updater.web.transfer.wholeness import refuse_form
from updater.web.tus.schemas import UploadList, UploadState, wanted_of

_VERSION_TOLD: Final = {"Tus-Resumable": "`1.0.0`"}
_VERSION_SENT: Final = {"Tus-Resumable": "`1.0.0`, or it is 412"}
_ENDS: Final = {
    "Upload-Expires": "When the upload goes, if nothing more comes",
    "Upload-Result": "`published`, once it is: GET the upload for the answer",
}
_PIECE_BODY: Final = {tus.PIECE: {"type": "string", "format": "binary"}}
_CHECKSUM: Final = {"Upload-Checksum": "`sha1` or `sha256` of this body, and its value in base64"}


class Uploads:
    """Begin, look, send, end: each upload is told to who began it alone."""

    def __init__(self, services: Services, links: Links, metrics: Metrics) -> None:
        self._uploads = services.uploads
        self._rollouts = services.rollouts
        self._links = links
        self._count_received = metrics.received.inc

    @endpoint(Contract("What uploads that resume can do", answers={204: None}, traffic=Traffic.FREE))
    async def get_options(self, _: web.Request) -> web.Response:
        """Tell version, extensions, largest size and checksums of the protocol, in headers."""
        headers = {
            "Tus-Resumable": tus.VERSION,
            "Tus-Version": tus.VERSION,
            "Tus-Extension": tus.EXTENSIONS,
            "Tus-Max-Size": str(self._uploads.max_bytes),
            "Tus-Checksum-Algorithm": ",".join(tus.CHECKSUMS),
        }
        return web.Response(status=204, headers=headers)

    @endpoint(Contract("List own uploads", Permission.WRITE, answers={200: UploadList()}))
    async def list_uploads(self, request: web.Request) -> web.Response:
        """Tell the uploads that this key or person began, newest first, at most 1,000: to go on with one."""
        found = await self._uploads.list(_id_of(request))
        return json_answer({"uploads": [_state_of(each) for each in found]}, headers=_NEVER_KEPT)

    @endpoint(
        Contract(
            "Begin an upload",
            Permission.WRITE,
            raw_body=_PIECE_BODY,
            body_optional=True,
            answers={201: None},
            failures=(404, 408, 409, 412, 413, 415, 422, 423, 460, 507),
            headers={
                **_VERSION_SENT,
                "Upload-Length": "How many bytes the file has",
                "Upload-Metadata": "What the upload form says, as `key base64`, with commas between the pairs",
                **_CHECKSUM,
            },
            told={"Location": "The upload", **_VERSION_TOLD, "Upload-Offset": "With a body: how far it is", **_ENDS},
        )
    )
    async def create_upload(self, request: web.Request) -> web.Response:
        """Begin an upload; what can be told before the bytes come is refused now. A body is its first piece."""
        headers = request.headers
        tus.require_version(headers)
        has_piece = tus.has_piece(request)
        if has_piece:
            require_identity(request)
            tus.require_piece(headers)
        length = tus.read_length(headers)
        said = ",".join(headers.getall("Upload-Metadata", ()))
        given = tus.read_metadata(said)
        wanted, checksum = wanted_of(given, self._rollouts), tus.read_checksum(headers)
        sender = await self._sender(request, wanted)
        upload = await self._uploads.create(wanted, said, length, sender)
        told = {"Location": f"{tus.PREFIX}/{upload.id}"}
        if has_piece:
            upload = await self._append(request, upload, 0, checksum, wanted, sender)
            told["Upload-Offset"] = str(upload.offset_bytes)
        return web.Response(status=201, headers={**told, **_told(upload)})

    @endpoint(
        Contract(
            "Send a piece of an upload",
            Permission.WRITE,
            traffic=Traffic.PIECE,
            raw_body=_PIECE_BODY,
            body_optional=True,
            answers={204: None},
            failures=(404, 408, 409, 412, 413, 415, 422, 423, 460, 507),
            headers={**_VERSION_SENT, "Upload-Offset": "Where this piece begins", **_CHECKSUM},
            told={**_VERSION_TOLD, "Upload-Offset": "How far it is", **_ENDS},
        )
    )
    async def append_piece(self, request: web.Request) -> web.Response:
        """Append a piece; the last byte publishes. What publishing refuses is answered as it is to the upload form.

        What came of a piece that breaks off is kept, but for one with a checksum. An upload that has ended answers an
        empty piece at its end as it did.
        """
        headers = request.headers
        tus.require_version(headers)
        require_identity(request)
        tus.require_piece(headers)
        offset, checksum = tus.read_number(headers, "Upload-Offset"), tus.read_checksum(headers)
        upload = await self._uploads.get(request.match_info["upload_id"], _id_of(request))
        wanted = wanted_of(tus.read_metadata(upload.said), self._rollouts)
        sender = await self._sender(request, wanted)
        upload = await self._append(request, upload, offset, checksum, wanted, sender)
        return web.Response(status=204, headers={"Upload-Offset": str(upload.offset_bytes), **_told(upload)})

    @endpoint(
        Contract(
            "How far an upload is",
            Permission.WRITE,
            traffic=Traffic.PIECE,
            answers={200: None},
            failures=(404, 409, 412, 422, 423),
            headers=_VERSION_SENT,
            told={
                **_VERSION_TOLD,
                "Upload-Offset": "How far it is",
                "Upload-Length": "How many bytes the file has",
                "Upload-Metadata": "As it was sent",
                **_ENDS,
            },
        )
    )
    async def get_offset(self, request: web.Request) -> web.Response:
        """Tell how far an upload is, in headers. A piece that is still under way ends with it, and is kept.

        An upload that publishing refused is answered with that refusal.
        """
        tus.require_version(request.headers)
        upload = await self._uploads.look(request.match_info["upload_id"], _id_of(request))
        headers = {"Upload-Offset": str(upload.offset_bytes), "Upload-Length": str(upload.length_bytes)}
        if upload.said:
            headers["Upload-Metadata"] = upload.said
        return web.Response(headers={**headers, **_told(upload)})

    @endpoint(
        Contract(
            "What became of an upload",
            Permission.WRITE,
            traffic=Traffic.PIECE,
            answers={200: UploadState()},
            failures=(404,),
        )
    )
    async def get_upload(self, request: web.Request) -> web.Response:
        """Tell an upload as JSON: `result` is what the upload form answers, `error` why publishing refused it."""
        upload = await self._uploads.get(request.match_info["upload_id"], _id_of(request))
        return json_answer(_state_of(upload), headers=_NEVER_KEPT)

    @endpoint(
        Contract(
            "End an upload",
            Permission.WRITE,
            answers={204: None},
            failures=(404, 412, 423),
            headers=_VERSION_SENT,
            told=_VERSION_TOLD,
        )
    )
    async def delete_upload(self, request: web.Request) -> web.Response:
        """Forget an upload with its bytes, and what became of it. What it published stays."""
        tus.require_version(request.headers)
        await self._uploads.terminate(request.match_info["upload_id"], _id_of(request))
        return web.Response(status=204, headers={"Tus-Resumable": tus.VERSION})

    async def _sender(self, request: web.Request, wanted: Wanted) -> Sender:
        """Say who sends. Raises Forbidden: the credential does not open the application."""
        application_id = wanted.request.application_id
        await authorize_again(request, Permission.WRITE, application_id, fresh=False)
        require = partial(authorize_again, request, Permission.WRITE, application_id)
        return Sender(_id_of(request), request[CONTEXT].actor, require)

    async def _append(
        self,
        request: web.Request,
        upload: PartialUpload,
        offset: int,
        checksum: tuple[str, bytes] | None,
        wanted: Wanted,
        sender: Sender,
    ) -> PartialUpload:
        origin = self._links.download_origin(request)

        def render(build: Build, file: BuildFile | None) -> Mapping[str, Any]:
            if file is None:
                return published_build(build, self._links.download_url(build, origin))
            return added_file(build, file, self._links.file_url(build, file.name, origin))

        async with aclosing(receive_piece(request, self._count_received, take_buffered)) as chunks:
            bytes_of_file = refuse_form(chunks) if offset == 0 else chunks
            piece = Piece(offset, bytes_of_file, request.content_length, checksum)
            return await self._uploads.append(upload, piece, wanted, sender, render)


_NEVER_KEPT: Final = {"Cache-Control": "no-store"}


def _id_of(request: web.Request) -> str:
    return (request[CONTEXT].principal or EVERYBODY).id


def _told(upload: PartialUpload) -> dict[str, str]:
    """Say what every answer about an upload says, in headers."""
    headers = {"Tus-Resumable": tus.VERSION, **_NEVER_KEPT, "Upload-Expires": tus.http_date(upload.expires_at)}
    if upload.outcome is not None and "published" in upload.outcome:
        headers["Upload-Result"] = "published"
    return headers


def _state_of(upload: PartialUpload) -> dict[str, Any]:
    refusal = find_refusal(upload)
    answer = None if refusal is None else answer_for(refusal)
    error = None
    if answer is not None:
        error = {"status": answer.status, "code": answer.code, "message": answer.message, "details": answer.details}
        error |= {} if answer.fields is None else {"errors": answer.fields}
    return {
        "id": upload.id,
        "url": f"{tus.PREFIX}/{upload.id}",
        "state": "receiving" if upload.outcome is None else "published" if error is None else "refused",
        "offset": upload.offset_bytes,
        "length": upload.length_bytes,
        "metadata": tus.read_metadata(upload.said),
        "created_at": rfc3339(upload.created_at),
        "expires_at": rfc3339(upload.expires_at),
        "result": None if upload.outcome is None else upload.outcome.get("published"),
        "error": error,
    }
