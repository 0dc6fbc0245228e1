"""What is asked and answered about folders that are to be published, and about notes."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

import updater.web.messages.fields as own
from updater.catalog.platforms import ARCHITECTURES, PLATFORMS
from updater.web.messages.schemas import Strict

MAX_FILES = 5_000
MAX_PATH_BYTES = 1_024
MAX_CONTENTS_BYTES = 768 << 10
MAX_PATTERNS = 1_000


class GivenFile(Strict):
    """A file of a folder, for the OpenAPI document: there are too many for a schema to look at each."""

    path = own.Text(max_bytes=MAX_PATH_BYTES, required=True)
    size = own.StrictInteger(0, required=True)
    content = fields.String(
        metadata={"format": "byte", "description": "its bytes in base64; of files that `must_be_told` names"}
    )


class GivenFiles(fields.List[Any]):
    """The files of a folder, as `{path: size}` and `{path: content}`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(fields.Nested(GivenFile), validate=validate.Length(1, MAX_FILES), **kwargs)
        # It is held against the length before each file is looked at.
        self.validators = []

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, list):
            raise ValidationError("expected a list of files")
        if not 1 <= len(value) <= MAX_FILES:
            raise ValidationError(f"expected 1 to {MAX_FILES} files: is it the folder with the installers?")
        sizes: dict[str, int] = {}
        contents: dict[str, bytes] = {}
        for number, each in enumerate(value):
            try:
                path, size, content = _read_file(each)
            except ValueError as error:
                raise ValidationError({number: [str(error)]}) from None
            if path in sizes:
                raise ValidationError({number: [f"{own.shown(path)} is there more than once"]})
            sizes[path] = size
            if content is not None:
                contents[path] = content
        if sum(map(len, contents.values())) > MAX_CONTENTS_BYTES:
            raise ValidationError(f"their contents together are longer than {MAX_CONTENTS_BYTES} bytes")
        return sizes, contents


def _read_file(given: Any) -> tuple[str, int, bytes | None]:
    """Return path, size in bytes and content of a file. Raises ValueError."""
    if not isinstance(given, dict) or not given.keys() <= {"path", "size", "content"}:
        raise ValueError("expected an object of path, size and content")
    path, size, content = given.get("path"), given.get("size"), given.get("content")
    if not isinstance(path, str) or not 1 <= len(path.encode(errors="replace")) <= MAX_PATH_BYTES:
        raise ValueError(f"path: expected a text of 1 to {MAX_PATH_BYTES} bytes")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= own.MAX_INTEGER:
        raise ValueError("size: expected a number of bytes")
    if "content" not in given:
        return path, size, None
    if not isinstance(content, str):
        raise ValueError("content: expected base64")
    try:
        raw = base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("content: expected base64") from None
    if len(raw) != size:
        raise ValueError(f"content: has {len(raw)} bytes, and not {size}")
    from updater_client.folder.given import MAX_FEED_BYTES

    if size > MAX_FEED_BYTES:
        raise ValueError(f"content: longer than {MAX_FEED_BYTES} bytes")
    return path, size, raw


def _patterns(name: str) -> fields.List[str]:
    pattern = own.Text(max_bytes=MAX_PATH_BYTES)
    return fields.List(pattern, validate=validate.Length(max=MAX_PATTERNS), load_default=list, data_key=name)


class FolderBody(Strict):
    """A folder, and what its publisher says instead of leaving it to the folder: the options of `updater publish`."""

    files = GivenFiles(required=True)
    version = own.VersionText(load_default=None, allow_none=True)
    channel = fields.String(load_default=None, allow_none=True)
    platform = own.OneOf("platform", PLATFORMS, load_default=None, allow_none=True)
    architecture = own.OneOf("architecture", (*ARCHITECTURES, "universal"), load_default=None, allow_none=True)
    included = _patterns("include")
    excluded = _patterns("exclude")


class ExpectedChecksum(Schema):
    """A checksum that a feed file gives of a file, as lists of releases have it: SHA-512 in base64, others in hex."""

    kind = fields.String(required=True)
    value = fields.String(required=True, allow_none=True)
    said_by = fields.String(required=True)


class PlannedTarget(Schema):
    """A platform and an architecture."""

    platform = fields.String(required=True)
    architecture = fields.String(required=True)


class PlannedItem(Schema):
    """A file to publish: for which targets, and of which of them it is the primary file."""

    path = fields.String(required=True)
    name = fields.String(required=True)
    kind = fields.String(required=True)
    size = fields.Integer(required=True)
    targets = fields.List(fields.Nested(PlannedTarget), required=True)
    primary_of = fields.List(fields.Nested(PlannedTarget), required=True)
    signatures = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    delta_from = fields.String(required=True, allow_none=True)
    checksums = fields.List(fields.Nested(ExpectedChecksum), required=True)


class PlanProblem(Schema):
    """What stands in the way: `field` settles it, and `path` names the file that it is about."""

    message = fields.String(required=True)
    field = fields.String(required=True)
    path = fields.String(required=True, allow_none=True)


class LeftOutItem(Schema):
    """A file that is not published, and why."""

    path = fields.String(required=True)
    why = fields.String(required=True)


class PlanAnswer(Schema):
    """What a folder holds for clients. With `problems` it must not be published as it is."""

    version = fields.String(required=True, allow_none=True)
    channel = fields.String(required=True, allow_none=True)
    release_notes = fields.String(required=True)
    metadata = fields.Dict(keys=fields.String(), values=fields.Dict(), required=True)
    files = fields.List(fields.Nested(PlannedItem), required=True)
    left_out = fields.List(fields.Nested(LeftOutItem), required=True)
    remarks = fields.List(fields.String(), required=True)
    problems = fields.List(fields.Nested(PlanProblem), required=True)
    must_be_told = fields.List(fields.String(), required=True)


class PreviewBody(Strict):
    """Release notes in Markdown."""

    release_notes = own.Text(max_bytes=own.MAX_NOTES_BYTES, lines=True, empty=True, required=True)


class PreviewAnswer(Schema):
    """Release notes as HTML."""

    html = fields.String(required=True)
