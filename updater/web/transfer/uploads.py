"""Streamed uploads: a multipart form or a raw body, straight into the content store.

aiohttp bounds neither the parts nor the bytes of a multipart body, so both are counted here; how long it may take
is `updater.web.messages.pace`'s.
"""

from __future__ import annotations

import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple
from urllib.parse import unquote

from aiohttp import (
    BadContentDispositionHeader,
    BadContentDispositionParam,
    BodyPartReader,
    HttpVersion11,
    MultipartReader,
    StreamReader,
    web,
)

from updater.artifacts.received import Received
from updater.artifacts.service import ArtifactService
from updater.catalog.files import MAX_FILES, FileKind, further_digest, kind_of, own_name
from updater.errors import Invalid, Malformed, TooLarge, UnsupportedContent
from updater.web.messages.fields import shown
from updater.web.messages.pace import Arrival, receive_at_most
from updater.web.messages.parsing import reading, require_identity
from updater.web.transfer.wholeness import (
    require_file_kind,
    require_no_digest,
    require_no_piece,
    require_readable,
    require_unicode,
    whole_file,
)

# A part's header that cannot be read names nothing, and is refused for that. The warnings of aiohttp would quote it on
# standard error, and be remembered for each text.
for _category in (BadContentDispositionHeader, BadContentDispositionParam):
    warnings.filterwarnings("ignore", category=_category)

MAX_PARTS = 64
MAX_FIELD_BYTES = 64 * 1024
READ_BYTES = 64 * 1024  # what a check may wait for, with each upload that goes on beside it
# Multipart framing and the other fields beside the file, when Content-Length is held against the limit.
_FORM_OVERHEAD_BYTES = 2 * 1024 * 1024


class NamedFile(NamedTuple):
    """A staged file, and the name that its part has."""

    staged: Received
    name: str


@dataclass
class Form:
    """A received form: its text fields, the staged file of the part `file`, and those of the parts `files`."""

    fields: dict[str, str] = field(default_factory=dict)
    file: NamedFile | None = None
    files: list[NamedFile] = field(default_factory=list)

    def require_file(self) -> NamedFile:
        """Return the file of the part `file`. Raises Invalid when there was none."""
        if self.file is None:
            raise Invalid({"file": "Missing data for required field"})
        return self.file


async def delay_continue(request: web.Request) -> None:
    """Answer `Expect: 100-continue` only once the gate has let the request in and its headers were looked at.

    Raises:
        HTTPExpectationFailed: it expects anything else; HTTP/1.0 cannot expect anything.
    Source: RFC 9110 section 10.1.1; the expect handler of an aiohttp route.
    """
    if request.version >= HttpVersion11 and request.headers.get("Expect", "").lower() != "100-continue":
        raise web.HTTPExpectationFailed


async def _welcome(request: web.Request) -> None:
    """Tell a client that waits for it to send the body now; others, such as those of HTTP/1.0, are told nothing.

    Source: RFC 9110 sections 10.1.1 and 15.2.1.
    """
    if request.version >= HttpVersion11 and request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")


@asynccontextmanager
async def receive_form(
    request: web.Request,
    artifacts: ArtifactService,
    allowed: Collection[str],
    count: Callable[[int], None],
    *,
    companions: bool = False,
    admit: tuple[str, Callable[[str], None]] | None = None,
) -> AsyncIterator[Form]:
    """Stream a multipart form with exactly one file part named `file`, in any order.

    With `companions` there may be further file parts, all named `files`. With `admit` the first part must be the field
    of this name, and is judged before anything else is looked at; what judges it raises to refuse the form.

    What was staged and not placed when the block ends is discarded. `count` is told the file's bytes as they come.

    Raises:
        UnsupportedContent: not multipart/form-data, or an encoded body. TooLarge, TooSlow.
        Malformed: no form, a piece of one, or it has no end. Invalid: a field twice, an unknown field, a field too
        large, a file without a name or a byte, too many files. Also what `wholeness` raises.
    """
    _require_form(request)
    most_files = MAX_FILES if companions else 1
    await _require_size(request, artifacts, most_files * artifacts.max_bytes + _FORM_OVERHEAD_BYTES)
    await _welcome(request)
    async with AsyncExitStack() as stack:
        form, arrival = Form(), _arrival_of(request)
        with reading():
            reader = await request.multipart()
            for _ in range(MAX_PARTS + 1):
                part = _require_plain(await arrival.wait(partial(_next_part, reader)))
                if part is None:
                    break
                if admit is not None:
                    admitted, admit = await _take_first(part, *admit, arrival), None
                    form.fields |= admitted
                    continue
                if part.name != "file" and not (companions and part.name == "files"):
                    await _take_field(part, form, allowed, arrival)
                    continue
                name = _require_file_name(part, part.name)
                _require_place(part.name, form)
                chunks = _chunks(arrival, partial(part.read_chunk, READ_BYTES), count)
                received = artifacts.receive(whole_file(chunks, part.headers), further_digest(kind_of(name)))
                taken = NamedFile(await stack.enter_async_context(received), name)
                if part.name == "file":
                    form.file = taken
                else:
                    form.files.append(taken)
            else:
                raise Malformed(f"The form has more than {MAX_PARTS} parts")
        yield form


