"""An application as the fields of a form, by the names that bodies of the REST interface have. PURE.

The form only reads what stands in its fields; the schemas and the use cases say what fits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from updater.catalog.model import Application
from updater.catalog.platforms import PLATFORMS
from updater.errors import Invalid
from updater.web.dashboard.plan_form import fields_of, for_form, read_plan

TEXTS: Final = ("config.update_check_url", "config.notification_url", "config.min_version", "config.max_version")
TICKS: Final = (
    "config.required_update",
    "config.allow_prerelease",
    "config.auto_update",
    "config.analytics_enabled",
)
SCOOP: Final = ("description", "homepage", "license")
SCOOP_LISTS: Final = ("bin", "shortcuts")
WINGET: Final = ("package_identifier", "publisher", "license", "short_description", "scope")
INSTALLERS: Final = ("exe", "msi")
KEYS: Final = ("minisign", "ed25519")
_COMMENT: Final = "untrusted comment:"


def read_new(values: Mapping[str, str]) -> dict[str, Any]:
    """Return the body that makes an application."""
    body = {
        "id": values.get("id", "").strip(),
        "name": values.get("name", "").strip(),
        "platforms": [each for each in PLATFORMS if f"platform-{each}" in values],
        "version_scheme": values.get("version_scheme", ""),
        "private": "private" in values,
    }
    channels = _lines(values.get("channels", ""))
    return body | ({"channels": channels} if channels else {})


def read_changes(values: Mapping[str, str]) -> dict[str, Any]:
    """Return the body that changes an application, whole.

    Raises:
        Invalid: a number, a list or a plan in it cannot be read.
    """
    problems: dict[str, str] = {}
    config: dict[str, Any] = {name.partition(".")[2]: values.get(name, "").strip() for name in TEXTS}
    config |= {name.partition(".")[2]: name in values for name in TICKS}
    interval = values.get("config.update_interval", "").strip()
    if interval.isascii() and interval.isdigit() and len(interval) < 12:
        config["update_interval"] = int(interval)
    else:
        problems["config.update_interval"] = "expected a whole number of seconds"
    body: dict[str, Any] = {
        "name": values.get("name", "").strip(),
        "description": values.get("description", "").replace("\r\n", "\n"),
        "platforms": [each for each in PLATFORMS if f"platform-{each}" in values],
        "private": "private" in values,
        "channels": _lines(values.get("channels", "")),
        "config": config,
        "keys": {scheme: _keys(values.get(f"keys.{scheme}", "")) for scheme in KEYS},
        "feeds": _feeds(values, problems),
    }
    try:
        body["default_rollout"] = read_plan(values, scheduled=False)
    except Invalid as failure:
        problems |= {f"default_rollout.{name}": text for name, text in failure.fields.items()}
    if problems:
        raise Invalid(problems)
    return body


def values_of(each: Application) -> dict[str, str]:
    """Return the fields that show an application."""
    values = {
        "name": each.name,
        "description": each.description,
        "channels": "\n".join(each.channels),
        "updated_at": each.updated_at.isoformat(),
        "config.update_interval": str(each.config["update_interval"]),
        **{name: str(each.config[name.partition(".")[2]]) for name in TEXTS},
        **{name: "yes" for name in TICKS if each.config[name.partition(".")[2]]},
        **{f"platform-{platform}": "yes" for platform in each.platforms},
        **{f"keys.{scheme}": "\n".join(each.keys.get(scheme, ())) for scheme in KEYS},
        **fields_of(each.default_rollout),
    }
    scoop, winget = each.feeds.get("scoop", {}), each.feeds.get("winget", {})
    values |= {f"feeds.scoop.{name}": scoop.get(name, "") for name in SCOOP}
    values |= {f"feeds.scoop.{name}": json.dumps(scoop[name]) if name in scoop else "" for name in SCOOP_LISTS}
    values |= {f"feeds.winget.{name}": winget.get(name, "") for name in WINGET}
    values["feeds.winget.portable_files"] = "\n".join(winget.get("portable_files", ()))
    types = winget.get("installer_type", {})
    values |= {f"feeds.winget.installer_type.{name}": types.get(name, "") for name in INSTALLERS}
    return values | ({"private": "yes"} if each.private else {})


def fields_of_problem(fields: Mapping[str, str]) -> dict[str, str]:
    """Return what is wrong by the names of the form's fields: of a list's entries, at the list."""
    shown: dict[str, str] = {}
    for name, text in fields.items():
        if name.startswith("default_rollout"):
            shown |= for_form({name.removeprefix("default_rollout").lstrip(".") or "stages": text})
            continue
        parts = name.split(".")
        place = next((index for index, part in enumerate(parts) if part.isdigit()), len(parts))
        where = ".".join(parts[:place])
        number = f"{int(parts[place]) + 1}: " if place < len(parts) else ""
        shown[where] = "; ".join(filter(None, (shown.get(where), number + text)))
    return shown


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _keys(text: str) -> list[str]:
    """Return the keys of a text: each on a line, below its comment when it has one."""
    keys: list[str] = []
    comment = ""
    for line in _lines(text):
        if line.startswith(_COMMENT):
            comment = f"{line}\n"
        else:
            keys.append(comment + line)
            comment = ""
    return keys


def _feeds(values: Mapping[str, str], problems: dict[str, str]) -> dict[str, Any]:
    """Return what package managers show; without anything that is said, nothing."""
    scoop: dict[str, Any] = _said(values, "feeds.scoop", SCOOP)
    for name in SCOOP_LISTS:
        text = values.get(f"feeds.scoop.{name}", "").strip()
        if text:
            try:
                scoop[name] = json.loads(text)
            except (ValueError, RecursionError):
                problems[f"feeds.scoop.{name}"] = 'expected a list in JSON, such as ["my-app.exe"]'
    winget: dict[str, Any] = _said(values, "feeds.winget", WINGET)
    types = _said(values, "feeds.winget.installer_type", INSTALLERS)
    files = _lines(values.get("feeds.winget.portable_files", ""))
    winget |= {name: each for name, each in (("installer_type", types), ("portable_files", files)) if each}
    return {name: each for name, each in (("scoop", scoop), ("winget", winget)) if each}


def _said(values: Mapping[str, str], prefix: str, names: tuple[str, ...]) -> dict[str, Any]:
    given = {name: values.get(f"{prefix}.{name}", "").strip() for name in names}
    return {name: text for name, text in given.items() if text}
