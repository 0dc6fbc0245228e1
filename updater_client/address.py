"""Addresses and the key as people give them, and the proxy that the environment names for an address."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from updater_client.errors import UpdateError

# Ends of addresses that people copy from a browser or an example.
_BELOW_THE_ROOT = re.compile(r"/(?:api(?:/v1)?|admin|docs|health)(?:/.*)?$")

_MOST_SHOWN = 300


def server_address(given: str) -> str:
    """Return the address of a server without a slash at its end.

    Raises:
        UpdateError: it is none, or holds more than a server's address; says what would fit, and repeats no password.
    """
    text = given.strip()
    if not text:
        raise _wrong("the server's address is empty: give one such as https://updates.example.com")
    if "://" not in text:
        raise _wrong(f"the server's address has no scheme: write https://{text.rpartition('@')[2]}")
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise no_address(text) from None
    if "@" in parts.netloc:
        raise _wrong("the server's address holds a user or password: give it without, and the key as a key")
    if parts.scheme not in ("http", "https") or not host or not text.isprintable() or " " in text:
        raise no_address(text)
    if parts.query or parts.fragment:
        raise _wrong(f"the server's address has a query or fragment: give {parts.scheme}://{parts.netloc}{parts.path}")
    if below := _BELOW_THE_ROOT.search(parts.path):
        raise _wrong(
            f"the server's address ends in {below[0]}, which is a page of it: give "
            f"{parts.scheme}://{parts.netloc}{parts.path[: below.start()]}"
        )
    return text.rstrip("/")


def no_address(text: str) -> UpdateError:
    """Return the error for a text that is no http(s) address."""
    return UpdateError(f"not an http(s) address: {shown(text)}", code="INVALID_ADDRESS")


def shown(address: str) -> str:
    """Return an address as an error may show it: without user, password and query, which may open what it names."""
    scheme, mark, rest = re.split(r"[?#]", address, maxsplit=1)[0].rpartition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}"[:_MOST_SHOWN]


def header_key(given: str | None) -> str | None:
    """Return a key as a header can carry it, without the line end of the file it came from; None for none.

    Raises:
        UpdateError: it holds what no key holds.
    """
    key = (given or "").strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        message = "the key holds a line end, a space or a character that no key has: is it one key, and whole?"
        raise UpdateError(message, code="INVALID_KEY")
    return key or None


class Request(aiohttp.ClientRequest):
    """A request that takes the proxy of the environment when none is given, anew for each redirect.

    The session's own `trust_env` also sends what `~/.netrc` holds, and fails beside a key.
    """

    def update_proxy(self, proxy: URL | None, proxy_auth: aiohttp.BasicAuth | None, proxy_headers: object) -> None:
        """Choose the proxy: the given one, else that of the environment, else none."""
        if proxy is None and (found := find_proxy(self.url)) is not None:
            user = aiohttp.BasicAuth(found.user, found.password or "") if found.user else None
            proxy, proxy_auth = found.with_user(None), user
        super().update_proxy(proxy, proxy_auth, proxy_headers)  # type: ignore[arg-type]


def find_proxy(url: URL) -> URL | None:
    """Return the proxy that `HTTPS_PROXY` or `HTTP_PROXY` names; None where `NO_PROXY` says so, and for loopback.

    Raises:
        InvalidURL: the environment names no http(s) address.
    """
    host = url.host or ""
    if _is_loopback(host) or proxy_bypass(host if url.port is None else f"{host}:{url.port}") or proxy_bypass(host):
        return None
    named = getproxies().get(url.scheme)
    if not named:
        return None
    try:
        proxy = URL(named if "://" in named else f"http://{named}")
        fits = proxy.scheme in ("http", "https") and bool(proxy.host)
    except ValueError:
        fits = False
    if not fits:
        description = f"{url.scheme.upper()}_PROXY names no http(s) proxy"
        raise aiohttp.InvalidURL(str(url), description)
    return proxy


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _wrong(message: str) -> UpdateError:
    return UpdateError(message, code="INVALID_ADDRESS")
