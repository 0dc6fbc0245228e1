"""The appcast over HTTP: its address, its header, and what a client's version in it changes."""

from __future__ import annotations

import threading
from typing import Any
from xml.etree import ElementTree

import pytest

import updater.feeds.service as service
from tests.feeds.filing import publish, sign
from tests.feeds.values import ED25519
from tests.web.feeds.rollouts import half
from updater.catalog.model import Build
from updater.catalog.platforms import Target
from updater.feeds.appcast import NAMESPACE
from updater.feeds.notes import to_html

BASE = "/feeds/my-app/stable/appcast"
MAC, WINDOWS = Target("darwin", "amd64"), Target("windows", "amd64")


async def publish_signed(feeds: Any, version: str, target: Target, name: str, **more: Any) -> Build:
    made = await publish(feeds, version, target, {name: f"{version} {name}".encode()}, **more)
    await sign(feeds, made, name, "ed25519", ED25519)
    return made


async def items(feeds: Any, path: str) -> list[ElementTree.Element]:
    response, body = await feeds.exchange("GET", f"{BASE}/{path}", status=200)
    assert response.headers["Content-Type"] == "application/rss+xml; charset=utf-8"
    return ElementTree.fromstring(body).findall("channel/item")


async def test_the_releases_of_a_system(feeds: Any) -> None:
    assert await items(feeds, "macos.xml") == []
    await publish_signed(feeds, "1.0.0", MAC, "App.zip")
    await publish_signed(feeds, "1.1.0", MAC, "My App.zip", required=True, notes="* Größer ]]>")
    await publish_signed(feeds, "1.1.0", WINDOWS, "Setup.exe")
    await publish(feeds, "1.2.0", MAC, {"App.zip": b"unsigned"})
    newest, oldest = await items(feeds, "macos-x64.xml")
    assert newest.findtext(f"{{{NAMESPACE}}}version") == "1.1.0"
    assert newest.findtext("description") == "<ul>\n<li>Größer ]]&gt;</li>\n</ul>\n"
    enclosure = newest.find("enclosure")
    assert enclosure is not None
    url = f"{feeds.url}/api/v1/updates/my-app/download/1.1.0/darwin/amd64/My%20App.zip"
    assert enclosure.get("url") == url and enclosure.get(f"{{{NAMESPACE}}}edSignature") == ED25519
    assert oldest.findtext(f"{{{NAMESPACE}}}version") == "1.0.0"
    critical = [each.find(f"{{{NAMESPACE}}}criticalUpdate") is not None for each in await items(feeds, "macos.xml")]
    assert critical == [True, False]
    known = await items(feeds, "macos.xml?current_version=1.1.0")
    assert [each.find(f"{{{NAMESPACE}}}criticalUpdate") for each in known] == [None, None]
    (windows,) = await items(feeds, "windows.xml")
    assert windows.find("enclosure").get(f"{{{NAMESPACE}}}os") == "windows-x64"  # type: ignore[union-attr]
    assert await items(feeds, "windows-arm64.xml") == []


async def test_other_addresses(feeds: Any) -> None:
    for path in ("osx.xml", "macos", "macos-ppc.xml", "macos.rss", "..xml", "%2e%2e%2fmacos.xml"):
        assert (await feeds.call("GET", f"{BASE}/{path}", status=404))["code"] == "NOT_FOUND"


async def test_outside_the_rollout_the_one_before_is_first(feeds: Any) -> None:
    await publish_signed(feeds, "1.0.0", MAC, "App.zip")
    await publish_signed(feeds, "1.1.0", MAC, "App.zip", rollout=half(feeds))
    seen = set()
    for number in range(24):
        found = await items(feeds, f"macos.xml?client_id=laptop-{number}")
        seen.add(tuple(each.findtext(f"{{{NAMESPACE}}}version") for each in found))
    assert seen == {("1.1.0", "1.0.0"), ("1.0.0",)}


async def test_notes_are_made_in_a_thread_before_an_answer_holds_them(
    feeds: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parsing them takes 4 ms a KiB, which nobody else must wait for."""
    threads: list[str] = []

    def make(markdown: str) -> str:
        threads.append(threading.current_thread().name)
        return to_html(markdown)

    monkeypatch.setattr(service, "to_html", make)
    for number in range(3):
        await publish_signed(feeds, f"1.{number}.0", MAC, "App.zip", notes=f"Only here {number}")
    for _ in range(2):
        assert [each.findtext("description") for each in await items(feeds, "macos.xml")] == [
            f"<p>Only here {number}</p>\n" for number in (2, 1, 0)
        ]
    assert len(threads) == 3 and not any(each == "MainThread" for each in threads)
