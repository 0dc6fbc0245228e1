"""Addresses and keys as people give them, and the proxy of the environment.

Control: a session with `trust_env`, an address that is used as it was given, a key with its line end.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from yarl import URL

from tests.client.conftest import Answers
from tests.conftest import LINUX, QUICK
from updater_client import UpdateClient, UpdateError
from updater_client.address import find_proxy, header_key, server_address
from updater_client.checksums import find_checksum

NOTHING = {"update_available": False, "current_version": "1"}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name.upper()}_PROXY", raising=False)


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ("", "is empty"),
        ("updates.example.com", "write https://updates.example.com"),
        ("localhost:8080", "write https://localhost:8080"),
        ("https://me:secret@updates.example.com", "holds a user or password"),
        ("me:secret@updates.example.com", "write https://updates.example.com"),
        ("https://me:se@cret@updates.example.com", "holds a user or password"),
        ("https://updates.example.com/api/v1", "give https://updates.example.com"),
        ("https://example.com/below/admin/", "give https://example.com/below"),
        ("https://updates.example.com?x=1", "has a query or fragment"),
        ("https://updates example.com", "not an http"),
        ("ftp://updates.example.com", "not an http"),
        ("http://x:99999", "not an http"),
    ],
)
async def test_an_address_that_does_not_fit_gets_a_clear_word(given: str, word: str) -> None:
    async with UpdateClient(given, "key", retry=QUICK) as client:
        with pytest.raises(UpdateError) as caught:
            await client.check("a", "1", LINUX)
    assert word in caught.value.message
    assert "secret" not in caught.value.message
    assert caught.value.code == "INVALID_ADDRESS"


def test_spaces_around_an_address_and_its_last_slash_are_taken_off() -> None:
    assert server_address(" https://updates.example.com/\n") == "https://updates.example.com"


async def test_a_wrong_path_is_named_in_the_failure(answers: Answers) -> None:
    answers.handle = lambda request: answers.json({"message": "Not found", "code": "NOT_FOUND"}, status=404)
    async with UpdateClient(f"{answers.url}/below", retry=QUICK) as client:
        with pytest.raises(UpdateError, match="the server's address has a path, /below"):
            await client.check("a", "1", LINUX)


@pytest.mark.parametrize("key", ["key\n", " key\r\n", "key"])
def test_the_line_end_of_a_key_is_taken_off(key: str) -> None:
    assert header_key(key) == "key"


@pytest.mark.parametrize("key", ["one\ntwo", "one two", "schlüssel", "a\x00b"])
async def test_a_key_that_is_none_is_said_to_be(key: str) -> None:
    async with UpdateClient("http://127.0.0.1:9", key, retry=QUICK) as client:
        with pytest.raises(UpdateError, match="is it one key, and whole") as caught:
            await client.list_applications()
    assert caught.value.code == "INVALID_KEY"
    assert key not in caught.value.message


async def test_the_proxy_of_the_environment_is_used(answers: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    answers.handle = lambda request: answers.json(NOTHING)
    monkeypatch.setenv("http_proxy", answers.url)
    async with UpdateClient("http://updates.invalid", retry=QUICK) as client:
        await client.check("a", "1", LINUX)
        assert answers.requests[0].host == "updates.invalid"
    async with UpdateClient(answers.url, retry=QUICK) as client:
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        await client.check("a", "1", LINUX)  # loopback: not through a proxy that is not there
    async with UpdateClient("http://updates.invalid", retry=QUICK) as client:
        monkeypatch.setenv("http_proxy", "socks5://127.0.0.1:9")
        with pytest.raises(UpdateError, match="HTTP_PROXY names no http"):
            await client.check("a", "1", LINUX)


async def test_netrc_is_not_sent(answers: Answers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answers.handle = lambda request: answers.json({"applications": [], "total_count": 0, "has_more": False})
    (tmp_path / "netrc").write_text("default login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    async with UpdateClient(answers.url, "key", retry=QUICK) as client:
        await client.list_applications()
    assert answers.requests[0].headers["Authorization"] == "Bearer key"


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("https://updates.example.com", "http://proxy:3128"),
        ("http://updates.example.com", None),
        ("https://inside.example.org/x", None),
        ("https://by.port:8443", None),
        ("https://by.port", "http://proxy:3128"),
        ("https://127.0.0.1:8080", None),
        ("https://[::1]:8080", None),
        ("https://localhost", None),
    ],
)
def test_which_proxy(url: str, proxy: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "proxy:3128")
    monkeypatch.setenv("NO_PROXY", ".example.org,by.port:8443")
    assert find_proxy(URL(url)) == (URL(proxy) if proxy else None)


@pytest.mark.parametrize(
    "text",
    [
        "ab" * 32,
        "AB" * 32,
        " aB" + "ab" * 31,
        "q6ur" * 10 + "q6s=",
        "q6ur" * 10 + "q6s",
        "sha256:" + "AB" * 32,
        "sha256-" + "q6ur" * 10 + "q6s=",
    ],
)
def test_a_checksum_in_hex_or_base64(text: str) -> None:
    assert find_checksum("sha256", text) == b"\xab" * 32


@pytest.mark.parametrize("text", ["", "ab", "zz" * 32, "ab" * 20, "q6s=", "ä" * 64])
def test_what_is_no_checksum(text: str) -> None:
    assert find_checksum("sha256", text) is None
