"""The headers of tus: malformed, too large, or read."""

from __future__ import annotations

from contextlib import suppress

from multidict import CIMultiDict

from updater.errors import Malformed, TooLarge
from updater.web.tus.protocol import read_checksum, read_length, read_metadata

SEEDS = (
    b"filename YS56aXA=,version MS4wLjA=",
    b"a,b ,c YQ==",
    b"sha1 2jmj7l5rSw0yVb/vlWAYkK/YBwk=",
    b"12345678901234567890",
)


def check(data: bytes) -> None:
    text = data.decode("latin-1")
    with suppress(Malformed):
        assert all(isinstance(each, str) for pair in read_metadata(text).items() for each in pair)
    headers = CIMultiDict({"Upload-Checksum": text, "Upload-Length": text})
    for read in (read_checksum, read_length):
        with suppress(Malformed, TooLarge):
            read(headers)
