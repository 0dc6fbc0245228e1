"""What an application says to the feeds of package managers: taken, shown, replaced as a whole, audited."""

from __future__ import annotations

import json
from typing import Any

import pytest

from updater.audit.model import Filter

ONE = "/api/v1/applications/my-app"
SCOOP = {
    "description": "Does things",
    "homepage": "https://app.example",
    "license": "MIT",
    "bin": ["app.exe", ["tool.exe", "tool", "--quiet"]],
    "shortcuts": [["app.exe", "My App"]],
}
WINGET = {
    "package_identifier": "Example.MyApp",
    "publisher": "Example Inc",
    "license": "MIT",
    "short_description": "Does things",
}


async def change(service: Any, feeds: Any, status: int = 200) -> Any:
    return await service.call("PUT", ONE, key="admin", json={"feeds": feeds}, status=status)


async def shown(service: Any) -> Any:
    return (await service.call("GET", ONE, key="read"))["feeds"]


async def test_taken_at_creation_and_replaced_as_a_whole(service: Any) -> None:
    await service.application("other", feeds={"winget": WINGET})
    assert (await service.call("GET", "/api/v1/applications/other", key="read"))["feeds"] == {"winget": WINGET}
    both = {"scoop": SCOOP, "winget": WINGET | {"scope": "user", "installer_type": {"exe": "inno"}}}
    answer = await change(service, both)
    assert set(answer) == {"id", "message", "updated_at"}
    assert await shown(service) == both
    await service.call("PUT", ONE, key="admin", json={"name": "New"}, status=200)
    assert await shown(service) == both
    await change(service, {"scoop": {"bin": "app.exe"}})
    assert await shown(service) == {"scoop": {"bin": "app.exe"}}
    await change(service, {})
    assert await shown(service) == {}
    rows, _ = await service.services.audit.list_rows(Filter(actions=("feeds.set",)))
    assert [(json.loads(each.before or ""), json.loads(each.after or "")) for each in rows] == [
        ({"feeds": {"scoop": {"bin": "app.exe"}}}, {"feeds": {}}),
        ({"feeds": both}, {"feeds": {"scoop": {"bin": "app.exe"}}}),
        ({"feeds": {}}, {"feeds": both}),
    ]


@pytest.mark.parametrize(
    ("feeds", "field"),
    [
        ([], "feeds"),
        (None, "feeds"),
        ({"chocolatey": {}}, "feeds.chocolatey"),
        ({"winget": None}, "feeds.winget"),
        ({"winget": {}}, "feeds.winget.package_identifier"),
        ({"winget": WINGET | {"package_identifier": "MyApp"}}, "feeds.winget.package_identifier"),
        ({"winget": WINGET | {"package_identifier": "Example.My App"}}, "feeds.winget.package_identifier"),
        ({"winget": WINGET | {"package_identifier": "A." + "b" * 33}}, "feeds.winget.package_identifier"),
        ({"winget": WINGET | {"package_identifier": "../etc/passwd"}}, "feeds.winget.package_identifier"),
        ({"winget": WINGET | {"publisher": "x"}}, "feeds.winget.publisher"),
        ({"winget": WINGET | {"short_description": "x" * 257}}, "feeds.winget.short_description"),
        ({"winget": WINGET | {"scope": "all"}}, "feeds.winget.scope"),
        ({"winget": WINGET | {"installer_type": {"exe": "zip"}}}, "feeds.winget.installer_type.exe"),
        ({"winget": WINGET | {"installer_type": {"zip": "portable"}}}, "feeds.winget.installer_type.zip"),
        ({"winget": WINGET | {"portable_files": []}}, "feeds.winget.portable_files"),
        ({"winget": WINGET | {"other": 1}}, "feeds.winget.other"),
        ({"scoop": {"homepage": "javascript:alert(1)"}}, "feeds.scoop.homepage"),
        ({"scoop": {"license": ""}}, "feeds.scoop.license"),
        ({"scoop": {"description": "a\nb"}}, "feeds.scoop.description"),
        ({"scoop": {"bin": 1}}, "feeds.scoop.bin"),
        ({"scoop": {"bin": []}}, "feeds.scoop.bin"),
        ({"scoop": {"bin": [["app.exe", 1]]}}, "feeds.scoop.bin"),
        ({"scoop": {"bin": ["a\x00"]}}, "feeds.scoop.bin"),
        ({"scoop": {"bin": ["a"] * 65}}, "feeds.scoop.bin"),
        ({"scoop": {"shortcuts": "app.exe"}}, "feeds.scoop.shortcuts"),
        ({"scoop": {"shortcuts": [["app.exe"]]}}, "feeds.scoop.shortcuts"),
        ({"scoop": {"shortcuts": [["a", "b", "c", "d", "e"]]}}, "feeds.scoop.shortcuts"),
    ],
)
async def test_what_does_not_fit_is_named(service: Any, feeds: Any, field: str) -> None:
    answer = await change(service, feeds, 422)
    assert field in answer["details"]
    assert await shown(service) == {}
