"""Read the settings: the only reader of YAML and of the environment.

`updater.settings` declares the settings and what fits. Order of precedence: `UPDATER_<SECTION>__<KEY>` in the
environment, then the YAML file, then the default. A variable is read by the type of its setting: texts as they are, the
rest as YAML. A wrong or unknown key is a `ConfigurationError` with one line that
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
from marshmallow import EXCLUDE, RAISE, Schema, ValidationError, fields

from updater.errors import ConfigurationError
from updater.settings import (
    LISTS,
    RECORDS,
    SECTIONS,
    DeploymentSettings,
    DesktopSettings,
    Settings,
    StorageSettings,
)
from updater.settings.typed import declared_checks, typed, typed_list, typed_record

ENVIRONMENT_PREFIX = "UPDATER_"
# Variables of the command line client, and one that runs of deployments set: the same prefix, but no settings.
_NOT_SETTINGS = frozenset({"UPDATER_SERVER", "UPDATER_KEY", "UPDATER_CONFIG", "UPDATER_RUN"})

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
    sections["storage"] = _placed(sections["storage"], path)
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


def _placed(storage: StorageSettings, file: Path | None) -> StorageSettings:
    """Count a relative `root` from the folder of the settings file; without a file it stays as it is.

    Raises:
        ConfigurationError: `~` without a home, or a data folder of a version that counted from the working directory.
    """
    try:
        root = Path(storage.root).expanduser() if storage.root.startswith("~/") else Path(storage.root)
    except RuntimeError:
        raise ConfigurationError(f"storage.root: {storage.root!r} does not fit; this user has no home") from None
    if file is None:
        return dataclasses.replace(storage, root=str(root))
    placed = file.absolute().parent / root
    if not placed.exists() and (root / "secret").is_file():
        raise ConfigurationError(
            f"storage.root: {storage.root!r} counts from the folder of {file.name}, where there is no {placed}; "
            f"a data folder is in the working directory: set storage.root to {root.absolute()}"
        )
    return dataclasses.replace(storage, root=str(placed))


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
    except RecursionError:
        raise ConfigurationError(f"{path}: nested too deeply") from None
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
    """Lay what the environment sets over the tree, in place: whole sections first, then single keys."""
    for variable, path, raw in _settings_of(environment):
        section, kind = path[0], SECTIONS.get(path[0])
        if kind is None:
            raise ConfigurationError(
                f"{variable}: unknown section '{section}'; expected UPDATER_<SECTION>__<KEY>, "
                f"sections are {', '.join(SECTIONS)}"
            )
        if section in LISTS:
            if len(path) > 1:
                raise ConfigurationError(
                    f"{variable}: {section} is a list; give it whole, as UPDATER_{section.upper()}"
                )
            tree[section] = typed_list(*_yaml_of(raw, variable), kind, section)
        elif len(path) == 1:
            tree[section] = typed_record(*_yaml_of(raw, variable), kind, section)
        else:
            _lay(tree, path, _typed_variable(raw, variable, path))


def _settings_of(environment: Mapping[str, str]) -> list[tuple[str, tuple[str, ...], str]]:
    """Return the variables that are meant as settings: name, path of keys and text; those of whole sections first.

    A name without `__` is one only when it is a section's.
    """
    found = []
    for variable, raw in environment.items():
        path = tuple(variable.removeprefix(ENVIRONMENT_PREFIX).lower().split("__"))
        meant = variable.startswith(ENVIRONMENT_PREFIX) and variable not in _NOT_SETTINGS
        if meant and (len(path) > 1 or path[0] in SECTIONS):
            found.append((variable, path, raw))
    return sorted(found, key=lambda each: (len(each[1]), each[0]))


def list_ignored(environment: Mapping[str, str] | None = None) -> list[str]:
    """Return the names of variables that begin like settings and are none, in their order.

    Kubernetes sets such names (`UPDATER_PORT`) for every container when a service is named updater.
    """
    names = os.environ if environment is None else environment
    settings = {variable for variable, _, _ in _settings_of(names)}
    return sorted(
        name for name in names if name.startswith(ENVIRONMENT_PREFIX) and name not in settings | _NOT_SETTINGS
    )


def _lay(tree: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    """Set one key of the tree. What is no mapping on the way stays; it is refused later, by its name."""
    for key in path[:-1]:
        below = tree.get(key)
        if below is not None and not isinstance(below, dict):
            return
        tree[key] = tree = dict(below or {})
    tree[path[-1]] = value


def _typed_variable(raw: str, variable: str, path: tuple[str, ...]) -> Any:
    """Read one variable by the type of its setting. Raises ConfigurationError: there is no such setting."""
    kind, name = SECTIONS[path[0]], path[0]
    for key in path[1:-1]:
        if isinstance(declared_checks(kind).get(key), fields.List):
            raise ConfigurationError(f"{variable}: {name}.{key} is a list; give it whole")
        kind, name = RECORDS.get(f"{name}.{key}", kind), f"{name}.{key}"
        if name not in RECORDS:
            raise ConfigurationError(f"{variable}: {name} has no keys below it")
    declared = declared_checks(kind)
    if path[-1] not in declared:
        raise ConfigurationError(f"{variable}: {name}.{path[-1]} is unknown; known keys are {', '.join(declared)}")
    check = declared[path[-1]]
    if isinstance(check, fields.String):
        return _text_of(raw, check)
    if isinstance(check, fields.Integer) and re.fullmatch(r"\s*[+-]?[0-9]+\s*", raw):
        return int(raw)  # YAML reads 010 as 8
    return typed(*_yaml_of(raw, variable), check, f"{name}.{path[-1]}")


def _text_of(raw: str, check: fields.Field[Any]) -> str | None:
    """Return a text as it was given, without space around it, or what is between quotes; None for null or nothing."""
    text = raw.strip()
    if check.allow_none and text in ("", "null", "~"):
        return None
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        try:
            read = yaml.safe_load(text)
        except yaml.YAMLError:
            return text
        return read if isinstance(read, str) else text
    return text


def _yaml_of(raw: str, variable: str) -> tuple[Any, Any]:
    """Read YAML twice: with its guesses of types, and with every scalar as its text."""
    try:
        return yaml.safe_load(raw), yaml.load(raw, yaml.BaseLoader)  # noqa: S506 - makes nothing but text
    except (yaml.YAMLError, ValueError, RecursionError):  # ValueError: a date that does not exist
        raise ConfigurationError(f"{variable}: the value is not valid YAML") from None


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
    declared = declared_checks(kind)
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
