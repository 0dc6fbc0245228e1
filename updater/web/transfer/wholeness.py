"""Whether an uploaded body is a whole file: what headers say of it, what it looks like, and the digests they announce.

The same rules hold for a request with a raw body and for the file part of a form. What they cannot honour they
refuse, so that no piece, no form and nothing encoded is ever published as a file.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Final, NamedTuple

from aiohttp.helpers import parse_mimetype
from multidict import CIMultiDictProxy, MultiMapping

from updater.errors import DigestMismatch, Invalid, Malformed, UnsupportedContent
from updater.web.messages.fields import shown

# Headers of a piece of a file, each with the values that still say "all of it". Source: RFC 9110 section 14.5,
# draft-ietf-httpbis-resumable-upload, tus 1.0.
_PIECES: Final[Mapping[str, frozenset[str]]] = {
    "Content-Range": frozenset(),
    "X-Content-Range": frozenset(),
    "Tus-Resumable": frozenset(),
    "Upload-Offset": frozenset({"0"}),
    "Upload-Complete": frozenset({"?1"}),
    "Upload-Incomplete": frozenset({"?0"}),
}
_NO_FILES: Final = (
    "multipart/",
    "application/x-www-form-urlencoded",
    "application/offset+octet-stream",
    "application/partial-upload",
    "message/partial",
)
# Clients of S3 put a signature before each piece of a body, and do not always say so with `Content-Encoding`.
_FRAMED: Final = "X-Amz-Decoded-Content-Length"
_PLAIN_TRANSFER: Final = frozenset({"binary", "8bit", "7bit"})
_UNICODE: Final = frozenset({"", "utf-8", "utf8", "us-ascii", "ascii"})
# The names of Content-Digest and Repr-Digest (RFC 9530) and of Digest (RFC 3230), in lower case.
_HASHES: Final = {"sha-256": "sha256", "sha-512": "sha512", "sha": "sha1", "md5": "md5"}
_DIGESTS: Final = ("Content-Digest", "Repr-Digest", "Digest")
_ANNOUNCED: Final = ("Content-MD5", *_DIGESTS)
# `name=:base64:` of a structured field, or `name=base64` of the older header.
_MEMBER: Final = re.compile(r"\s*([A-Za-z0-9*_.-]+)=(:?)([A-Za-z0-9+/=_.-]*)\2\s*")
_FORM: Final = re.compile(rb"--[^\r\n]{1,70}\r\ncontent-disposition:\s*form-data", re.IGNORECASE)
_LOOKED_AT_BYTES: Final = 256


class _Digest(NamedTuple):
    header: str
    hash_name: str
    digest: bytes


def require_no_piece(headers: MultiMapping[str]) -> None:
    """Refuse what says of itself that it is a piece of something. Raises Malformed."""
    for name, whole in _PIECES.items():
        if any(value.strip() not in whole for value in headers.getall(name, ())):
            raise Malformed(f"{name}: pieces of a file are not taken; send the whole file in one request")


def require_readable(headers: MultiMapping[str]) -> None:
    """Refuse a body that is not the file's bytes as they are, and digests that come where they are not read.

    Source: Amazon S3, chunked uploads (each chunk with its signature); RFC 9110 section 6.5 (trailers).

    Raises:
        UnsupportedContent: signed chunks. Malformed: a digest behind the body.
    """
    if any(value.strip().upper().startswith("STREAMING-") for value in headers.getall("X-Amz-Content-Sha256", ())):
        raise UnsupportedContent("X-Amz-Content-Sha256: signed chunks are not taken; send the file's bytes as they are")
    behind = {name.strip().lower() for value in headers.getall("Trailer", ()) for name in value.split(",")}
    for name in _ANNOUNCED:
        if name.lower() in behind:
            raise Malformed(f"{name} is not read behind the body; send it before it")


def require_file_kind(headers: MultiMapping[str]) -> None:
    """Refuse what says of itself that it is a form, a piece, or encoded.

    Raises:
        Malformed: a piece. UnsupportedContent: no file, or not its very bytes.
    """
    require_no_piece(headers)
    require_readable(headers)
    for value in headers.getall("Content-Type", ()):
        if value.strip().lower().startswith(_NO_FILES):
            raise UnsupportedContent(
                f"Content-Type {shown(value)}: this is not the file itself; send its bytes as application/octet-stream"
            )
    if _FRAMED in headers:
        raise UnsupportedContent(f"{_FRAMED}: the body is signed in pieces; send the bytes of the file alone")
    for value in headers.getall("Content-Transfer-Encoding", ()):
        if value.strip().lower() not in _PLAIN_TRANSFER:
            raise UnsupportedContent("Content-Transfer-Encoding: only binary, 8bit and 7bit are taken")


def require_unicode(headers: MultiMapping[str]) -> None:
    """Refuse a text that says it is in another character set than UTF-8. Raises UnsupportedContent."""
    charset = parse_mimetype(headers.get("Content-Type", "")).parameters.get("charset", "")
    if charset.lower() not in _UNICODE:
        raise UnsupportedContent(f"The character set {shown(charset)} is not taken; send UTF-8")


def require_no_digest(headers: MultiMapping[str]) -> None:
    """Refuse digests of a whole form: they cover its framing too, and nothing checks them. Raises Malformed."""
    for name in _ANNOUNCED:
        if name in headers:
            raise Malformed(f"{name} of a whole form is not checked; send it with the part of the file")


class Announced:
    """The digests that headers announce of the bytes behind them; give it the bytes, then let it judge."""

    def __init__(self, headers: CIMultiDictProxy[str]) -> None:
        """Raises Malformed: a header cannot be read, or names no digest that can be checked."""
        self._wanted = [*_content_md5(headers), *_digest_fields(headers)]
        self._hashers = {each.hash_name: hashlib.new(each.hash_name, usedforsecurity=False) for each in self._wanted}

    def update(self, chunk: bytes) -> None:
        """Add the next bytes."""
        for hasher in self._hashers.values():
            hasher.update(chunk)

    def require(self) -> None:
        """Hold the bytes to every digest. Raises DigestMismatch, which names the header."""
        for each in self._wanted:
            if self._hashers[each.hash_name].digest() != each.digest:
                raise DigestMismatch({each.header: f"the received bytes have another {each.hash_name}"})


async def refuse_form(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the bytes of a file from its beginning on. Raises UnsupportedContent: it is a form, as its body is sent."""
    head = b""
    async for chunk in chunks:
        if len(head) < _LOOKED_AT_BYTES:
            head += chunk[:_LOOKED_AT_BYTES]
            if _FORM.match(head):
                raise UnsupportedContent("The body is a form; send it as multipart/form-data, or the file alone")
        yield chunk


