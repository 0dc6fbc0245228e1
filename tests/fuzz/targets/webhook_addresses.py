"""Addresses of receivers: refused, or one that every client reads as the same; and which may be connected to."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from yarl import URL

from updater.errors import Invalid
from updater.web.messages.parsing import load_values
from updater.web.messages.webhook_schemas import WebhookBody
from updater.webhooks.addresses import may_connect
from updater.webhooks.templates import form_of

_SCHEMA = WebhookBody()
SEEDS = (
    b"https://hooks.example.com:8443/a?b=c",
    b"http://[::ffff:127.0.0.1]/",
    b"https://0x7f.1/",
    b"https://a.b./",
    b"127.1",
)


def check(data: bytes) -> None:
    text = data.decode(errors="replace")
    if may_connect(text):
        address = ip_address(text.partition("%")[0])
        assert not (address.is_private or address.is_loopback or address.is_link_local or address.is_multicast)
    try:
        url = load_values(_SCHEMA, {"url": text})["url"]
    except Invalid as error:
        assert error.fields
        return
    form_of(url)
    assert _host(URL(url).raw_host) == _host(urlsplit(url).hostname), url


def _host(name: str | None) -> object:
    """Return a host as it is compared: an address of IPv6 has several spellings."""
    assert name
    try:
        return ip_address(name)
    except ValueError:
        return name.lower()
