"""Large files on their way up: in pieces, by tus 1.0.0, so that a cut, a restart or Ctrl-C costs one piece at most.

Nothing is remembered here. The server lists what this key began, and an upload that says the same of the same bytes is
gone on with: by the next run, on this machine or on another one.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

from updater_client.answers import read_error
from updater_client.errors import BadAnswer, UpdateError
from updater_client.model import Progress
from updater_client.retry import Attempts
from updater_client.transport import Transport
from updater_client.upload import Snapshot, piece_body

RESUMES_FROM_BYTES: Final = 16 << 20
"""Smaller files are sent whole: one request is quicker, and soon repeated."""
PIECE_BYTES: Final = 8 << 20
_MOST_HEADER_CHARACTERS: Final = 30_000
_TUS: Final = {"Tus-Resumable": "1.0.0"}
_LOCKED: Final = 423


async def send_resumably(
    transport: Transport, said: Mapping[str, str], snapshot: Snapshot, progress: Progress | None
) -> Mapping[str, Any] | None:
    """Send a file in pieces, from where an earlier run stopped; return what the server answers once it is published.

    `said` is what goes with the file, without what is empty.

    Returns:
        None when it has to go whole: the server is too old, or more is said of the file than headers hold.

    Raises:
        UpdateError: the server refuses, or stays away. FileChanged: the file was written to. OSError: it is gone.
    """
    metadata = ",".join(f"{name} {base64.b64encode(text.encode()).decode()}" for name, text in said.items() if text)
    if len(metadata) > _MOST_HEADER_CHARACTERS:
        return None
    return await _Sending(transport, {name: text for name, text in said.items() if text}, snapshot, progress).run(
        metadata
    )


class _Sending:
    def __init__(
        self, transport: Transport, said: Mapping[str, str], snapshot: Snapshot, progress: Progress | None
    ) -> None:
        self._transport = transport
        self._said = said
        self._snapshot = snapshot
        self._progress = progress

    async def run(self, metadata: str) -> Mapping[str, Any] | None:
        attempts, path, reached = self._transport.attempts(), "", 0
        while True:
            try:
                if not path:
                    found = await self._find()
                    if found is None:
                        return None
                    path = found or await self._begin(metadata)
                offset = await self._offset(path)
                while True:
                    if offset > reached:  # a cut piece brings it further, too
                        attempts.forget()
                        reached = offset
                    if offset == self._snapshot.size_bytes:
                        break
                    offset = await self._send(path, offset)
                return await self._result(path)
            except UpdateError as error:
                path = await self._pause(attempts, error, path)

    async def _pause(self, attempts: Attempts, error: UpdateError, path: str) -> str:
        """Wait before the next attempt; return the upload to go on with, or an empty text when it is gone.

        Raises:
            UpdateError: it is final.
        """
        if error.code == "TAKEN_OVER" or (error.status == 409 and "offset" in error.details):
            error.status = _LOCKED  # another run sends the same: whoever comes first, both will be told that it is done
        elif error.status == 404 and path:
            error.status, path = 503, ""  # it expired, or its bytes went with their machine
        await attempts.pause(error)
        return path

    async def _find(self) -> str | None:
        """Return the path of an upload to go on with; empty: there is none; None: the server knows no uploads."""
        try:
            answer = await self._transport.call_once("GET", "/uploads")
        except UpdateError as error:
            if error.status in (404, 405):
                return None
            raise
        same = [
            each
            for each in answer.get("uploads", ())
            if (each.get("state"), each.get("length")) == ("receiving", self._snapshot.size_bytes)
            and each.get("metadata") == self._said
        ]
        furthest = max(same, key=lambda each: int(each.get("offset", 0)), default=None)
        return "" if furthest is None else _path(str(furthest.get("id", "")))

    async def _begin(self, metadata: str) -> str:
        headers = {**_TUS, "Upload-Length": str(self._snapshot.size_bytes), "Upload-Metadata": metadata}
        told = await self._transport.tell("POST", "/uploads", headers)
        return _path(told.get("Location", "").rpartition("/")[2])

    async def _offset(self, path: str) -> int:
        try:
            return _number(await self._transport.tell("HEAD", path, _TUS))
        except UpdateError as error:
            if error.status in (409, 422):  # what was refused is told there too, but HEAD has no words
                await self._result(path)
            raise

    async def _send(self, path: str, offset: int) -> int:
        size = min(PIECE_BYTES, self._snapshot.size_bytes - offset)
        headers = {**_TUS, "Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
        body = piece_body(self._snapshot, offset, size, self._progress)
        return _number(await self._transport.tell("PATCH", path, headers, body))

    async def _result(self, path: str) -> Mapping[str, Any]:
        """Return what the server answers of a published file. Raises UpdateError: it was refused."""
        told = await self._transport.call_once("GET", path)
        refused = told.get("error")
        if isinstance(refused, dict):
            raise read_error(int(refused.get("status", 0)), refused, "")
        result = told.get("result")
        if not isinstance(result, dict):
            raise BadAnswer("the server has all bytes, and does not say what became of them")
        return result


def _path(upload_id: str) -> str:
    if not upload_id.isalnum():
        raise BadAnswer("the server began an upload without an address")
    return f"/uploads/{upload_id}"


def _number(headers: Mapping[str, str]) -> int:
    text = headers.get("Upload-Offset", "")
    if not (text.isascii() and text.isdigit()):
        raise BadAnswer("the server does not say how far the upload is")
    return int(text)
