"""What every answer says to browsers and caches."""

from __future__ import annotations

import pytest

from tests.conftest import Service
from tests.web.people import cookie_of
from tests.web.raw import request, send
from updater.web.messages.path_keys import hide_key

URLS = [
    "https:\\\\evil.example/a",
    "https://good.example\\@evil.example/a",
    "https://user@host.example/a",
    "https://user:pass@host.example/a",
    "https://good.example%40@evil.example/a",
    "https://host.example/a\tb",
    "https://host.example/a\r\nX: y",
    "ht\ntps://host.example/a",
    "https://host.example/\x00",
    "https://host.example/\x7f",
    "javascript:alert(1)",
    "ftp://host.example/a",
    "file:///etc/passwd",
    "data:text/plain,a",
    "//host.example/a",
    "https:host.example/a",
    "https:///a",
    "https://%65vil.example/a",
    "https://good.example%40evil.example/a",
    "https://good..example/a",
    "https://.example/a",
    "https://host.example:99999/a",
    'https://host.example/"a',
    "https://host.example/<a>",
]


@pytest.mark.parametrize("url", URLS)
async def test_odd_external_addresses_are_refused(service: Service, url: str) -> None:
    body = {"application_id": "my-app", "version": "1.0.0", "platform": "linux", "architecture": "amd64"}
    body |= {"download_url": url, "checksum": "ab" * 32, "checksum_type": "sha256"}
    answer = await service.call("POST", "/api/v1/updates/my-app/register", key="write", json=body, status=422)
    assert "download_url" in answer["errors"]


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/api/v1/applications", "/api/v1/updates/none/check", "/admin/dashboard/", "/api/system/update/check"],
)
async def test_errors_are_kept_by_nobody(service: Service, path: str) -> None:
    answer, _ = await service.exchange("GET", path)
    assert answer.status >= 300
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_what_never_reaches_the_gate_says_it_too(service: Service) -> None:
    for head in (b"nonsense\r\n\r\n", request("GET", "/health", "Expect: x")):
        answer = await send(service.url, head)
        assert answer.status in (400, 417)
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path", ["/health", "/metrics", "/api/v1/docs", "/api/v1/openapi.json", "/api/v1/docs/start.js"]
)
async def test_no_answer_is_sniffed(service: Service, path: str) -> None:
    answer, _ = await service.exchange("GET", path, status=200)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["/api/v1/docs", "/admin/sign-in/"])
async def test_pages_have_a_complete_policy(service: Service, path: str) -> None:
    await cookie_of(service, "admin")  # while there is nobody, people are led to the first account
    answer, _ = await service.exchange("GET", path, status=200)
    policy = dict(each.strip().split(" ", 1) for each in answer.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert policy["form-action"] in ("'none'", "'self'")
    assert "unsafe" not in policy["script-src"]


@pytest.mark.parametrize(
    "path", ["/k/{}/x", "//k/{}/x", "/K/{}/x", "/k//{}", "/updates/k/{}/api/v1/check", "///k//{}/", "/k/{0}/k/{0}/x"]
)
def test_keys_in_paths_are_not_shown_wherever_they_were_put(path: str) -> None:
    key = "abcd" * 10
    assert key not in hide_key(path.format(key))
    assert hide_key("/api/v1/updates/k/check") == "/api/v1/updates/k/check"
