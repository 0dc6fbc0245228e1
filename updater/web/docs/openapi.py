"""The OpenAPI 3.0.3 document, written from the routes and their contracts by apispec."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from aiohttp import web
from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import Schema, fields

import updater.web.messages.client_fields as client
import updater.web.messages.fields as own
from updater import __version__
from updater.access.principals import Permission
from updater.catalog.platforms import ARCHITECTURES, PLATFORMS
from updater.web.api.answer_schemas import ErrorAnswer
from updater.web.docs.pages import ASSETS
from updater.web.feeds.schemas import ToldVersion
from updater.web.gate.routing import BYTES, Contract, Surface, contract_of
from updater.web.gate.sessions import COOKIE
from updater.web.messages.bodies import BodyLimits

_DESCRIPTION = (
    "Publish, check, download, report. Errors have one shape in each interface. HEAD is answered wherever GET is; "
    "a method that a path does not have is 405 with `Allow`. Where installed clients of a private application ask, the "
    "path may begin with `/k/{feed_key}` instead of an Authorization header."
)
_CREDENTIALS = {
    "key": {"type": "http", "scheme": "bearer"},
    "desktop-key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
}
# Any request may be malformed, limited or unlucky; a body may also stall.
_ALWAYS_FAILURES = frozenset({400, 429, 500, 503})
_OF_ANY_TYPE = (client.Flag, client.ClientId, client.ReportId, client.Seconds, client.ErrorMessage, ToldVersion)
# Of tus 1.0.0.
_PHRASES = {460: "Checksum Mismatch"}
_ANY_TEXT = {"type": "string", "format": "binary"}
_PATH_TEXTS: dict[str, dict[str, Any]] = {
    "app_id": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,100}$", "example": "my-app"},
    "channel": {"type": "string", "example": "stable"},
    "target": {"type": "string", "enum": ["linux", "windows", "darwin"]},
    "machine": {"type": "string", "enum": ["x86_64", "aarch64", "i686", "armv7", "armhf"]},
    "current_version": {"type": "string", "minLength": 1, "maxLength": 100, "example": "1.0.0"},
    "system": {"type": "string", "example": "macos-arm64"},
    "manifest": {"type": "string", "description": "The id of the application."},
    "package": {"type": "string", "example": "Example.MyApp"},
    "file_name": {"type": "string", "minLength": 1, "maxLength": 180},
    "path": {"type": "string", "minLength": 1, "description": "Names with a slash between each two."},
    "version": {"type": "string", "minLength": 1, "maxLength": 100, "example": "1.0.0"},
    "platform": {"type": "string", "enum": list(PLATFORMS)},
    "arch": {"type": "string", "enum": list(ARCHITECTURES)},
    "asset": {"type": "string", "enum": list(ASSETS)},
    "name": {"type": "string", "minLength": 1, "maxLength": 100, "example": "anna"},
    "user_id": {"type": "integer", "format": "int64"},
    "id": {"type": "integer", "format": "int64"},
    "upload_id": {"type": "string", "example": "0f8fad5bd9cb469fa165708867b5f19d"},
    "update_id": {"type": "integer", "format": "int64"},
}


def build_document(surfaces: Sequence[Surface]) -> dict[str, Any]:
    """Return the OpenAPI document of all described surfaces, as a tree that JSON can hold.

    The REST API comes first, the others in the order given. A desktop API that is mounted twice is there twice.
    Source: OpenAPI Specification 3.0.3.
    """
    plugin = MarshmallowPlugin(schema_name_resolver=_name_of)
    spec = APISpec(
        title="updater",
        version=__version__,
        openapi_version="3.0.3",
        plugins=[plugin],
        info={"description": _DESCRIPTION},
    )
    plugin.converter.add_attribute_function(_own_attributes)  # type: ignore[union-attr]
    for name, scheme in _CREDENTIALS.items():
        spec.components.security_scheme(name, scheme)
    taken: set[str] = set()
    for surface in sorted(surfaces, key=lambda each: each.name != "api"):
        for route in surface.read_routes() if surface.described else ():
            contract = contract_of(route.handler)
            if contract is not None:
                path, names = _parse_path(route.path)
                operation = _operation(names, contract, route.handler, surface)
                operation["operationId"] = _unique(surface.name, route.handler.__name__, taken)
                spec.path(path=path, operations={route.method.lower(): operation})
    document: dict[str, Any] = spec.to_dict()
    return document


def _parse_path(path: str) -> tuple[str, tuple[str, ...]]:
    """Return a route's path as OpenAPI writes it, and the names of its parameters, in order.

    aiohttp parses the path: patterns of parameters may hold braces themselves, as in `{channel:[a-z]{1,40}}`.
    """
    resource = web.UrlDispatcher().add_resource(path)
    pattern = resource.get_info().get("pattern")
    return resource.canonical, () if pattern is None else tuple(pattern.groupindex)


def _name_of(schema: Any) -> str:
    """Name a schema for the document; those of other interfaces than the REST document's say whose they are."""
    kind = schema if isinstance(schema, type) else type(schema)
    place = kind.__module__.removeprefix("updater.web.").partition(".")[0]
    return kind.__name__ if place in ("api", "messages", "transfer") else f"{place.title()}{kind.__name__}"


def _unique(surface: str, name: str, taken: set[str]) -> str:
    """Name an operation: the handler's name, with the surface's before it outside the REST document."""
    own_name = name if surface == "api" else f"{surface}_{name}"
    numbered = (f"{own_name}_{number}" for number in itertools.count(2))
    chosen = own_name if own_name not in taken else next(each for each in numbered if each not in taken)
    taken.add(chosen)
    return chosen


