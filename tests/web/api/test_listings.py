"""Long pages: the same document in slices, whatever their length."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Service
from updater.web.gate import listings


async def test_a_page_in_slices_is_the_page_in_one(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(9):
        await service.publish(f"{number}".encode(), f"1.0.{number}", release_notes="x" * 3_000)
    await service.application("another")
    paths = ("/api/v1/updates/my-app/releases", "/api/v1/applications", "/api/v1/updates/my-app/history")
    asked: list[dict[str, Any]] = [
        {"limit": limit, "offset": offset} for limit in (1, 4, 5, 8, 9, 10, 1000) for offset in (0, 2)
    ]
    for path in paths:
        for query in asked:
            monkeypatch.setattr(listings, "SLICE_ROWS", 1_000)
            whole = await service.call("GET", path, key="admin", params=query, status=200)
            for rows in (1, 2, 3, 4, 9):
                monkeypatch.setattr(listings, "SLICE_ROWS", rows)
                response, _ = await service.exchange("GET", path, key="admin", params=query, status=200)
                assert await response.json() == whole
                assert list(await response.json()) == list(whole)
                assert response.headers["X-Request-ID"]
        _, body = await service.exchange("HEAD", path, key="admin", params={"limit": 1000}, status=200)
        assert body == b""
