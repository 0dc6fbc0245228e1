"""The headers of tus 1.0.0, read and written. Source: https://tus.io/protocols/resumable-upload, version 1.0.0."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from datetime import datetime
from email.utils import format_datetime
from typing import Final

from aiohttp import web
from multidict import MultiMapping

from updater.errors import Malformed, OtherProtocol, TooLarge, UnsupportedContent
from updater.web.messages.errors import Answer, write_api
from updater.web.messages.fields import shown

PREFIX: Final = "/api/v1/uploads"
VERSION: Final = "1.0.0"
EXTENSIONS: Final = "creation,creation-with-upload,expiration,checksum,termination"
CHECKSUMS: Final = ("sha1", "sha256")
PIECE: Final = "application/offset+octet-stream"
_NUMBER: Final = re.compile(r"[0-9]{1,40}")
_LARGEST: Final = (1 << 63) - 1
_KEY: Final = re.compile(r"[^\s,]+")


def write_tus(answer: Answer, request_id: str) -> web.Response:
    """Render a failure as the REST document does, with the headers that clients of the protocol look for."""
    response = write_api(answer, request_id)
    if answer.status == 460:
        response.set_status(460, "Checksum Mismatch")
    response.headers["Tus-Resumable"] = VERSION
    if answer.status == 412:
        response.headers["Tus-Version"] = VERSION
    return response


def require_version(headers: MultiMapping[str]) -> None:
    """Hold a request to the one version that is spoken. Raises OtherProtocol."""
    if headers.get("Tus-Resumable") != VERSION:
        raise OtherProtocol(f"Tus-Resumable must be {VERSION}", details={"versions": [VERSION]})


def has_piece(request: web.Request) -> bool:
    """Tell whether a request that begins an upload brings its first piece."""
    return request.body_exists or request.headers.get("Content-Type", "").strip().lower() == PIECE


def require_piece(headers: MultiMapping[str]) -> None:
    """Hold a body to the type of pieces. Raises UnsupportedContent."""
    if headers.get("Content-Type", "").strip().lower() != PIECE:
        raise UnsupportedContent(f"Content-Type must be {PIECE}")


def read_number(headers: MultiMapping[str], name: str) -> int:
    """Return a header that is a number of bytes. Raises Malformed: it is none. TooLarge: no file is so large."""
    # Only what HTTP calls white space: Python strips more, and then reads no number.
    given = headers.get(name, "").strip(" \t")
    if len(headers.getall(name, ())) > 1 or _NUMBER.fullmatch(given) is None:
        raise Malformed(f"{name} must be given once, as a number of bytes")
    number = int(given)
    if number > _LARGEST:
        raise TooLarge(f"{name} is larger than any file")
    return number


def read_length(headers: MultiMapping[str]) -> int:
    """Return the length that a new upload announces. Raises Malformed, TooLarge."""
    for name in ("Upload-Defer-Length", "Upload-Concat"):
        if name in headers:
            raise Malformed(f"{name} is not supported; give Upload-Length")
    return read_number(headers, "Upload-Length")


def read_metadata(text: str) -> dict[str, str]:
    """Return what Upload-Metadata says: texts by their keys. Raises Malformed: it cannot be read, or a key is twice."""
    found: dict[str, str] = {}
    for pair in text.split(",") if text.strip() else ():
        key, _, value = pair.strip().partition(" ")
        if _KEY.fullmatch(key) is None:
            raise Malformed("Upload-Metadata must be keys and values in base64, with commas between the pairs")
        if key in found:
            raise Malformed(f"Upload-Metadata gives {shown(key)} more than once")
        try:
            found[key] = base64.b64decode(value.strip(), validate=True).decode()
        except (binascii.Error, ValueError):
            raise Malformed(f"Upload-Metadata: the value of {shown(key)} is no base64 of UTF-8") from None
    return found


def read_checksum(headers: MultiMapping[str]) -> tuple[str, bytes] | None:
    """Return the name of a hash and its value for the body; None when it has none. Raises Malformed."""
    given = headers.get("Upload-Checksum")
    if given is None:
        return None
    name, _, value = given.strip().partition(" ")
    if name not in CHECKSUMS:
        raise Malformed(f"Upload-Checksum: expected one of {', '.join(CHECKSUMS)}")
    try:
        digest = base64.b64decode(value.strip(), validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != hashlib.new(name, usedforsecurity=False).digest_size:
        raise Malformed(f"Upload-Checksum is no {name} in base64")
    return name, digest


def http_date(moment: datetime) -> str:
    """Write a time as HTTP does. Source: RFC 9110 section 5.6.7."""
    return format_datetime(moment, usegmt=True)
