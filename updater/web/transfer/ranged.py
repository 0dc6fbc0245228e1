"""Send a stored file: conditional, ranged, resumable.

`artifacts.ranges` decides status and ranges; here that plan becomes headers and framing, and `wire` lets
the bytes leave. Rights and counting are the caller's.

Before the headers are out a failure is raised as `errors.Unavailable`. After that nothing is ever rendered:
the connection is cut, so the client sees fewer bytes than `Content-Length` promised, and `Sent` tells the
caller.
"""

from __future__ import annotations

import errno
import logging
import unicodedata
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote

from aiohttp import web

from updater.artifacts import ranges
from updater.artifacts.blobs import BlobStore
from updater.web.gate.context import begin
from updater.web.messages.pace import MIN_BYTES_PER_S, Pace
from updater.web.transfer.sources import Source, open_source
from updater.web.transfer.wire import READ_BYTES, Inspect, SourceBroken, Wire

IMMUTABLE: Final = "public, max-age=31536000, immutable"
"""The bytes behind a versioned URL never change (RFC 8246)."""
STALL_S: Final = 30.0
"""How long a client may accept nothing before its connection is cut."""

_log = logging.getLogger(__name__)

_SMALL_PART_BYTES: Final = 64 * 1024  # below, sharing one read and one write is cheaper than a sendfile each
_NETWORK_GONE: Final = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.ENOTCONN})
_DESCRIBES_FILE_ON_304: Final = frozenset({"vary", "expires", "content-location"})
_PRECONDITIONS: Final = ("If-Match", "If-Unmodified-Since")
_NEVER_SHOWN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_PLAIN_IN_NAME: Final = frozenset(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 !#$&'()+,-.;=@[]^_`{}~"
)
_ATTRIBUTE_CHARACTERS: Final = "!#$&+-.^_`|~"  # RFC 8187 section 3.2.1, beside letters and digits
_LONGEST_NAME: Final = 180


class Download(NamedTuple):
    """A stored file and the name it is offered under.

    `place` is the file itself, or the store that has the blob. `digest` is the lower-case hex SHA-256 of its
    `size_bytes` bytes. `modified_at` is aware; without it there is no `Last-Modified`, and the date conditions do
    not apply.
    """

    place: Path | BlobStore
    digest: str
    size_bytes: int
    file_name: str
    modified_at: datetime | None = None

    @property
    def etag(self) -> str:
        """The strong entity tag, with its quotes. Source: RFC 9110 section 8.8.3."""
        return f'"{self.digest}"'


class Ending(StrEnum):
    """How an answer ended."""

    NO_BODY = "no_body"  # HEAD, 304, 412, 416: nothing was to be sent
    COMPLETE = "complete"  # the kernel has every byte of the body
    LEFT = "left"  # the client went away
    STALLED = "stalled"  # the client accepted nothing for too long and was cut off
    SLOW = "slow"  # the client fell below the minimum rate and was cut off
    HANDED_OVER = "handed_over"  # nginx or the object store sends the body
    BROKEN = "broken"  # the file could not be read to its end, and the client was cut off


class Sent(NamedTuple):
    """What became of an answer.

    `body_bytes` counts the bytes of the body, multipart framing included, that the kernel took; of a body
    that was cut off behind TLS, those that were written. `reached_end` says that the body left completely
    and held the last byte of the file: true for one request of a resumed or parallel download, so it counts
    downloads.
    """

    ending: Ending = Ending.NO_BODY
    body_bytes: int = 0
    reached_end: bool = False