async def receive_small_files(
    request: web.Request, part_name: str, count: Callable[[int], None], *, most: int, max_bytes: int
) -> AsyncGenerator[tuple[str, bytes]]:
    """Yield the name and the bytes of each file of a multipart form, all of them parts called `part_name`, in order.

    A name is what `own_name` makes of the one given, and is there once. There are 1 to `most` files, each of at most
    `max_bytes` bytes; one after the other is held in memory.

    Raises:
        UnsupportedContent: not multipart/form-data, or an encoded body. TooLarge: one of them. TooSlow.
        Malformed: no form, a piece of one, or it has no end. Invalid: another part, a text in place of a file, a name
        that is none or is there twice, no file or too many. Also what `wholeness` raises.
    """
    _require_form(request)
    await _welcome(request)
    arrival, names = _arrival_of(request), set[str]()
    with reading():
        reader = await request.multipart()
        while (part := _require_plain(await arrival.wait(partial(_next_part, reader)))) is not None:
            if part.name != part_name:
                raise Invalid({shown(part.name or "") or "form": f"unknown field; expected {part_name}"})
            if len(names) == most:
                raise Invalid({part_name: f"more than {most} files"})
            given = _require_file_name(part, part_name)
            name = own_name(given)
            if name is None:
                raise Invalid({part_name: f"{shown(given)} is not the name of a file"})
            if name in names:
                raise Invalid({part_name: f"{shown(name)} is there more than once"})
            names.add(name)
            body = bytearray()
            async for chunk in whole_file(_chunks(arrival, partial(part.read_chunk, READ_BYTES), count), part.headers):
                body += chunk
                if len(body) > max_bytes:
                    raise TooLarge(f"{shown(name)} is larger than {max_bytes} bytes", details={"max_bytes": max_bytes})
            yield name, bytes(body)
    if not names:
        raise Invalid({part_name: "Missing data for required field"})


@asynccontextmanager
async def receive_body(
    request: web.Request, artifacts: ArtifactService, count: Callable[[int], None], kind: FileKind = FileKind.OTHER
) -> AsyncIterator[Received]:
    """Stream the raw body of a file of this kind. Discarded when the block ends and it was not placed.

    Raises:
        TooLarge, TooSlow. UnsupportedContent, Malformed, Invalid, DigestMismatch: see `wholeness`.
    """
    require_identity(request)
    require_file_kind(request.headers)
    await _require_size(request, artifacts, artifacts.max_bytes)
    await _welcome(request)
    async with AsyncExitStack() as stack:
        with reading():
            chunks = _chunks(_arrival_of(request), request.content.readany, count)
            received = artifacts.receive(whole_file(chunks, request.headers), further_digest(kind))
            staged = await stack.enter_async_context(received)
        yield staged


async def receive_piece(
    request: web.Request, count: Callable[[int], None], left_over: Callable[[StreamReader], bytes]
) -> AsyncGenerator[bytes]:
    """Yield the raw body of a piece of a file as it comes; of one that breaks off everything that came.

    `left_over` takes what arrived of a body and cannot be read from it any more.

    Raises:
        TooSlow, Malformed: as `reading`, for what comes then. ConnectionError: the client is gone.
    """
    await _welcome(request)
    arrival = _arrival_of(request)
    try:
        with reading():
            async for chunk in _chunks(arrival, request.content.readany, count):
                yield chunk
    except Exception:
        rest = left_over(request.content)
        if rest:
            count(len(rest))
            yield rest
        raise


