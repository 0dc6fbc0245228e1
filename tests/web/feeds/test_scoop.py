"""Scoop's manifest over HTTP."""

from __future__ import annotations

import hashlib
from typing import Any

from tests.actors import TESTER
from tests.feeds.filing import publish
from updater.catalog.platforms import Target

PATH = "/feeds/my-app/stable/scoop/my-app.json"


async def test_the_manifest(feeds: Any) -> None:
    await feeds.exchange("GET", PATH, status=404)
    await publish(feeds, "1.0.0", Target("windows", "amd64"), {"app.zip": b"zip"})
    response, _ = await feeds.exchange("GET", PATH, status=200)
    assert response.headers["Content-Type"] == "application/json"
    answer = await feeds.call("GET", PATH)
    url = f"{feeds.url}/api/v1/updates/my-app/download/1.0.0/windows/amd64/app.zip"
    assert answer["version"] == "1.0.0"
    assert answer["architecture"] == {"64bit": {"url": url, "hash": hashlib.sha256(b"zip").hexdigest()}}
    said = {"homepage": "https://app.example", "license": "MIT", "description": "Does things", "bin": "app.exe"}
    await feeds.services.catalog.update_application("my-app", {"feeds": {"scoop": said}}, actor=TESTER)
    assert said.items() <= (await feeds.call("GET", PATH)).items()
    for path in ("other.json", "my-app", "my-app.yml", "my-app.json/x"):
        await feeds.exchange("GET", PATH.replace("my-app.json", path), status=404)