class DownloadResponse(web.StreamResponse):
    """A response whose body has left, or never will; `sent` tells which.

    `spans` are the pieces of the file that left in it; where somebody else sends the body, those that it asks for.
    """

    sent: Sent = Sent()
    spans: tuple[ranges.ByteRange, ...] = ()


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some framing, then a part of the file."""

    framing: bytes
    part: ranges.ByteRange

    @property
    def is_small(self) -> bool:
        return bool(self.framing) and self.part.count <= _SMALL_PART_BYTES


@dataclass(frozen=True, slots=True)
class _Body:
    pieces: tuple[_Piece, ...]
    closing: bytes = b""

    @property
    def size_bytes(self) -> int:
        return sum(len(piece.framing) + piece.part.count for piece in self.pieces) + len(self.closing)

    def spans_of(self, body_bytes: int) -> tuple[ranges.ByteRange, ...]:
        """Return the pieces of the file that the first so many bytes hold."""
        spans, left_bytes = [], body_bytes
        for piece in self.pieces:
            left_bytes -= len(piece.framing)
            spans.append(ranges.ByteRange(piece.part.start, min(piece.part.count, max(0, left_bytes))))
            left_bytes -= piece.part.count
        return tuple(span for span in spans if span.count)


async def send_file(
    request: web.Request,
    download: Download,
    *,
    cache_control: str = IMMUTABLE,
    headers: Mapping[str, str] | None = None,
    stall_s: float = STALL_S,
    inspect: Inspect | None = None,
) -> DownloadResponse:
    """Answer a GET or HEAD for `download`; return when the body has left, or never will.

    The handler returns the result as it is. `headers` go with 200 and 206; those set here win. A client that
    leaves, stalls or creeps raises nothing: see `DownloadResponse.sent`.
    Raises Unavailable, before anything was sent, when the file is missing, no regular file, of another size, or
    refused by `inspect` (see `wire.FileSource.open`).
    """
    plan = ranges.plan(request.method, request.headers, download.etag, download.size_bytes, download.modified_at)
    response = DownloadResponse(status=plan.status)
    body = _framed(plan, download)
    _describe(response, plan, download, headers or {})
    response.content_length = body.size_bytes  # removed again from a 304 by aiohttp
    response.headers["Cache-Control"] = cache_control if plan.status in (200, 206, 304) else "no-store"
    if not plan.ranges:
        begin(request, response)
        await response.prepare(request)
        return response
    wanted = () if request.method == "HEAD" else plan.ranges
    source = await open_source(download.place, download.digest, download.size_bytes, wanted, inspect)
    try:
        response.sent = await _deliver(request, response, body, source, stall_s)
    finally:
        await source.close()
    if response.sent.ending is Ending.COMPLETE:
        reached_end = any(part.stop == download.size_bytes for part in plan.ranges)
        response.sent = Sent(Ending.COMPLETE, body.size_bytes, reached_end)
    response.spans = body.spans_of(response.sent.body_bytes)
    return response


def prepare_offload(
    request: web.Request, download: Download, location: str, cache_control: str, headers: Mapping[str, str]
) -> DownloadResponse | None:
    """Answer with what nginx needs to send the file from its internal `location`; the handler returns it.

    None when nginx would do something else: nothing of the file is to be sent, the request's ranges are to be
    ignored, or it has a precondition, which nginx tests before it knows the entity tag given here. By that tag it
    decides about If-Range.
    Source: nginx, X-Accel-Redirect in ngx_http_proxy_module.
    """
    plan = ranges.plan(request.method, request.headers, download.etag, download.size_bytes, download.modified_at)
    asked = request.headers
    if not plan.ranges or (plan.status == 200 and "Range" in asked) or any(name in asked for name in _PRECONDITIONS):
        return None
    response = DownloadResponse(status=200)
    _describe(response, ranges.Plan(200, (ranges.ByteRange(0, download.size_bytes),)), download, headers)
    response.headers["Cache-Control"] = cache_control
    if plan.status == 200:
        # nginx adds its own to whole files, and keeps ours where it sends ranges.
        del response.headers["Accept-Ranges"]
    response.headers["X-Accel-Redirect"] = location
    response.content_length = 0
    reached_end = any(part.stop == download.size_bytes for part in plan.ranges)
    response.sent = Sent(Ending.HANDED_OVER, 0, reached_end)
    response.spans = plan.ranges
    return response


async def _deliver(
    request: web.Request, response: DownloadResponse, body: _Body, source: Source, stall_s: float
) -> Sent:
    try:
        begin(request, response)
        await response.prepare(request)
    except ConnectionError:
        return Sent(Ending.LEFT)
    if request.method == "HEAD":
        return Sent()
    if request.transport is None:
        return Sent(Ending.LEFT)
    wire = Wire(request, response, request.transport)
    try:
        await wire.watch(_pour(body, source, wire), stall_s, Pace(request.app.get(MIN_BYTES_PER_S, 0)))
    except BaseException as error:
        handed_bytes = min(wire.handed_bytes(), body.size_bytes)
        ending = _ending(error, wire)
        wire.abort()
        if ending is None:
            raise
        if ending is Ending.BROKEN:
            _log.error("download cut off after %d bytes, the stored file failed: %s", handed_bytes, error)
        return Sent(ending, handed_bytes)
    return Sent(Ending.COMPLETE)


def _ending(error: BaseException, wire: Wire) -> Ending | None:
    """Tell what a failed body means; None for what is no business of a download, such as a cancellation."""
    if isinstance(error, SourceBroken):
        return Ending.BROKEN
    if isinstance(error, OSError):  # TimeoutError too: the watch's, or the kernel's ETIMEDOUT
        if wire.stalled:
            return Ending.SLOW if wire.crept else Ending.STALLED
        gone = isinstance(error, ConnectionError | TimeoutError) or error.errno in _NETWORK_GONE
        return Ending.LEFT if gone else Ending.BROKEN
    return None


async def _pour(body: _Body, source: Source, wire: Wire) -> None:
    for group in _grouped(body.pieces):
        if group[0].is_small:
            contents = await source.read([piece.part for piece in group])
            pairs = zip(group, contents, strict=True)
            await wire.write(b"".join(piece.framing + content for piece, content in pairs))
        else:
            if group[0].framing:
                await wire.write(group[0].framing)
            await source.send(group[0].part, wire)
    if body.closing:
        await wire.write(body.closing)
    await wire.flush()


def _grouped(pieces: tuple[_Piece, ...]) -> Iterator[list[_Piece]]:
    """Gather neighbouring small pieces up to the size of one read; a large piece stays alone."""
    group: list[_Piece] = []
    gathered_bytes = 0
    for piece in pieces:
        if group and (not piece.is_small or gathered_bytes + piece.part.count > READ_BYTES):
            yield group
            group, gathered_bytes = [], 0
        group.append(piece)
        gathered_bytes += piece.part.count
        if not piece.is_small:
            yield group
            group, gathered_bytes = [], 0
    if group:
        yield group


def _framed(plan: ranges.Plan, download: Download) -> _Body:
    """Put the framing of multipart/byteranges around several ranges; one range, or none, goes bare.

    The body begins with CRLF: zsync 0.6.2 loops for ever when it begins with the boundary.
    Source: RFC 9110 section 14.6, RFC 2046 section 5.1.1.
    """
    if len(plan.ranges) < 2:
        return _Body(tuple(_Piece(b"", part) for part in plan.ranges))
    delimiter = f"\r\n--{_boundary(download)}"
    pieces = []
    for part in plan.ranges:
        content_range = _content_range(part, download.size_bytes)
        lines = f"{delimiter}\r\nContent-Type: application/octet-stream\r\nContent-Range: {content_range}\r\n\r\n"
        pieces.append(_Piece(lines.encode("ascii"), part))
    return _Body(tuple(pieces), f"{delimiter}--\r\n".encode("ascii"))


def _boundary(download: Download) -> str:
    # Half of the digest: the same for every answer, and no file can be made to hold it.
    return download.digest[:32]


def _content_range(part: ranges.ByteRange, size_bytes: int) -> str:
    return f"bytes {part.start}-{part.stop - 1}/{size_bytes}"


def _describe(response: DownloadResponse, plan: ranges.Plan, download: Download, extra: Mapping[str, str]) -> None:
    """Set the headers that do not depend on the length of the body."""
    sends_file = plan.status in (200, 206)
    for name, value in extra.items():
        if name.lower() != "content-encoding" and (
            sends_file or (plan.status == 304 and name.lower() in _DESCRIBES_FILE_ON_304)
        ):
            response.headers[name] = value
    own = {
        "ETag": download.etag,
        "Accept-Ranges": "bytes",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    if plan.status == 416:
        own["Content-Range"] = f"bytes */{download.size_bytes}"
    if sends_file:
        own["Content-Type"] = "application/octet-stream"
        own["Content-Disposition"] = content_disposition(download.file_name)
        own["Repr-Digest"] = f"sha-256=:{b64encode(bytes.fromhex(download.digest)).decode('ascii')}:"
        if download.modified_at is not None:
            own["Last-Modified"] = format_datetime(download.modified_at.astimezone(UTC), usegmt=True)
    if len(plan.ranges) > 1:
        own["Content-Type"] = f"multipart/byteranges; boundary={_boundary(download)}"
    elif plan.status == 206:
        own["Content-Range"] = _content_range(plan.ranges[0], download.size_bytes)
    response.headers.update(own)


def content_disposition(file_name: str) -> str:
    """Offer `file_name`, whatever it holds, as the name to save a download under.

    Path separators and characters that are never shown (control, bidirectional, unassigned) become `_`. A name of
    printable ASCII has the plain form alone, which naive clients can read; only one that needs more also has the
    extended form, which carries it as UTF-8.
    Source: RFC 6266 section 4, RFC 8187 section 3.2.
    """
    shown = "".join(
        "_" if character in "/\\" or unicodedata.category(character) in _NEVER_SHOWN else character
        for character in file_name
    )
    name = shown[-_LONGEST_NAME:].strip(" .") or "download"
    plain = "".join(character if character in _PLAIN_IN_NAME else "_" for character in name)
    extended = "" if plain == name else f"; filename*=UTF-8''{quote(name, safe=_ATTRIBUTE_CHARACTERS)}"
    return f'attachment; filename="{plain}"{extended}'