def _require_form(request: web.Request) -> None:
    """Refuse what is no whole form. Raises UnsupportedContent, Malformed."""
    require_identity(request)
    require_no_piece(request.headers)
    require_no_digest(request.headers)
    require_readable(request.headers)
    if request.content_type != "multipart/form-data":
        raise UnsupportedContent("Content-Type must be multipart/form-data")


async def _next_part(reader: MultipartReader) -> MultipartReader | BodyPartReader | None:
    try:
        return await reader.next()
    except RuntimeError:  # the part `_charset_`, which aiohttp reads itself, names none
        raise Malformed("The form's _charset_ cannot be read") from None


def _arrival_of(request: web.Request) -> Arrival:
    """Read the body in large pieces: small ones cost an upload most of its speed."""
    receive_at_most(request.transport, READ_BYTES)
    request.content.set_read_chunk_size(READ_BYTES)
    return Arrival(request)


async def _take_first(
    part: BodyPartReader, name: str, judge: Callable[[str], None], arrival: Arrival
) -> dict[str, str]:
    """Take the field that must come first. Raises Invalid: another one came; what `judge` raises."""
    form = Form()
    if part.name != name or part.filename is not None:
        raise Invalid({name: "must be the first field"})
    await _take_field(part, form, (name,), arrival)
    judge(form.fields[name])
    return form.fields


async def _take_field(part: BodyPartReader, form: Form, allowed: Collection[str], arrival: Arrival) -> None:
    name = part.name or ""
    if name not in allowed:
        raise Invalid({shown(name) or "form": f"unknown field; expected file, {', '.join(sorted(allowed))}"})
    if name in form.fields:
        raise Invalid({name: "given more than once"})
    require_unicode(part.headers)
    raw = bytearray()
    async for chunk in _chunks(arrival, partial(part.read_chunk, READ_BYTES)):
        raw += chunk
        if len(raw) > MAX_FIELD_BYTES:
            raise Invalid({name: f"longer than {MAX_FIELD_BYTES} bytes"})
    try:
        form.fields[name] = raw.decode()
    except UnicodeDecodeError:
        raise Invalid({name: "not valid UTF-8"}) from None


def _decoded(sent: str) -> str:
    """Return the name of a part as its sender has it: many clients percent-encode it, and no file name holds a `%`.

    Source: the multipart form of the HTML standard (quotes), and what aiohttp and others do (all but letters).
    """
    try:
        return unquote(sent, errors="strict")
    except UnicodeDecodeError:
        return sent


def _require_plain(part: MultipartReader | BodyPartReader | None) -> BodyPartReader | None:
    if part is None:
        return None
    if not isinstance(part, BodyPartReader):
        raise Malformed("Nested multipart bodies are not supported")
    if "Content-Encoding" in part.headers:
        raise UnsupportedContent("Encoded form parts are not supported")
    require_file_kind(part.headers)
    return part


def _require_place(part_name: str, form: Form) -> None:
    """Refuse one file too many. Raises Invalid."""
    if part_name == "file" and form.file is not None:
        raise Invalid({"file": "given more than once"})
    if part_name == "files" and len(form.files) >= MAX_FILES - 1:
        raise Invalid({"file_name": f"a build has at most {MAX_FILES} files"})


def _require_file_name(part: BodyPartReader, field_name: str) -> str:
    name = part.filename
    if name is None:
        raise Invalid(
            {field_name: f"came as a text without a file name, not as a file (with curl: {field_name}=@PATH)"}
        )
    return _decoded(name)


async def _chunks(
    arrival: Arrival, read: Callable[[], Awaitable[bytes]], count: Callable[[int], None] = lambda _: None
) -> AsyncIterator[bytes]:
    """Yield what arrives until nothing more does. Raises TimeoutError: the client is silent, or too slow."""
    while chunk := await arrival.wait(read):
        count(len(chunk))
        yield chunk


async def _require_size(request: web.Request, artifacts: ArtifactService, limit: int) -> None:
    """Refuse a body that is too large, or for which there is no room, by what its header announces."""
    announced = request.content_length or 0
    if announced > limit:
        raise TooLarge(f"The request body is larger than {limit} bytes", details={"max_bytes": limit})
    await artifacts.require_room(announced)
