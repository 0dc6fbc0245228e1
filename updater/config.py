"""Read the settings: the only reader of YAML and of the environment.

`updater.settings` declares the settings and what fits. Order of precedence: `UPDATER_<SECTION>__<KEY>` in the
environment, then the YAML file, then the default. A wrong or unknown key is a `ConfigurationError` with one line that
names the key, the value and what fits.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import yaml
from marshmallow import EXCLUDE, RAISE, Schema, ValidationError

from updater.errors import ConfigurationError
from updater.settings import LISTS, RECORDS, SECTIONS, DeploymentSettings, DesktopSettings, Settings

ENVIRONMENT_PREFIX = "UPDATER_"
# Variables of the command line client: the same prefix, but no setting of the server.
_NOT_SETTINGS = frozenset({"UPDATER_SERVER", "UPDATER_KEY", "UPDATER_CONFIG"})

T = TypeVar("T")
Unknown = Literal["exclude", "raise"]


def load(path: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from `path` (None: defaults) and from `environment` (None: that of this process).

    Raises:
        ConfigurationError: the file cannot be read, or a key is unknown or does not fit.
    """
    tree = _read_yaml(path) if path else {}
    _overlay(tree, os.environ if environment is None else environment)
    unknown = sorted(set(tree) - set(SECTIONS))
    if unknown:
        raise ConfigurationError(f"{unknown[0]}: unknown section; known sections are {', '.join(SECTIONS)}")
    sections: dict[str, Any] = {
        name: _list(kind, tree.get(name), name) if name in LISTS else _section(kind, tree.get(name), name)
        for name, kind in SECTIONS.items()
    }
    _require_apart(sections["desktop"])
    if sections["server"].workers > 1 and sections["storage"].database_url is None:
        raise ConfigurationError(
            "server.workers: several processes need PostgreSQL (storage.database_url): "
            "SQLite can be damaged by more than one writing process"
        )
    return Settings(**sections)


def inherited_descriptors() -> list[int]:
    """Return the listening sockets that systemd opened for this process; empty when it opened none.

    Source: sd_listen_fds(3): LISTEN_PID names the process, the descriptors are LISTEN_FDS from 3 on.
    """
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = os.environ.get("LISTEN_FDS", "")
    return list(range(3, 3 + int(count))) if count.isdecimal() else []


def pick_environment(names: Iterable[str]) -> dict[str, str]:
    """Return those of the named variables that this process has: the allow-list of a child process.

    Returns: name -> value; names without a value are absent.
    """
    return {name: os.environ[name] for name in names if name in os.environ}


def deployment_from_tree(tree: Mapping[str, Any]) -> DeploymentSettings:
    """Build a deployment from the form of `as_tree`; keys that another version of this program wrote are ignored.

    Raises:
        ConfigurationError: a value does not fit.
    """
    return _section(DeploymentSettings, dict(tree), "deployments", unknown=EXCLUDE)


def _require_apart(desktops: tuple[DesktopSettings, ...]) -> None:
    """Refuse a prefix inside another one: a path must belong to one application."""
    for index, each in enumerate(desktops):
        for other in desktops[:index]:
            if f"{each.prefix}/".startswith(f"{other.prefix}/") or f"{other.prefix}/".startswith(f"{each.prefix}/"):
                raise ConfigurationError(f"desktop[{index}].prefix: {each.prefix!r} overlaps with {other.prefix!r}")


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        place = getattr(error, "problem_mark", None)
        line = f" line {place.line + 1}" if place else ""
        raise ConfigurationError(f"{path}{line}: not valid YAML") from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigurationError(f"{path}: expected sections such as 'server:', found {type(tree).__name__}")
    return {str(key): value for key, value in tree.items()}


