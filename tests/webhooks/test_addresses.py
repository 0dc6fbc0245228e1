"""No request reaches what is not public, however its address is spelt. Control: `_make_socket` without its check."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from ipaddress import ip_network
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver

import updater.webhooks.schedule as schedule
from tests.actors import TESTER
from tests.webhooks.happening import happen
from tests.webhooks.receiving import Receiving, receiving
from updater.clock import utc_now
from updater.webhooks.addresses import may_connect
from updater.webhooks.sending import Sender, plain_address

# {port} is where the canary listens.
SPELLINGS = (
    *("http://127.0.0.1:{port}/", "http://127.1:{port}/", "http://127.0.1:{port}/", "http://127.255.255.254:{port}/"),
    *("http://2130706433:{port}/", "http://017700000001:{port}/", "http://0x7f000001:{port}/", "http://0x7f.1:{port}/"),
    *("http://0177.0.0.1:{port}/", "http://0x7f.0x0.0x0.0x1:{port}/", "http://127.0.0.1.:{port}/"),
    *("http://0:{port}/", "http://0.0.0.0:{port}/", "http://00000000000:{port}/", "http://[::]:{port}/"),
    *("http://[::1]:{port}/", "http://[0:0:0:0:0:0:0:1]:{port}/", "http://[0000::0001]:{port}/"),
    *("http://[::ffff:127.0.0.1]:{port}/", "http://[::ffff:7f00:1]:{port}/", "http://[::127.0.0.1]:{port}/"),
    *("http://[64:ff9b::127.0.0.1]:{port}/", "http://[64:ff9b:1::7f00:1]:{port}/", "http://[2002:7f00:1::]:{port}/"),
    *("http://[::ffff:0:127.0.0.1]:{port}/", "http://[fe80::1%25lo]:{port}/", "http://[fc00::1]:{port}/"),
    *("http://localhost:{port}/", "http://LOCALHOST:{port}/", "http://localhost.:{port}/", "https://127.0.0.1:{port}/"),
    *("http://example.com@127.0.0.1:{port}/", "http://127.0.0.1:{port}@127.0.0.1:{port}/", "http://①②⑦.⓪.⓪.①:{port}/"),
    *(
        "http://inner.test:{port}/",
        "http://rebinds.test:{port}/",
        "http://both.test:{port}/",
        "http://six.test:{port}/",
    ),
    *("http://169.254.169.254/latest/meta-data/", "http://[fd00:ec2::254]/", "http://10.0.0.1/", "http://192.168.0.1/"),
    *("http://100.64.0.1/", "http://224.0.0.1/", "http://255.255.255.255/"),
)
NOT_PUBLIC = (
    *("0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "169.254.169.254", "172.16.0.1", "192.0.0.8", "192.0.2.1"),
    *("192.88.99.1", "192.168.1.1", "198.18.0.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::7f00:1", "::ffff:10.0.0.1", "::ffff:0:10.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::a00:1"),
    *("2001::1", "2001:db8::1", "2002:a00:1::", "3fff::1", "fc00::1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1"),
    *("100::1", "localhost", ""),
)
PUBLIC = ("1.1.1.1", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808")


class Names(AbstractResolver):
    """Resolves names of tests; `rebinds.test` was public when it was asked for first."""

    def __init__(self) -> None:
        self.asked = 0

    async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> list[Any]:
        self.asked += 1
        inner = {"rebinds.test": ["127.0.0.1"], "both.test": ["127.0.0.1", "127.0.0.2"], "six.test": ["::1"]}
        if host == "rebinds.test" and self.asked == 1:
            inner[host] = ["8.8.8.8"]
        if not host.endswith(".test"):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
            inner[host] = [str(each[4][0]) for each in found]
        return [
            {
                "hostname": host,
                "host": address,
                "port": port,
                "family": socket.AF_INET6 if ":" in address else socket.AF_INET,
                "proto": socket.IPPROTO_TCP,
                "flags": socket.AI_NUMERICHOST,
            }
            for address in inner.get(host, ["127.0.0.1"])
        ]

    async def close(self) -> None:
        """There is nothing to close."""


@pytest.fixture
async def canary() -> AsyncIterator[Receiving]:
    async with receiving() as found:
        yield found


def test_there_are_forty() -> None:
    assert len(set(SPELLINGS)) >= 40


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_the_canary_is_never_reached(canary: Receiving, spelling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connected: list[Any] = []
    loop = asyncio.get_running_loop()
    connect = loop.sock_connect

    async def note(made: socket.socket, address: Any) -> None:
        connected.append(address)
        await connect(made, address)

    monkeypatch.setattr(loop, "sock_connect", note)
    url = spelling.replace("{port}", canary.url.split(":")[2].split("/")[0])
    names = Names()
    names.asked = 1  # of a name that rebinds, the first look is over
    sender = Sender(resolver=names)
    status, error, _ = await sender.send(url, b"{}", {}, utc_now())
    assert status is None and error
    assert (canary.got, connected) == ([], [])


async def test_a_redirect_is_not_followed(canary: Receiving) -> None:
    async with receiving((307, {"Location": canary.url}), (302, {"Location": canary.url})) as outer:
        sender = Sender([ip_network("127.0.0.1")])
        for status in (307, 302):
            assert await sender.send(outer.url, b"{}", {}, utc_now()) == (status, f"answered {status}", None)
    assert canary.got == []


async def test_the_environment_names_no_proxy(canary: Receiving, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, canary.url)
    status, _, _ = await Sender([ip_network("127.0.0.1")]).send("http://10.0.0.1/", b"{}", {}, utc_now())
    assert status is None and canary.got == []


async def test_allowed_networks_are_reached(canary: Receiving) -> None:
    assert await Sender([ip_network("127.0.0.0/8")]).send(canary.url, b"{}", {}, utc_now()) == (204, None, None)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_not_public(address: str) -> None:
    assert not may_connect(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public(address: str) -> None:
    assert may_connect(address)


def answering(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[Any]:
    """Let the system's resolver answer so for `rebinds.test`, the last one always; return what is connected."""
    look_up, left, loop = socket.getaddrinfo, list(answers), asyncio.get_running_loop()
    connected: list[Any] = []

    def resolve(host: Any, port: Any, *words: Any, **options: Any) -> Any:
        if host != "rebinds.test":
            return look_up(host, port, *words, **options)
        found = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (each, port)) for each in found]

    connect = loop.sock_connect

    async def note(made: socket.socket, address: Any) -> None:
        connected.append(address[0])
        if not address[0].startswith("127."):
            raise OSError("nothing is sent out of a test")
        await connect(made, address)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(loop, "sock_connect", note)
    return connected


