"""The OpenAPI 3.0.3 document, written from the routes and their contracts by apispec."""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from aiohttp import web
from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import Schema, fields

import updater.web.fields as own
from updater import __version__
from updater.catalog.platforms import ARCHITECTURES, PLATFORMS
from updater.web.api.answer_schemas import ErrorAnswer
from updater.web.ops import ASSETS
from updater.web.routing import Contract, contract_of

_DESCRIPTION = (
    "Publish, check, download, report. Errors always have the same six keys. HEAD is answered wherever GET is; "
    "a method that a path does not have is 405 with `Allow`."
)
# Any request may be malformed, limited or unlucky; a body may also stall.
_ALWAYS_FAILURES = frozenset({400, 429, 500, 503})
_PARAMETER = re.compile(r"\{(\w+)\}")
_ANY_TEXT = {"type": "string", "format": "binary"}
_PATH_TEXTS: dict[str, dict[str, Any]] = {
    "app_id": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,100}$", "example": "my-app"},
    "version": {"type": "string", "minLength": 1, "maxLength": 100, "example": "1.0.0"},
    "platform": {"type": "string", "enum": list(PLATFORMS)},
    "arch": {"type": "string", "enum": list(ARCHITECTURES)},
    "name": {"type": "string", "enum": list(ASSETS)},
    "user_id": {"type": "integer", "format": "int64"},
    "id": {"type": "integer", "format": "int64"},
    "update_id": {"type": "integer", "format": "int64"},
}


def build_document(routes: Iterable[web.RouteDef]) -> dict[str, Any]:
    """Describe every route that has a contract."""
    plugin = MarshmallowPlugin()
    spec = APISpec(
        title="updater",
        version=__version__,
        openapi_version="3.0.3",
        plugins=[plugin],
        info={"description": _DESCRIPTION},
    )
    plugin.converter.add_attribute_function(_own_attributes)  # type: ignore[union-attr]
    spec.components.security_scheme("key", {"type": "http", "scheme": "bearer"})
    spec.components.security_scheme("token", {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"})
    for route in routes:
        contract = contract_of(route.handler)
        if contract is not None:
            path = re.sub(r"\{(\w+):[^}]*\}", r"{\1}", route.path)
            spec.path(path=path, operations={route.method.lower(): _operation(path, contract, route.handler)})
    document: dict[str, Any] = spec.to_dict()
    return document


def _operation(path: str, contract: Contract, handler: Any) -> dict[str, Any]:
    parameters: list[Any] = [
        {"in": "path", "name": name, "required": True, "schema": _PATH_TEXTS[name]} for name in _PARAMETER.findall(path)
    ]
    if contract.query is not None:
        parameters.append({"in": "query", "schema": contract.query})
    failures = {*contract.failures, *_ALWAYS_FAILURES} - set(contract.answers)
    if contract.body is not None:
        failures.add(408)
    if contract.level is not None:
        failures |= {401, 403}
    operation: dict[str, Any] = {
        "summary": contract.summary,
        "operationId": handler.__name__,
        "description": (handler.__doc__ or "").strip(),
        "parameters": parameters,
        "responses": {
            **{str(status): _answer(status, schema, contract) for status, schema in contract.answers.items()},
            **{str(status): _answer(status, ErrorAnswer(), contract) for status in sorted(failures)},
        },
    }
    if contract.level is not None:
        operation["security"] = [{contract.scheme: []}]
        needs = f"`{contract.level.word}` permission" if contract.scheme == "key" else f"a {contract.scheme}"
        operation["description"] += f" Needs {needs}."
    if contract.body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": contract.body}}}
    if contract.raw_body is not None:
        content = {media: {"schema": schema} for media, schema in contract.raw_body.items()}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _answer(status: int, schema: Schema | None, contract: Contract) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if schema is not None:
        answer["content"] = {"application/json": {"schema": schema}}
    elif status in (200, 206):
        answer["content"] = {media_type: {"schema": _ANY_TEXT} for media_type in contract.media_types}
    return answer


def _own_attributes(_: Any, field: fields.Field[Any], **__: Any) -> dict[str, Any]:
    """Describe our own field types to OpenAPI."""
    if isinstance(field, own.QueryTruth | own.Truth):
        return {"type": "boolean"}
    if isinstance(field, own.Moment):
        return {"type": "string"}
    if isinstance(field, own.Metadata):
        return {"type": "string"} if field.as_text else {"type": "object", "additionalProperties": True}
    if isinstance(field, own.ApplicationId):
        return {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,100}$", "example": "my-app"}
    if isinstance(field, own.Sha256):
        return {"type": "string", "pattern": "^(sha256:)?[0-9A-Fa-f]{64}$"}
    if isinstance(field, own.Text):
        example = {"example": "1.0.0"} if isinstance(field, own.VersionText) else {}
        return {"minLength": 0 if field.may_be_empty else 1, "maxLength": field.max_characters, **example}
    return {}
