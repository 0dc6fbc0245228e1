"""Hold real answers to the OpenAPI document: status, media type, every key."""

from __future__ import annotations

import re
from typing import Any

import jsonschema_rs
import orjson

# What every path may answer without saying so: a wrong method, and what is refused before there is an operation.
UNSPOKEN = {405, 417}
# Pages and what their scripts ask are no interface.
PAGES = "/admin/"
FOR_BROWSERS = ("/", "/favicon.ico")
# Words that begin the paths of other interfaces are no parameters: a user's tasks lie beside them.
_SEGMENT = "(?!(?:v1|updates|system)/)[^/]+"


class Description:
    """The document, ready to judge answers."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self._components = _closed(document["components"])
        # As OpenAPI has it, what a path spells out comes before what it leaves open.
        spelt = sorted(document["paths"].items(), key=lambda each: len(re.sub(r"\{\w+\}", "", each[0])), reverse=True)
        self._paths = [
            (re.compile(re.sub(r"\\\{(\w+)\\\}", _parameter, re.escape(path))), operations)
            for path, operations in spelt
        ]

    def find(self, method: str, path: str) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        """Return the operation for a request, and one of the same path; HEAD is described by GET unless by itself."""
        name = method.lower()
        fitting = [operations for pattern, operations in self._paths if pattern.fullmatch(path)]
        beside = next((operation for operations in fitting for operation in operations.values()), None)
        names = ("head", "get") if name == "head" else (name,)
        found = (operations[each] for each in names for operations in fitting if each in operations)
        return next(found, None), beside

    def hold(self, method: str, path: str, status: int, media_type: str, body: bytes) -> None:
        """Fail unless the document allows this answer."""
        if (path.startswith(PAGES) or (path in FOR_BROWSERS and status != 404)) and not self.find(method, path)[1]:
            return
        operation, beside = self.find(method, path)
        if (method, status) == ("OPTIONS", 204):
            return  # what a browser asks before it sends another site's request
        if operation is None:
            assert status in (404, 405) or (method, status) == ("OPTIONS", 204), (
                f"{method} {path} is not described, and answered {status}"
            )
        if operation is None or status in UNSPOKEN:
            self._hold_error(beside, body, method)
            return
        described = operation["responses"].get(str(status))
        assert described is not None, f"{method} {path}: {status} is not described"
        if method == "HEAD" or not body:
            return
        content = described.get("content", {})
        assert media_type in content, f"{method} {path}: {status} {media_type} is not described"
        if media_type == "application/json":
            self._validate(content[media_type]["schema"], orjson.loads(body), f"{method} {path} {status}")

    def _hold_error(self, operation: dict[str, Any] | None, body: bytes, method: str) -> None:
        """Fail unless this is the error shape of an operation's interface."""
        schema = {"$ref": "#/components/schemas/ErrorAnswer"}
        if operation is not None and "429" in operation["responses"]:
            schema = operation["responses"]["429"]["content"]["application/json"]["schema"]
        if method != "HEAD":
            self._validate(schema, orjson.loads(body), method)

    def _validate(self, schema: dict[str, Any], value: Any, what: str) -> None:
        if schema.get("format") == "binary":
            return
        whole = {**_closed(schema), "components": self._components}
        validator = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
        problems = [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(value)]
        assert not problems, f"{what}: {problems}"


def _parameter(found: re.Match[str]) -> str:
    """Return the pattern of a parameter; `path` alone may hold slashes."""
    return ".+" if found[1] == "path" else _SEGMENT


def _closed(schema: Any) -> Any:
    """Turn OpenAPI 3.0 into JSON Schema, and refuse keys that the document does not describe."""
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
