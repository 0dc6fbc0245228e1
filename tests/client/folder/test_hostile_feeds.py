"""Feed files of any content: each is read, is none, or is named with a reason. Nothing else happens."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from updater_client.folder import appcast, electron, packages
from updater_client.folder.model import FeedError
from updater_client.folder.names import architectures_of, is_kept, kind_of, last_part, platform_of
from updater_client.folder.versions import (
    completed,
    first_word,
    is_in_name,
    is_newer_build,
    order,
    version_key,
    versions_in,
)

quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
LONG = "9" * 6000
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from([LONG, "1.2.0"])
)
values: Any = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)


def document(*names: str) -> Any:
    return st.dictionaries(st.sampled_from(names), values, max_size=len(names))


@quick
@given(document("version", "files", "path", "sha512", "releaseNotes", "packages", "stagingPercentage"))
@example({"version": LONG, "path": "a.exe"})
@example({"version": "1.0.0", "files": [{"url": LONG, "size": 10**6000}]})
def test_electron(content: Any) -> None:
    try:
        text = yaml.safe_dump(content, allow_unicode=True)
    except (yaml.YAMLError, ValueError):
        return
    try:
        electron.read("latest.yml", text)
    except FeedError as error:
        assert str(error)


asset = document("FileName", "Version", "Type", "SHA1", "Size", "NotesMarkdown", "RelativeFileName")


@quick
@given(st.lists(asset, max_size=3) | values, st.none() | st.just("1.2.0"))
@example([{"FileName": "a", "Version": LONG}], None)
def test_velopack(content: Any, wanted: str | None) -> None:
    for text in (json.dumps({"Assets": content}, default=str), json.dumps(content, default=str)):
        try:
            packages.read_velopack("releases.win.json", text, wanted)
        except FeedError as error:
            assert str(error)
        try:
            packages.read_assets("assets.win.json", text)
        except FeedError as error:
            assert str(error)


@quick
@given(
    st.text()
    | st.from_regex(
        r"[0-9a-f]{40} [A-Za-z.-]{1,9}-[0-9.]{1,9}(-[a-z0-9.]{1,9})?-(full|delta)\.nupkg [0-9]{1,30}", fullmatch=True
    )
)
@example(f"{'a' * 40} A-{LONG}-full.nupkg 1")
@example(f"{'a' * 40} A-1.0.0-full.nupkg {LONG}")
def test_squirrel(text: str) -> None:
    try:
        packages.read_releases("RELEASES", text, None)
    except FeedError as error:
        assert str(error)


ITEM = (
    "<rss xmlns:sparkle='http://www.andymatuschak.org/xml-namespaces/sparkle'><channel><item><sparkle:version>{}"
    "</sparkle:version><description>{}</description><enclosure url='{}' length='{}'/></item></channel></rss>"
)
plain = st.text(st.characters(exclude_characters="<&'", exclude_categories=("Cs", "Cc")), max_size=20)


@quick
@given(st.binary() | st.builds(lambda *each: ITEM.format(*each).encode(), plain, plain, plain, plain))
@example(ITEM.format(LONG, "", "a.zip", "1").encode())
@example(ITEM.format("1", "&lt;p", "a.zip", LONG).encode())
def test_sparkle(content: bytes) -> None:
    for wanted in (None, "1.0.0"):
        try:
            appcast.read("appcast.xml", content, wanted)
        except FeedError as error:
            assert str(error)


@quick
@given(st.text(max_size=60) | st.from_regex(r"[A-Za-z0-9._+~ -]{1,60}", fullmatch=True))
@example("²")
@example("1-²")
def test_names_and_versions(text: str) -> None:
    for ask in (
        architectures_of,
        kind_of,
        last_part,
        platform_of,
        completed,
        first_word,
        order,
        version_key,
        versions_in,
    ):
        ask(text)
    if text:
        is_kept(text)
        assert not is_newer_build(text, text)
        if re.match("v?[0-9]", text):
            assert version_key(completed(text)) == version_key(text)
    is_in_name(text, f"App-{text}.exe")
