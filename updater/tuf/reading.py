"""Reads metadata files, whatever they hold: what cannot be used is a reason, never an exception. PURE.

Source: the specification of The Update Framework 1.0, section 4. Only what decides about publishing is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from updater.artifacts.digests import is_digest
from updater.tuf.model import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, Metadata, Named, shown, split_metadata_name

_LARGEST: Final = 2**53 - 1
_TOP_ROLES: Final = (ROOT, TIMESTAMP, SNAPSHOT)


class _Unusable(Exception):
    """Why a file cannot be used."""


def read_metadata(name: str, body: bytes, digest: str) -> Metadata | str:
    """Return a metadata file, or why it cannot be used. `digest` is the SHA-256 of `body`, in hex."""
    try:
        return _read(name, body, digest)
    except _Unusable as reason:
        return str(reason)


def _read(name: str, body: bytes, digest: str) -> Metadata:
    parts = split_metadata_name(name)
    if parts is None:
        raise _Unusable("is not the name of metadata: ROLE.json or VERSION.ROLE.json")
    role, number = parts
    try:
        document = orjson.loads(body)
    except ValueError:
        raise _Unusable("is not JSON") from None
    signed = _object(_object(document, "the file").get("signed"), "signed")
    kind = role if role in _TOP_ROLES else TARGETS
    if signed.get("_type") != kind:
        raise _Unusable(f"signed._type must be {kind}, as the name says")
    version = _version(signed.get("version"), "signed.version")
    if number not in (None, version):
        raise _Unusable(f"holds version {version}, not {number} as the name says")
    consistent = signed.get("consistent_snapshot")
    return Metadata(
        name=name,
        role=role,
        number=number,
        version=version,
        digest=digest,
        size_bytes=len(body),
        expires_at=_time(signed.get("expires")),
        consistent=consistent if kind == ROOT and isinstance(consistent, bool) else None,
        meta=_meta(kind, signed) if kind in (TIMESTAMP, SNAPSHOT) else {},
        targets=_targets(signed) if kind == TARGETS else {},
        delegates=_delegates(signed) if kind == TARGETS else (),
    )


def _meta(kind: str, signed: Mapping[str, Any]) -> dict[str, Named]:
    meta = _object(signed.get("meta"), "signed.meta")
    needed = f"{SNAPSHOT}.json" if kind == TIMESTAMP else f"{TARGETS}.json"
    if needed not in meta:
        raise _Unusable(f"signed.meta must name {needed}")
    found = {}
    for name, said in meta.items():
        place = f"signed.meta.{shown(name)}"
        if split_metadata_name(name) is None:
            raise _Unusable(f"{place} is not the name of metadata")
        entry = _object(said, place)
        version = _version(entry.get("version"), f"{place}.version")
        size_bytes = _size(entry["length"], f"{place}.length") if "length" in entry else None
        found[name] = Named(version, size_bytes, _sha256(entry, place))
    return {needed: found[needed]} if kind == TIMESTAMP else found


def _targets(signed: Mapping[str, Any]) -> dict[str, Named]:
    found = {}
    for path, said in _object(signed.get("targets"), "signed.targets").items():
        place = f"signed.targets.{shown(path)}"
        entry = _object(said, place)
        digest = _sha256(entry, place)
        if digest is None:
            raise _Unusable(f"{place}.hashes must have sha256")
        found[path] = Named(0, _size(entry.get("length"), f"{place}.length"), digest)
    return found


def _delegates(signed: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of delegated roles; those of hash bins (`succinct_roles`) are worked out by clients."""
    delegations = signed.get("delegations")
    roles = _object(delegations, "signed.delegations").get("roles") if delegations is not None else None
    if roles is None:
        return ()
    if not isinstance(roles, list):
        raise _Unusable("signed.delegations.roles must be a list")
    return tuple(_text(_object(each, "signed.delegations.roles").get("name")) for each in roles)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _Unusable("signed.delegations.roles must have names")
    return value


def _object(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _Unusable(f"{place} must be an object")
    return value


def _version(value: Any, place: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _LARGEST:
        raise _Unusable(f"{place} must be a whole number from 1")
    return value


def _size(value: Any, place: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _LARGEST:
        raise _Unusable(f"{place} must be a number of bytes")
    return value


def _sha256(entry: Mapping[str, Any], place: str) -> str | None:
    hashes = entry.get("hashes")
    if hashes is None:
        return None
    text = _object(hashes, f"{place}.hashes").get("sha256")
    if text is None:
        return None
    if not isinstance(text, str) or not is_digest(text.lower()):
        raise _Unusable(f"{place}.hashes.sha256 must be 64 hex digits")
    return text.lower()


def _time(value: Any) -> datetime | None:
    """Return when metadata expires; None when it does not say. Clients refuse such, or what they will."""
    try:
        at = datetime.fromisoformat(value)
        return at.astimezone(UTC) if at.tzinfo is not None else at.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError):
        return None
