"""The OpenAPI writer, with surfaces made up for it."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web
from marshmallow import Schema, fields

from updater.access.principals import Permission
from updater.web.docs.openapi import build_document
from updater.web.gate.credentials import bearer
from updater.web.gate.routing import Authenticator, Contract, Surface, endpoint
from updater.web.messages.errors import write_api


class ChannelPath(Schema):
    """A path of which one part is described."""

    channel = fields.String(required=True)


class Handlers:
    """Handlers with and without a schema of their path."""

    @endpoint(Contract("Public", answers={200: None}))
    async def public(self, request: web.Request) -> web.Response:
        """Answer."""
        return web.Response()

    @endpoint(Contract("Described", Permission.WRITE, path=ChannelPath(), parses_itself=True, answers={200: None}))
    async def described(self, request: web.Request) -> web.Response:
        """Answer."""
        return web.Response()


def refuse(*_: Any) -> None:
    raise AssertionError


def describe(*routes: web.RouteDef, schemes: tuple[str, ...] = ("key",), level: Permission | None = None) -> Any:
    authenticators = tuple(Authenticator(scheme, bearer, refuse, identify=lambda _: None) for scheme in schemes)
    surface = Surface("api", "/", routes, authenticators, write_api, level=level)
    return build_document([surface])["paths"]


def parameters(operation: Any) -> list[tuple[str, dict[str, Any]]]:
    assert all(each["in"] == "path" and each["required"] for each in operation["parameters"])
    return [(each["name"], each["schema"]) for each in operation["parameters"]]


@pytest.mark.parametrize(
    ("path", "written", "names"),
    [
        ("/plain", "/plain", []),
        ("/feeds/{channel}", "/feeds/{channel}", ["channel"]),
        ("/feeds/{channel:[a-z]{1,40}}/{arch}.zsync", "/feeds/{channel}/{arch}.zsync", ["channel", "arch"]),
        ("/feeds/latest-{arch}.yml", "/feeds/latest-{arch}.yml", ["arch"]),
        ("/{a}-{b}.{c:x{2}|y{3,}}", "/{a}-{b}.{c}", ["a", "b", "c"]),
        ("/{a:(?!(?:v1|updates)/)[^/]+}/x", "/{a}/x", ["a"]),
        ("/{a_1:\\d{4}}/{name:.+}", "/{a_1}/{name}", ["a_1", "name"]),
    ],
)
def test_parameters_of_any_path(path: str, written: str, names: list[str]) -> None:
    (found,) = describe(web.get(path, Handlers().public)).items()
    assert found[0] == written
    assert [name for name, _ in parameters(found[1]["get"])] == names


def test_a_prefix_with_a_parameter() -> None:
    prefix = "/{app_id}/{channel}"
    paths = describe(web.get(f"{prefix}/{{version}}", Handlers().public), web.post(prefix, Handlers().public))
    assert list(paths) == ["/{app_id}/{channel}/{version}", "/{app_id}/{channel}"]
    found = dict(parameters(paths["/{app_id}/{channel}/{version}"]["get"]))
    assert found["app_id"]["example"] == "my-app"
    assert found["channel"] == {"type": "string", "example": "stable"}
    assert found["version"]["maxLength"] == 100


def test_a_schema_of_the_path_describes_what_it_names_and_no_more() -> None:
    (path,) = describe(web.get("/{other}/{channel:[a-z]{1,40}}", Handlers().described)).values()
    assert sorted(parameters(path["get"])) == [("channel", {"type": "string"}), ("other", {"type": "string"})]


def test_every_credential_of_a_surface() -> None:
    routes = web.get("/public", Handlers().public), web.get("/{channel}", Handlers().described)
    paths = describe(*routes, schemes=("key", "session"))
    assert "security" not in paths["/public"]["get"]
    assert "security" not in paths["/public"]["get"]
    assert paths["/{channel}"]["get"]["security"] == [{"key": []}, {"session": []}]
    assert paths["/{channel}"]["get"]["description"] == "Answer. Needs `write` permission, or a session with it."
    assert {"401", "403"} <= set(paths["/{channel}"]["get"]["responses"])


def test_a_surface_may_ask_for_a_level_where_a_contract_names_none() -> None:
    (path,) = describe(web.get("/x", Handlers().public), schemes=("session",), level=Permission.ADMIN).values()
    assert path["get"]["security"] == [{"session": []}]
    assert path["get"]["description"] == "Answer. Needs a session."
