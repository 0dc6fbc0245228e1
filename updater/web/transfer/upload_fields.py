"""What is said of an uploaded file, as text fields: one description for forms, queries and resumable uploads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields

import updater.web.messages.fields as own
from updater.artifacts.signatures import MOST_TEXT_CHARS
from updater.catalog.files import FileKind
from updater.catalog.platforms import ARCHITECTURES, Target
from updater.catalog.requests import PublishRequest
from updater.catalog.signing import SCHEMES
from updater.errors import Invalid, Malformed
from updater.rollouts.service import RolloutService
from updater.web.messages.parsing import load_object, load_values
from updater.web.messages.plans import PlanValue
from updater.web.messages.schemas import Strict


class Architectures(fields.String):
    """Architecture words with commas between them, as a tuple without repetitions."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> tuple[str, ...]:  # type: ignore[override]
        text: str = super()._deserialize(value, attr, data, **kwargs)
        words = tuple(dict.fromkeys(each.strip() for each in text.split(",")))
        strange = [own.shown(each) for each in words if each not in ARCHITECTURES]
        if strange:
            raise ValidationError(
                f"invalid architecture: {', '.join(strange)}; expected some of {', '.join(ARCHITECTURES)}"
            )
        return words


def signature() -> own.Text:
    """Return the field for the text of a signature."""
    return own.Text(max_bytes=MOST_TEXT_CHARS, lines=True)


class Signatures(Strict):
    """Signatures of one file, by scheme: one or both."""

    minisign = signature()
    ed25519 = signature()


class SignatureMap(fields.Dict):
    """Signatures of the files of a form: `{file name: {minisign, ed25519}}`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(keys=fields.String(), values=fields.Nested(Signatures), **kwargs)


class UploadDetails(Strict):
    """What may be said of an uploaded file, in a form or a query."""

    release_notes = own.notes_text(load_default="")
    required = own.QueryBoolean(load_default=False)
    minimum_version = own.VersionText(load_default=None)
    metadata = own.Metadata(load_default=dict, as_text=True)
    checksum = own.Sha256(load_default=None)
    channel = fields.String(load_default=None)
    rollout = PlanValue(as_text=True, load_default=None)
    draft = own.QueryBoolean(load_default=False)
    also = Architectures(load_default=())
    minisign = signature()
    ed25519 = signature()


class UploadFields(UploadDetails):
    """The text fields beside a file."""

    version = own.VersionText(required=True)
    platform = own.platform(required=True)
    architecture = own.architecture(required=True)
    signatures = SignatureMap(load_default=dict)


class FileQuery(Strict):
    """The query beside the raw body of a companion."""

    kind = own.OneOf("kind", tuple(each.value for each in FileKind), load_default=None)
    checksum = own.Sha256(load_default=None)
    delta_from = own.Text(max_bytes=100, load_default=None)
    also = Architectures(load_default=())
    draft = own.QueryBoolean(load_default=False)
    minisign = signature()
    ed25519 = signature()


def load_fields(schema: Strict, given: Mapping[str, str]) -> dict[str, Any]:
    """Check text fields by a schema; `metadata` and `signatures` are JSON. Raises Invalid."""
    values: dict[str, Any] = dict(given)
    for name in ("metadata", "signatures"):
        if name in values:
            try:
                values[name] = load_object(given[name].encode())
            except (Malformed, UnicodeEncodeError):
                raise Invalid({name: "expected a JSON object without duplicate keys, NaN or Infinity"}) from None
    return load_values(schema, values)


def given_signatures(fields: Mapping[str, Any]) -> dict[str, str]:
    """Return the signatures among checked fields, by scheme."""
    return {scheme: fields[scheme] for scheme in SCHEMES if fields.get(scheme) is not None}


def request_of(application_id: str, given: dict[str, Any], rollouts: RolloutService) -> PublishRequest:
    """Say what checked fields ask to publish. Raises Invalid for a plan that contradicts itself."""
    return PublishRequest(
        application_id=application_id,
        version=given["version"],
        target=Target(given["platform"], given["architecture"]),
        notes=given["release_notes"],
        required=given["required"],
        minimum_version=given["minimum_version"],
        metadata=given["metadata"],
        channel=given["channel"],
        rollout=rollouts.read_plan(given["rollout"], "rollout"),
        also=given.get("also", ()),
        draft=given.get("draft", False),
    )
