"""Read the server's JSON into values. A missing or ill-typed field is a `BadAnswer` that names it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any, TypeVar

from updater_client.errors import BadAnswer, UpdateError
from updater_client.files import AddedFile
from updater_client.model import (
    Application,
    Build,
    BuildFile,
    CheckResult,
    ListedBuild,
    Page,
    PublishedBuild,
    Registered,
    Target,
)

T = TypeVar("T")
Json = Mapping[str, Any]


def _take(data: Json, name: str, kind: type[T]) -> T:
    value = data.get(name)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise BadAnswer(f"the answer lacks {name!r}: is this an update server?")
    return value


def _find(data: Json, name: str, kind: type[T]) -> T | None:
    return None if data.get(name) is None else _take(data, name, kind)


def _find_number(data: Json, name: str) -> float | None:
    value = data.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _instant(data: Json, name: str) -> datetime | None:
    text = _find(data, name, str)
    try:
        return None if text is None else datetime.fromisoformat(text)
    except ValueError:
        raise BadAnswer(f"{name!r} in the answer is no time") from None


def _size(data: Json) -> int | None:
    """A size of 0 says as little as none: external files are registered without one."""
    return _find(data, "file_size", int) or None


def read_build(data: Json, version: str, target: Target) -> Build:
    """Read the fields that check, latest and the list have in common.

    Raises:
        BadAnswer: a field is missing or of another type.
    """
    return Build(
        version=version,
        target=target,
        download_url=_take(data, "download_url", str),
        checksum=_take(data, "checksum", str),
        checksum_type=_take(data, "checksum_type", str).lower(),
        file_size_bytes=_size(data),
        release_notes=_find(data, "release_notes", str) or "",
        release_date=_instant(data, "release_date"),
        required=bool(_find(data, "required", bool)),
        minimum_version=_find(data, "minimum_version", str) or None,
        metadata=_find(data, "metadata", dict) or {},
        id=_find(data, "id", str),
    )


def read_latest(data: Json, target: Target) -> Build:
    """Read the answer of `latest`. Raises BadAnswer."""
    return read_build(data, _take(data, "version", str), target)


def read_listed(data: Json) -> ListedBuild:
    """Read one entry of the list of releases. Raises BadAnswer."""
    build = read_latest(data, Target(_take(data, "platform", str), _take(data, "architecture", str)))
    files = _find(data, "files", list)
    return ListedBuild(
        **{each.name: getattr(build, each.name) for each in fields(build)},
        channel=_find(data, "channel", str),
        status=_find(data, "status", str),
        percent=_find_number(data, "percent"),
        files=None if files is None else tuple(map(read_file, _objects(files, "files"))),
        feeds=_find(data, "feeds", dict),
    )


def read_file(data: Json) -> BuildFile:
    """Read a file in the list of releases. Raises BadAnswer."""
    return BuildFile(
        name=_take(data, "name", str),
        kind=_take(data, "kind", str),
        primary=_take(data, "primary", bool),
        size_bytes=_take(data, "size", int),
        sha256=_take(data, "sha256", str),
        signatures=tuple(map(str, _take(data, "signatures", list))),
        made_by=_take(data, "made_by", str),
        download_url=_take(data, "download_url", str),
        sha512=_find(data, "sha512", str),
        sha1=_find(data, "sha1", str),
        delta_from=_find(data, "delta_from", str),
        created_at=_instant(data, "created_at"),
    )


def read_added(data: Json) -> AddedFile:
    """Read the answer of the upload of a companion. Raises BadAnswer."""
    return AddedFile(
        id=_take(data, "id", str),
        version=_take(data, "version", str),
        target=Target(_take(data, "platform", str), _take(data, "architecture", str)),
        name=_take(data, "file_name", str),
        kind=_take(data, "kind", str),
        checksum=_take(data, "checksum", str),
        checksum_type=_take(data, "checksum_type", str),
        file_size_bytes=_take(data, "file_size", int),
        download_url=_take(data, "download_url", str),
        created_at=_instant(data, "created_at"),
        status=_find(data, "status", str),
    )


def read_check(data: Json, target: Target) -> CheckResult:
    """Read the answer of `check`, in which nothing newer is no build. Raises BadAnswer."""
    build = None
    if _take(data, "update_available", bool):
        build = read_build(data, _take(data, "latest_version", str), target)
    return CheckResult(_take(data, "current_version", str), build, bool(_find(data, "required", bool)))


def read_published(data: Json) -> PublishedBuild:
    """Read the answer of an upload. Raises BadAnswer."""
    return PublishedBuild(
        id=_take(data, "id", str),
        version=_take(data, "version", str),
        target=Target(_take(data, "platform", str), _take(data, "architecture", str)),
        checksum=_take(data, "checksum", str),
        checksum_type=_take(data, "checksum_type", str),
        file_size_bytes=_take(data, "file_size", int),
        download_url=_take(data, "download_url", str),
        created_at=_instant(data, "created_at"),
    )


def read_registered(data: Json) -> Registered:
    """Read the receipt of a registration or creation. Raises BadAnswer."""
    return Registered(_take(data, "id", str), _instant(data, "created_at"))


def read_application(data: Json) -> Application:
    """Read an application, alone or from a list. Raises BadAnswer."""
    channels = _find(data, "channels", list)
    return Application(
        id=_take(data, "id", str),
        name=_take(data, "name", str),
        description=_find(data, "description", str) or "",
        platforms=tuple(str(platform) for platform in _take(data, "platforms", list)),
        created_at=_instant(data, "created_at"),
        updated_at=_instant(data, "updated_at"),
        config=_find(data, "config", dict),
        stats=_find(data, "stats", dict),
        private=_find(data, "private", bool),
        channels=None if channels is None else tuple(map(str, channels)),
        default_rollout=_find(data, "default_rollout", dict),
        feeds=_find(data, "feeds", dict),
        keys=_find(data, "keys", dict),
    )


def read_page(data: Json, name: str, read: Callable[[Json], T]) -> Page[T]:
    """Read one page of the list `name`; items keep the server's order.

    Raises:
        BadAnswer: an entry, or a field of the page, is missing or of another type.
    """
    items = tuple(read(entry) for entry in _objects(_take(data, name, list), name))
    return Page(items, _take(data, "total_count", int), _take(data, "has_more", bool))


def _objects(entries: list[Any], name: str) -> list[Json]:
    if not all(isinstance(entry, dict) for entry in entries):
        raise BadAnswer(f"{name!r} in the answer is no list of objects")
    return entries


def read_error(status: int, data: Any, request_id: str) -> UpdateError:
    """Return the error that an answer with a status of 400 or more stands for.

    Returns:
        A `BadAnswer` when the body is not the documented one; its `fields` are then empty.
    """
    if not isinstance(data, dict) or not ("message" in data or "errors" in data):
        return BadAnswer(f"the answer is {status}, without a reason", status=status, request_id=request_id)
    errors = data.get("errors")
    return UpdateError(
        str(data.get("message") or "the request was refused"),
        status=status,
        code=str(data.get("code") or ""),
        fields={str(k): str(v) for k, v in errors.items()} if isinstance(errors, dict) else None,
        request_id=str(data.get("request_id") or request_id),
        details=details if isinstance(details := data.get("details"), dict) else None,
    )
