"""What a request says of the host it is for: the target and the Host header agree, and links are of what was asked.

Control: `require_own_authority` that returns at once.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conftest import Service, StartService
from tests.web.exchange import request_bytes
from tests.web.raw import RawAnswer, send

CHECK = "/api/v1/updates/my-app/check?current_version=0.9.0&platform=linux&architecture=amd64"
DESKTOP = "/wp-json/bkgt/v1/updates"


def head(target: str, *lines: str, version: str = "1.1", method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/{version}", *lines, "Connection: close", "", ""]).encode()


async def ask(service: Service, target: str, *lines: str, version: str = "1.1", method: str = "GET") -> RawAnswer:
    return await send(service.url, head(target, *lines, version=version, method=method))


@pytest.fixture
async def published(start_service: StartService) -> Service:
    service = await start_service()
    await service.application()
    await service.publish()
    return service


FOREIGN = [
    "http://evil.example{path}",
    "HTTP://EVIL.EXAMPLE{path}",
    "http://evil.example:{port}{path}",
    "http://{host}.{path}",
    "http://{host}:{other}{path}",
    "http://{name}{path}",
    "http://user@{host}{path}",
    "http://user:pass@{host}{path}",
    "http://{host}@evil.example{path}",
    "http://[::1]:{port}{path}",
    "http://[{name}]:{port}{path}",
    "https://{host}{path}",
    "ftp://{host}{path}",
    "http://evil.example\\{path}",
    "http://evil.example?{path}",
    "http://127.0.0.%31:{port}{path}",
]


@pytest.mark.parametrize("form", FOREIGN)
async def test_a_target_for_another_host_is_refused_and_changes_nobodys_links(published: Service, form: str) -> None:
    host = published.url.removeprefix("http://")
    name, _, port = host.partition(":")
    target = form.format(path=CHECK, host=host, name=name, port=port, other=int(port) % 60000 + 1024)
    answer = await ask(published, target, f"Host: {host}")
    assert answer.status == 400
    if answer.body.startswith(b"{"):
        assert answer.json["code"] in ("INVALID_REQUEST", "BAD_REQUEST")
    assert "evil" not in answer.body.decode()
    honest = await ask(published, CHECK, f"Host: {host}")
    assert honest.json["download_url"].startswith(f"{published.url}/api/v1/updates/my-app/download/")


@pytest.mark.parametrize("target", ["evil.example:443", "evil.example", "localhost:8080"])
async def test_the_target_of_a_tunnel_is_refused(published: Service, target: str) -> None:
    answer = await ask(published, target, "Host: other.example", method="CONNECT")
    assert answer.status == 400


@pytest.mark.parametrize("path", ["/", "/nothing/here", "/admin/status/", "/health", "/metrics"])
async def test_the_refusal_does_not_depend_on_the_path(published: Service, path: str) -> None:
    answer = await ask(published, f"http://evil.example{path}", f"Host: {published.url.removeprefix('http://')}")
    assert answer.status == 400


@pytest.mark.parametrize(
    ("target", "host"),
    [
        ("http://updates.example{path}", "updates.example"),
        ("HTTP://UPDATES.example:80{path}", "updates.EXAMPLE"),
        ("http://updates.example{path}", "updates.example:80"),
        ("http://updates.example:8080{path}", "updates.example:8080"),
        ("http://[2001:DB8::1]:8080{path}", "[2001:db8::1]:8080"),
        ("http://[2001:db8::1]{path}", "[2001:db8::1]"),
    ],
)
async def test_a_target_for_the_same_host_gives_the_links_of_the_header(
    published: Service, target: str, host: str
) -> None:
    for _ in range(2):
        answer = await ask(published, target.format(path=CHECK), f"Host: {host}")
        assert answer.status == 200
        assert answer.json["download_url"].startswith(f"http://{host}/")


@pytest.mark.parametrize(
    "lines",
    [["Host: a.example", "Host: b.example"], ["Host: a.example", "Host: a.example"], [], ["Host:"], ["Host: a, b"]],
)
async def test_more_or_fewer_than_one_host_is_refused(published: Service, lines: list[str]) -> None:
    assert (await ask(published, CHECK, *lines)).status == 400


async def test_a_request_of_http_1_0_without_a_host_gets_no_invented_one(published: Service) -> None:
    assert (await ask(published, CHECK, version="1.0")).status == 400
    assert (await ask(published, "http://evil.example" + CHECK, version="1.0")).status == 400
    assert (await ask(published, "/health", version="1.0")).status == 200


async def test_nobody_says_with_forwarding_headers_where_we_are(start_service: StartService) -> None:
    """Not even a trusted proxy: it has `server.public_url` for that."""
    service = await start_service(server={"trusted_proxies": ["127.0.0.0/8"]})
    await service.application()
    await service.publish()
    forged = ("X-Forwarded-Host: evil.example", "X-Forwarded-Proto: https", "Forwarded: host=evil.example;proto=https")
    for _ in range(2):
        answer = await ask(service, CHECK, "Host: updates.example", *forged)
        assert answer.json["download_url"].startswith("http://updates.example/")


async def test_no_surface_answers_a_foreign_target(start_service: StartService) -> None:
    desktop: list[dict[str, Any]] = [{"application": "my-app", "prefix": DESKTOP}]
    service = await start_service(desktop=desktop)
    for path in (f"{DESKTOP}/latest", "/api/updates/", "/api/system/update/check", "/admin/dashboard/"):
        answer = await ask(service, f"http://evil.example{path}", "Host: updates.example")
        assert answer.status == 400
        assert json.loads(answer.body) if "json" in answer.headers["content-type"] else True


async def test_the_plain_form_stays_as_it_was(published: Service) -> None:
    answer = await send(published.url, request_bytes(path="//evil.example/api"))
    assert answer.status == 404
