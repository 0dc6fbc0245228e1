"""Hold real answers to the OpenAPI document: status, media type, every key."""

from __future__ import annotations

import re
from typing import Any

import jsonschema_rs
import orjson

# What every path may answer without saying so: a wrong method, and what is refused before there is an operation.
UNSPOKEN = {405, 417}


class Description:
    """The document, ready to judge answers."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self._components = _closed(document["components"])
        self._paths = [
            (re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path))), operations)
            for path, operations in document["paths"].items()
        ]

    def find(self, method: str, path: str) -> dict[str, Any] | None:
        """Return the operation for a request; HEAD is described by GET."""
        for pattern, operations in self._paths:
            if pattern.fullmatch(path):
                return operations.get("get" if method == "HEAD" else method.lower())
        return None

    def hold(self, method: str, path: str, status: int, media_type: str, body: bytes) -> None:
        """Fail unless the document allows this answer."""
        operation = self.find(method, path)
        if operation is None:
            assert status in (404, 405), f"{method} {path} is not described, and answered {status}"
            self.hold_error(body, method)
            return
        if status in UNSPOKEN:
            self.hold_error(body, method)
            return
        described = operation["responses"].get(str(status))
        assert described is not None, f"{method} {path}: {status} is not described"
        if method == "HEAD" or not body:
            return
        content = described.get("content", {})
        assert media_type in content, f"{method} {path}: {status} {media_type} is not described"
        if media_type == "application/json":
            self._validate(content[media_type]["schema"], orjson.loads(body), f"{method} {path} {status}")

    def hold_error(self, body: bytes, method: str = "GET") -> None:
        """Fail unless this is the error shape."""
        if method != "HEAD":
            self._validate({"$ref": "#/components/schemas/ErrorAnswer"}, orjson.loads(body), method)

    def _validate(self, schema: dict[str, Any], value: Any, what: str) -> None:
        if schema.get("format") == "binary":
            return
        whole = {**_closed(schema), "components": self._components}
        validator = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
        problems = [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(value)]
        assert not problems, f"{what}: {problems}"


def _closed(schema: Any) -> Any:
    """Turn OpenAPI 3.0 into JSON Schema, and refuse keys nobody described."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: _closed(value) for key, value in schema.items()}
    if result.pop("nullable", False) and "type" in result:
        result["type"] = [result["type"], "null"]
    if isinstance(result.get("properties"), dict) and result.get("type") == "object":
        result.setdefault("additionalProperties", False)
    return result
