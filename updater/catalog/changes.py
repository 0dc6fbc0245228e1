"""What the audit keeps of the catalog's changes: the things, before and after. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from updater.audit.chain import as_text
from updater.catalog.model import Application, Build, BuildFile, ReleaseStatus
from updater.catalog.platforms import Target

_ADDRESSES = ("update_check_url", "notification_url")


def named(application_id: str, version: str | None = None, target: Target | None = None) -> str:
    """Return what people call a thing: `my-app`, `my-app 1.2.0`, `my-app 1.2.0 linux/amd64`."""
    return " ".join(filter(None, (application_id, version, "/".join(target) if target else None)))


def describe_application(each: Application) -> dict[str, Any]:
    """Return an application without what may be secret: the paths of its addresses, and its own fields' values."""
    return {
        "name": each.name,
        "platforms": list(each.platforms),
        "version_scheme": each.scheme.value,
        "private": each.private,
        "config": _without_secrets(each.config),
    }


def describe_changes(before: Application, after: Application) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what differs between two states of an application, before and after; both empty when nothing does.

    Settings whose values may be secret are only named, in `changed` of the second.
    """
    old, new = _flat(before), _flat(after)
    changed = [key for key in new if old[key] != new[key]]
    hidden = [
        key
        for key in before.config
        if _is_other(before.config[key], after.config[key]) and f"config.{key}" not in changed
    ]
    shown = {key: new[key] for key in changed}
    return {key: old[key] for key in changed}, {**shown, "changed": sorted(hidden)} if hidden else shown


def describe_release(channel: str, percent: float) -> dict[str, Any]:
    """Return a release as it is published: its channel, and the share of clients that may get it at once."""
    return {"channel": channel, "percent": percent}


def describe_deleted_release(channel: str, status: ReleaseStatus) -> dict[str, Any]:
    """Return a release as it was when it went."""
    return {"channel": channel, "status": status.value}


def describe_build(each: Build) -> dict[str, Any]:
    """Return a build: what it runs on, and the checksum of its file."""
    return {
        "platform": each.target.platform,
        "architecture": each.target.architecture,
        "checksum": each.checksum.value,
    }


def describe_file(each: BuildFile) -> dict[str, Any]:
    """Return a file of a build: its name, its kind, and the checksum of its bytes."""
    return {"file_name": each.name, "kind": each.kind.value, "checksum": each.digest}


def _without_secrets(config: Mapping[str, Any]) -> dict[str, Any]:
    shown = {key: value for key, value in config.items() if key not in (*_ADDRESSES, "custom_fields")}
    shown |= {key: urlsplit(config[key]).hostname or "" for key in _ADDRESSES}
    return {**shown, "custom_fields": sorted(config["custom_fields"])}


def _is_other(before: Any, after: Any) -> bool:
    """Tell whether two JSON values differ. Python takes `1` and `true` for equal, readers of the JSON do not."""
    return as_text({"": before}) != as_text({"": after})


def _flat(each: Application) -> dict[str, Any]:
    config = {f"config.{key}": value for key, value in _without_secrets(each.config).items()}
    own = {"name": each.name, "description": each.description, "platforms": list(each.platforms)}
    return {**own, "private": each.private, **config}
