"""Routes, schemas and document agree. Every answer of the other tests here is held to the document as well."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.web.description import Description
from updater.app import build_app
from updater.web.gate.routing import contract_of


async def test_every_route_is_described_and_nothing_else(start_service: Any) -> None:
    """Control: a route without a contract is in the application, but not in the document."""
    service = await start_service(desktop=[{}, {"prefix": "/desktop/other", "application": "other"}])
    document = await service.call("GET", "/api/v1/openapi.json", status=200)
    described = {(method.upper(), path) for path, operations in document["paths"].items() for method in operations}
    # HEAD is answered wherever GET is, and described where it says more.
    described = {each for each in described if each[0] != "HEAD"}
    routed = {
        (route.method, route.resource.canonical)
        for route in build_app(service.services).router.routes()
        if route.method != "HEAD" and route.resource is not None
    }
    pages = {each for each in routed if each[1].startswith("/admin") and each not in described}
    pages |= {("GET", "/"), ("GET", "/favicon.ico")}
    assert described == routed - pages
    assert not any(path.startswith(("/admin/update/", "/admin/status/")) for _, path in pages)


async def test_each_route_has_a_contract(service: Any) -> None:
    for route in build_app(service.services).router.routes():
        assert contract_of(route.handler) is not None, route


async def test_protected_operations_say_so(service: Any) -> None:
    document = await service.call("GET", "/api/v1/openapi.json", status=200)
    for path, operations in document["paths"].items():
        if not path.startswith("/api/v1"):
            continue
        for operation in operations.values():
            assert ("401" in operation["responses"]) == ("security" in operation), path
            assert operation["summary"]
            assert {"400", "429", "500", "503"} <= set(operation["responses"])


async def test_every_credential_of_an_interface_is_listed(start_service: Any) -> None:
    service = await start_service(desktop=[{}])
    document = await service.call("GET", "/api/v1/openapi.json", status=200)
    expected = {
        "api": [{"key": []}, {"session": []}],
        "deployments": [{"key": []}, {"session": []}],
        "desktop": [{"desktop-key": []}],
        "system": [{"session": []}],
        "admin": [{"session": []}],
        "updates": [{"token": []}],
        "tus": [{"key": []}, {"session": []}],
    }
    seen = {
        (operation["tags"][0], str(operation["security"]))
        for operations in document["paths"].values()
        for operation in operations.values()
        if "security" in operation
    }
    # The public routes of an application: a private one asks for a credential there too.
    optional = {(name, str([{}, *expected["api"]])) for name in ("api", "feeds")}
    assert seen == {(name, str(security)) for name, security in expected.items()} | optional
    schemes = {name for security in expected.values() for each in security for name in each}
    assert set(document["components"]["securitySchemes"]) == schemes
    deletion = document["paths"]["/api/v1/applications/{app_id}"]["delete"]
    assert deletion["description"].endswith("Needs `admin` permission, or a session with it.")


async def test_operation_ids_are_unique_and_schemas_are_there(start_service: Any) -> None:
    """Two desktop APIs have the same handlers, and several interfaces schemas of one name."""
    service = await start_service(desktop=[{}, {"prefix": "/desktop/other", "application": "other"}])
    document = await service.call("GET", "/api/v1/openapi.json", status=200)
    operations = [each for path in document["paths"].values() for each in path.values()]
    ids = [each["operationId"] for each in operations]
    assert len(set(ids)) == len(ids)
    assert {"check_for_update", "desktop_get_latest", "desktop_get_latest_2", "system_check_updates"} <= set(ids)
    schemas = document["components"]["schemas"]
    assert document["openapi"] == "3.0.3"
    used = set(re.findall(r"#/components/schemas/([\w.-]+)", str(document)))
    assert used <= set(schemas)


def test_the_judge_itself_can_fail() -> None:
    document = {
        "components": {"schemas": {"ErrorAnswer": {"type": "object", "properties": {}}}},
        "paths": {
            "/x/{id}": {
                "get": {
                    "responses": {
                        "200": {
                            "content": {
                                "application/json": {
                                    "schema": {
                                        "type": "object",
                                        "required": ["a"],
                                        "properties": {"a": {"type": "string", "nullable": True}},
                                    }
                                }
                            }
                        }
                    }
                }
            }
        },
    }
    judge = Description(document)
    judge.hold("GET", "/x/1", 200, "application/json", b'{"a": null}')
    for status, media_type, body in (
        (201, "application/json", b'{"a": "b"}'),
        (200, "text/html", b'{"a": "b"}'),
        (200, "application/json", b"{}"),
        (200, "application/json", b'{"a": 1}'),
        (200, "application/json", b'{"a": "b", "extra": 1}'),
    ):
        with pytest.raises(AssertionError):
            judge.hold("GET", "/x/1", status, media_type, body)


async def test_a_closed_list_for_a_part_of_a_path_is_that_of_its_route(service: Any) -> None:
    """Parts are described by name: the names of people must not be described as those of the page's files."""
    document = await service.call("GET", "/api/v1/openapi.json", status=200)
    closed: dict[str, set[str]] = {}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for each in operation.get("parameters", ()):
                if each["in"] == "path" and "enum" in each["schema"]:
                    closed.setdefault(each["name"], set()).add(path)
    assert closed.pop("asset") == {"/api/v1/docs/{asset}"}
    assert set(closed) == {"platform", "arch", "target", "machine"}