async def whole_file(chunks: AsyncIterator[bytes], headers: CIMultiDictProxy[str]) -> AsyncIterator[bytes]:
    """Yield the bytes of a file, and hold them to what `headers` say of them.

    Raises:
        Malformed: see `Announced`, or another Content-Length (a form's part has one of its own). Invalid: it is empty.
        DigestMismatch. UnsupportedContent: it is a form.
    """
    announced, size_bytes = Announced(headers), 0
    async for chunk in refuse_form(chunks):
        announced.update(chunk)
        size_bytes += len(chunk)
        yield chunk
    if not size_bytes:
        raise Invalid({"file": "is empty"})
    if any(value.strip() != str(size_bytes) for value in headers.getall("Content-Length", ())):
        raise Malformed(f"Content-Length is not the number of bytes that came, {size_bytes}")
    announced.require()


def _content_md5(headers: MultiMapping[str]) -> Iterator[_Digest]:
    for value in headers.getall("Content-MD5", ()):
        yield _Digest("Content-MD5", "md5", _decoded("Content-MD5", value.strip(), "md5"))


def _digest_fields(headers: MultiMapping[str]) -> Iterator[_Digest]:
    for name in _DIGESTS:
        found: list[_Digest] = []
        members = [each for value in headers.getall(name, ()) for each in value.split(",")]
        for member in members:
            read = _MEMBER.fullmatch(member)
            if read is None or (name != "Digest") != bool(read[2]):
                raise _unreadable(name)
            hash_name = _HASHES.get(read[1].lower())
            if hash_name is not None:
                found.append(_Digest(name, hash_name, _decoded(name, read[3], hash_name)))
        if members and not found:
            raise Malformed(f"{name}: none of its digests can be checked; send sha-256")
        yield from found


def _decoded(name: str, text: str, hash_name: str) -> bytes:
    try:
        digest = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _unreadable(name) from None
    if len(digest) != hashlib.new(hash_name, usedforsecurity=False).digest_size:
        raise _unreadable(name)
    return digest


def _unreadable(name: str) -> Malformed:
    return Malformed(f"{name} cannot be read")
