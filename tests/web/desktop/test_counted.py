"""Update requests and downloads of desktop clients are in the figures."""

from __future__ import annotations

from typing import Any

FIGURES = "/api/v1/applications/bkgt-manager/figures"


async def test_desktop_clients_are_counted(desktop: Any) -> None:
    await desktop.upload("1.2.0")
    await desktop.latest("1.0.0")
    await desktop.latest("1.0.0")
    await desktop.latest(platform="win32-x64")
    response, _ = await desktop.exchange("GET", "/latest", status=200)
    await desktop.exchange("GET", "/latest", headers={"If-None-Match": response.headers["ETag"]}, status=304)
    await desktop.compatibility("1.1.0", platform="win32-x64")
    await desktop.download("1.2.0", status=200)
    body = {"current_version": "1.1.0", "target_version": "1.2.0", "platform": "win32-x64", "status": "completed"}
    await desktop.call("POST", "/status", json=body, status=200)
    found = await desktop.service.call("GET", FIGURES, key="read", status=200)
    versions = {each["version"]: each for each in found["versions"]}
    assert {name: each["checks"] for name, each in versions.items()} == {
        "1.0.0": 2,
        "unknown": 3,
        "1.1.0": 1,
        "1.2.0": 0,
    }
    assert (versions["1.2.0"]["installs"], versions["1.2.0"]["downloads_finished"]) == (1, 1)
    assert [(each["platform"], each["checks"]) for each in found["platforms"]] == [("windows", 4), ("unknown", 2)]
