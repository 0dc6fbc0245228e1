"""Versions of both schemes: refused with their own error, or a version that reads back and compares with itself."""

from __future__ import annotations

from updater.catalog.versions import Scheme, is_spelling, parse_field, parse_version
from updater.errors import Invalid
from updater_client.folder.versions import completed, first_word, is_newer_build, order, version_key, versions_in

SEEDS = (
    b"1.2.3-rc.1+build.7",
    b"v1!2.0.post3.dev4+local.5",
    b"1.0.0-0.0.0",
    b"99999999999999999999.0.0",
    b"app-1.2.3.zip",
)


def check(data: bytes) -> None:
    text = data.decode(errors="replace")
    for scheme in Scheme:
        try:
            version = parse_field(text, scheme, "version")
        except Invalid:
            continue
        again = parse_version(version.text, scheme)
        assert (again.text, again.sort_key) == (version.text, version.sort_key)
        assert is_spelling(version.text, version, scheme)
    for said in (text[:10_000], *versions_in(text)[:3]):
        order(said), completed(said), version_key(said), first_word(said), is_newer_build(said, "1.0.0")
