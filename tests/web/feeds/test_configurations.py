"""The lines that developers paste into their applications: every address in them is one of the service.

Control: a letter changed in an address of the README turns it red.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import updater.web.feeds as feeds_surface
from updater.app import build_app
from updater.catalog.model import CONFIG_DEFAULTS, Application
from updater.catalog.versions import Scheme
from updater.feeds.recipes import KEY_PLACE, Recipe, list_recipes
from updater.web.gate.routing import contract_of

README = Path(feeds_surface.__file__).with_name("README.md")
ORIGIN = "https://updates.example.com"
ADDRESS = re.compile(re.escape(ORIGIN) + r"[^\s\"'`<>)|]*")
# What clients put into an address, and what they ask below one that is no file.
PLACEHOLDERS = {"{{target}}": "linux", "{{arch}}": "x86_64", "{{current_version}}": "1.0.0"}
BELOW = {
    "/electron": "/latest-mac.yml",
    "/squirrel/": "darwin-arm64/1.0.0",
    "/velopack/win-x64": "/releases.win.json",
    "/winget": "/information",
    "/tuf": "/metadata/timestamp.json",
}


def addresses() -> list[str]:
    found = sorted(
        {each.rstrip(".,:;}") if not each.endswith("}}") else each for each in ADDRESS.findall(README.read_text())}
    )
    return [each.removeprefix(ORIGIN) for each in found]


async def test_every_address_to_paste_is_a_route(service: Any) -> None:
    app = build_app(service.services)
    found = addresses()
    assert len(found) >= 10
    for address in found:
        for placeholder, value in PLACEHOLDERS.items():
            address = address.replace(placeholder, value)
        path = address.partition("?")[0]
        path += next((more for end, more in BELOW.items() if path.endswith(end)), "")
        handlers = [
            route.handler
            for route in app.router.routes()
            if route.resource is not None and route.resource._match(path) is not None
        ]
        assert any(contract_of(handler) for handler in handlers), f"{address} is no address of the service"


def test_the_lines_of_pages_and_interface_are_those_of_the_readme() -> None:
    """Control: a line changed in either turns it red."""
    application = application_of(feeds={"winget": {}})
    listed = list_recipes(application, "stable", ORIGIN)
    assert len(listed) == 10
    text = README.read_text()
    for each in listed:
        assert f"\n{each.text}\n" in text, each.updater


def test_addresses_of_a_private_application_have_room_for_a_key() -> None:
    listed = list_recipes(application_of(private=True), "beta", ORIGIN)
    assert {each.updater for each in listed} == {each.updater for each in _all()} - {"WinGet"}
    for each in listed:
        assert f"{ORIGIN}/k/{KEY_PLACE}/feeds/my-app/beta/{each.feed}" in each.text


def _all() -> list[Recipe]:
    return list_recipes(application_of(feeds={"winget": {}}), "stable", ORIGIN)


def application_of(**fields: Any) -> Application:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return Application("my-app", "My App", "", ("linux",), CONFIG_DEFAULTS, Scheme.SEMVER, at, at, **fields)