@pytest.mark.parametrize(
    "answers",
    [
        [["8.8.8.8"], ["127.0.0.1"]],  # at the next try
        [["8.8.8.8", "127.0.0.1"]],  # at the connection, when the first fails
        [["127.0.0.1", "8.8.8.8"]],
    ],
)
async def test_a_name_that_changes_its_mind(
    canary: Receiving, monkeypatch: pytest.MonkeyPatch, answers: list[list[str]]
) -> None:
    """What a socket is connected to is judged, each time: no name is believed because it was public once.

    Control: a look at the name before the request, in place of the one in `_make_socket`.
    """
    connected = answering(monkeypatch, *answers)
    url = f"http://rebinds.test:{canary.url.split(':')[2]}"
    errors = [(await Sender().send(url, b"{}", {}, utc_now()))[1] for _ in range(2)]
    assert (canary.got, set(connected)) == ([], {"8.8.8.8"})
    assert all(errors)


async def test_a_name_that_changes_its_mind_between_tries(
    start_service: Any, canary: Receiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the whole service: it is made while the name is public, and tried again when it is not any more."""
    monkeypatch.setattr(schedule, "PAUSES_S", (0.05,))
    service = await start_service()
    await service.application()
    connected = answering(monkeypatch, ["8.8.8.8"], ["127.0.0.1"])
    url = f"http://rebinds.test:{canary.url.split(':')[2]}"
    webhook, _ = await service.services.webhooks.create(None, {"url": url}, actor=TESTER)
    task = asyncio.create_task(service.services.webhooks.delivery.run())
    await happen(service, 1)
    async with asyncio.timeout(20):
        while not (found := await service.services.webhooks.get(webhook.id)).parked:
            await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    tries = await service.services.webhooks.list_tries(webhook.id)
    assert (canary.got, connected) == ([], ["8.8.8.8"])
    assert "not public" in str(found.last_error)
    assert [each.error for each in reversed(tries)] == ["it cannot be reached", found.last_error]


@pytest.mark.parametrize(
    ("host", "address"),
    [
        *((each, "127.0.0.1") for each in ("127.1", "2130706433", "0x7f.1", "0177.0.0.1", "localhost", "a.localhost.")),
        ("0", "0.0.0.0"),
        ("::1", "::1"),
        ("hooks.example.com", None),
        ("localhost.example.com", None),
        ("1.2.3.4.5", None),
        ("", None),
    ],
)
def test_what_is_plainly_an_address(host: str, address: str | None) -> None:
    assert plain_address(host) == address
