"""Values read from text, by the type of their setting: `10` is a number for a port, and a text for a name."""

from __future__ import annotations

import dataclasses
from typing import Any

from marshmallow import fields

from updater.settings.sections import RECORDS


def typed(guessed: Any, text: Any, check: fields.Field[Any] | None, name: str) -> Any:
    """Choose, scalar by scalar, between YAML's guess and the text: by the type of the setting `name`.

    `guessed` and `text` have the same shape; None as `check`: no setting is known by this name.
    """
    if name in RECORDS and isinstance(guessed, list):
        return typed_list(guessed, text, RECORDS[name], name)
    if name in RECORDS:
        return typed_record(guessed, text, RECORDS[name], name)
    if isinstance(check, fields.List) and isinstance(guessed, list):
        return [typed(*each, check.inner, "") for each in zip(guessed, text, strict=True)]
    if isinstance(check, fields.String) and isinstance(text, str):
        return None if guessed is None and check.allow_none else text
    return guessed


def typed_list(guessed: Any, text: Any, kind: type[Any], name: str) -> Any:
    """Do the same for a list of records; what is no list stays as it is."""
    if not isinstance(guessed, list):
        return guessed
    return [typed_record(*each, kind, name) for each in zip(guessed, text, strict=True)]


def typed_record(guessed: Any, text: Any, kind: type[Any], name: str) -> Any:
    """Do the same for one record; what is no mapping stays as it is."""
    if not isinstance(guessed, dict) or len(guessed) != len(text):  # a merge key: the two have different ones
        return guessed
    declared = declared_checks(kind)
    pairs = zip(guessed.items(), text.items(), strict=True)
    return {key: typed(value, raw, declared.get(key), f"{name}.{key}") for (key, value), (_, raw) in pairs}


def declared_checks(kind: type[Any]) -> dict[str, fields.Field[Any]]:
    """Return the checks of a record's keys, in the order of their declaration."""
    return {each.name: each.metadata["check"] for each in dataclasses.fields(kind)}