def _operation(names: Sequence[str], contract: Contract, handler: Any, surface: Surface) -> dict[str, Any]:
    described = contract.path.fields if contract.path is not None else {}
    parameters: list[Any] = [
        {"in": "path", "name": name, "required": True, "schema": _PATH_TEXTS.get(name, {"type": "string"})}
        for name in names
        if name not in described
    ]
    if contract.path is not None:
        parameters.append({"in": "path", "schema": contract.path})
    if contract.query is not None:
        parameters.append({"in": "query", "schema": contract.query})
    parameters += [
        {"in": "header", "name": name, "required": False, "description": meaning, "schema": {"type": "string"}}
        for name, meaning in contract.headers.items()
    ]
    failures = {*contract.failures, *_ALWAYS_FAILURES} - set(contract.answers)
    if contract.body is not None:
        failures |= {408, 413}
    level = contract.level_on(surface)
    # What installed clients ask is public, unless the application is private.
    asks_of_private = contract.is_of_clients(names)
    if level is not None or asks_of_private:
        failures |= {401, 403}
    operation: dict[str, Any] = {
        "summary": contract.summary,
        "tags": [surface.name],
        # What a handler raises is described by the answers.
        "description": (inspect.getdoc(handler) or "").partition("\n\nRaises:")[0],
        "parameters": parameters,
        "responses": {
            **{str(status): _answer(status, schema, contract) for status, schema in contract.answers.items()},
            **{str(status): _answer(status, surface.error or ErrorAnswer(), contract) for status in sorted(failures)},
        },
    }
    if level is not None:
        schemes = [each.scheme for each in surface.authenticators]
        operation["security"] = [{scheme: []} for scheme in schemes]
        asked = "" if contract.requirement is None else f"; {contract.requirement.words}"
        operation["description"] += f" Needs {_needs(level, surface)}{asked}."
    elif asks_of_private:
        schemes = [each.scheme for each in surface.authenticators]
        operation["security"] = [{}, *({scheme: []} for scheme in schemes)]
        operation["description"] += f" Of a private application, needs {_needs(Permission.FEED, surface)}."
    if contract.body is not None:
        operation["requestBody"] = {
            "required": not contract.body_optional,
            "description": _say_limits(contract.body_limits),
            "content": {"application/json": {"schema": contract.body}},
        }
    if contract.raw_body is not None:
        content = {media: {"schema": schema} for media, schema in contract.raw_body.items()}
        operation["requestBody"] = {"required": not contract.body_optional, "content": content}
    return operation


def _say_limits(limits: BodyLimits) -> str:
    within = "" if limits.deadline_s is None else f", within {limits.deadline_s:g} seconds"
    return f"At most {limits.max_bytes} bytes{within}."


def _needs(level: Permission, surface: Surface) -> str:
    """Say what an operation asks for. A session beside keys stands for its person's permission."""
    key = next((each for each in surface.authenticators if each.scheme.endswith("key")), None)
    others = [each.scheme for each in surface.authenticators if each is not key]
    if key is None:
        return " or ".join(f"a {each}" for each in others)
    beside = "it" if key.least <= level else f"`{level.word}` permission"
    return f"`{max(level, key.least).word}` permission" + "".join(f", or a {each} with {beside}" for each in others)


def _answer(status: int, schema: Schema | None, contract: Contract) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": _PHRASES.get(status) or HTTPStatus(status).phrase}
    if contract.told and status < 300:
        answer["headers"] = {
            name: {"description": meaning, "schema": {"type": "string"}} for name, meaning in contract.told.items()
        }
    if schema is not None:
        answer["content"] = {"application/json": {"schema": schema}}
    if status in (200, 206):
        others = (contract.media_types or BYTES) if schema is None else contract.media_types
        answer.setdefault("content", {}).update({each: {"schema": _ANY_TEXT} for each in others})
    return answer


_EXAMPLES: tuple[tuple[type[own.Text], str], ...] = (
    (own.VersionText, "1.0.0"),
    (own.HttpUrl, "https://files.example.com/my-app-1.0.0.tar.gz"),
)


def _own_attributes(_: Any, field: fields.Field[Any], ret: dict[str, Any], **__: Any) -> dict[str, Any]:
    """Describe our own field types to OpenAPI."""
    if isinstance(field, _OF_ANY_TYPE):
        # Installed clients send these in several types, and all are read; OpenAPI 3.0 has no list of types.
        for told in ("type", "minimum", "maximum", "minLength", "maxLength", "pattern"):
            ret.pop(told, None)
        return {}
    if isinstance(field, own.QueryBoolean | own.StrictBoolean):
        return {"type": "boolean"}
    if isinstance(field, own.Timestamp):
        return {"type": "string"}
    if isinstance(field, own.Metadata):
        return {"type": "string"} if field.as_text else {"type": "object", "additionalProperties": True}
    if isinstance(field, own.ApplicationId):
        return {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,100}$", "example": "my-app"}
    if isinstance(field, own.Sha256):
        return {"type": "string", "pattern": "^(sha256:)?[0-9A-Fa-f]{64}$"}
    if isinstance(field, own.Text):
        examples = [each for kind, each in _EXAMPLES if isinstance(field, kind)]
        bounds = {"minLength": 0 if field.may_be_empty else 1, "maxLength": field.max_characters}
        return bounds | ({"example": examples[0]} if examples else {})
    return {}