def _overlay(tree: dict[str, Any], environment: Mapping[str, str]) -> None:
    """Lay `UPDATER_SECTION__KEY=value` (the value is YAML) over the tree, in place."""
    for variable, raw in sorted(environment.items()):
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable in _NOT_SETTINGS:
            continue
        section, _, key = variable.removeprefix(ENVIRONMENT_PREFIX).lower().partition("__")
        if section not in SECTIONS:
            raise ConfigurationError(
                f"{variable}: unknown section '{section}'; expected UPDATER_<SECTION>__<KEY>, "
                f"sections are {', '.join(SECTIONS)}"
            )
        if key and section in LISTS:
            raise ConfigurationError(f"{variable}: {section} is a list; give it whole, as UPDATER_{section.upper()}")
        try:
            value = yaml.safe_load(raw)
        except yaml.YAMLError:
            raise ConfigurationError(f"{variable}: the value is not valid YAML") from None
        if not key:
            tree[section] = value
            continue
        below = tree.get(section) or {}
        if isinstance(below, dict):
            tree[section] = {**below, key: value}


def _list(kind: type[T], raw: Any, name: str) -> tuple[T, ...]:
    """Check a list of mappings."""
    if raw is None:
        return ()
    if not isinstance(raw, list):
        raise ConfigurationError(f"{name}: expected a list of records, got {_shown(name, raw)}")
    found = tuple(_section(kind, each, f"{name}[{index}]") for index, each in enumerate(raw))
    ids = [getattr(each, "id", index) for index, each in enumerate(found)]
    for index, each in enumerate(ids):
        if each in ids[:index]:
            raise ConfigurationError(f"{name}[{index}].id: {each!r} is taken by an earlier record")
    return found


def _section(kind: type[T], raw: Any, name: str, unknown: Unknown = RAISE) -> T:
    """Check one mapping against the dataclass `kind` and build it."""
    if raw is None:
        raw = {}
    if not isinstance(raw, dict):
        raise ConfigurationError(f"{name}: expected a mapping of keys, got {_shown(name, raw)}")
    declared = {each.name: each.metadata["check"] for each in dataclasses.fields(cast(Any, kind))}
    try:
        checked = cast(dict[str, Any], Schema.from_dict(declared)(unknown=unknown).load(raw))
    except ValidationError as error:
        raise _first_error(error, raw, name, tuple(declared)) from None
    values = {key: _record(value, f"{name}.{key}", unknown) for key, value in checked.items()}
    try:
        return kind(**values)
    except ValueError as error:
        raise ConfigurationError(f"{name}: {error}") from None


def _record(value: Any, name: str, unknown: Unknown) -> Any:
    kind = RECORDS.get(re.sub(r"\[\d+\]", "", name))
    if kind is not None and isinstance(value, list):
        return tuple(_section(kind, each, f"{name}[{index}]", unknown) for index, each in enumerate(value))
    if kind is not None and value is not None:
        return _section(kind, value, name, unknown)
    return tuple(value) if isinstance(value, list) else value


def _first_error(error: ValidationError, raw: dict[str, Any], name: str, known: tuple[str, ...]) -> ConfigurationError:
    messages = cast(dict[str, Any], error.messages)
    key = sorted(messages)[0]
    if key not in known:
        return ConfigurationError(f"{name}.{key}: unknown key; known keys are {', '.join(known)}")
    problem = messages[key]
    while isinstance(problem, dict):
        problem = next(iter(problem.values()))
    text = " ".join(str(part) for part in problem) if isinstance(problem, list) else str(problem)
    if key not in raw:
        return ConfigurationError(f"{name}.{key}: missing; {text}")
    return ConfigurationError(f"{name}.{key}: {_shown(key, raw[key])} does not fit; {text}")


def _shown(key: str, value: Any) -> str:
    """Show a value in an error, unless it is, or may hold, a secret."""
    words = ("key", "secret", "password", "jwt", "database_url", "blob_url", "storage_url")
    secret = any(word in key for word in words)
    return "the given value" if secret else repr(value)


def as_tree(settings: Any) -> dict[str, Any]:
    """Return the settings as plain nested data, in the shape of the YAML file, secrets included.

    Returns: section -> key -> value; tuples are lists.
    """
    tree = dataclasses.asdict(settings)
    return cast(dict[str, Any], _plain(tree))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, tuple) else value
