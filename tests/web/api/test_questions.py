"""The quick reading of a check's query is held to the schema that describes it.

Whatever it reads, the schema reads too, and alike; what it does not read is left to the schema. Controls: flags with
blanks around them taken, `len(given) != len(pairs)`, `isascii` or `strip` left out, `unquote` instead of `parse_qsl`:
each is found.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import example, given, settings
from hypothesis import strategies as st
from yarl import URL

from updater.catalog.platforms import ARCHITECTURES, PLATFORMS
from updater.catalog.versions import MAX_VERSION_CHARACTERS
from updater.errors import Invalid
from updater.web.api.questions import CheckQuestion, read_check, read_question
from updater.web.messages.check_schemas import CheckQuery
from updater.web.messages.parsing import parse_query

SCHEMA = CheckQuery()
NAMES = tuple(field.data_key or name for name, field in SCHEMA.fields.items())
REQUIRED = [name for name, field in SCHEMA.fields.items() if field.required]
TARGET = "platform=linux&architecture=amd64"
REQUEST = make_mocked_request("GET", "/check")
EXAMPLES = 6_000


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as opened:
        yield opened


# The question, then what the client says of itself: channel, by hand, client_id, stagingId.
Reading = tuple[CheckQuestion, str | None, bool, str | None, str | None]


def by_schema(runner: asyncio.Runner, raw_query: str) -> Reading | None:
    """Read a query as the schema does; None when it refuses."""
    # As aiohttp's parser makes it: what came is neither quoted nor checked.
    url = URL.build(path="/check", query_string=raw_query, encoded=True)
    request = REQUEST.clone(rel_url=url)
    assert request.rel_url.raw_query_string == raw_query
    try:
        fields = runner.run(parse_query(SCHEMA, request))
    except Invalid:
        return None
    ids = fields["client_id"] or None, fields["staging_id"]
    return CheckQuestion.from_fields(fields), fields["channel"], fields["manual"], *ids


def quickly(raw_query: str) -> Reading | None:
    """Read a query without the schema; None when it has to look."""
    read = read_check(raw_query)
    if read is None:
        return None
    asked, ids = read
    return *asked, ids.client_id or None, ids.staging_id


def require_alike(runner: asyncio.Runner, raw_query: str) -> CheckQuestion | None:
    """Hold what was read to the schema; return the question."""
    read = quickly(raw_query)
    if read is None:
        return None
    assert read == by_schema(runner, raw_query)
    assert [type(each) for each in read[0]] == [str, str, str, bool, bool]
    return read[0]


# -- queries from sensible to broken

FLAGS = ("true", "false", "1", "0")
NO_FLAGS = ("True", "FALSE", "tRuE", "yes", "on", "t", "", " true", "true ", "01", "\uff11")
FIT = {
    "current_version": (
        *("1.0.0", "2.0.0-rc.1", "1.0.0+build.7", "1!2.0", "1.0"),
        *("x" * 100, "~", "%41", "a&b=c;d"),
    ),
    "platform": PLATFORMS,
    "architecture": ARCHITECTURES,
    "allow_prerelease": FLAGS,
    "include_metadata": FLAGS,
    "manual": FLAGS,
    "client_id": ("c-1", "", "a b", "\u00e4" * 200, "x" * 200, "%41", "a&b=c;d"),
    "channel": ("beta", "", "\x00", "x" * 60, "be ta"),
    "stagingId": ("1", "", "\x00", "\u00e4"),
}
UNFIT = {
    "current_version": (
        *("", " ", "\t", "x" * 101, "1\x00", "1\x7f", "1\n"),
        *("\u00e4", "1\u00a0", "\u0661", "\ufffd", "\U0001f600", "\u00e4" * 60),
    ),
    "platform": ("", "Linux", "linux ", " linux", "plan9", "lin\u0131x", "linux\x00"),
    "architecture": ("", "AMD64", "x86_64", "386.0", "\u0663\u0668\u0666", "+386"),
    "allow_prerelease": NO_FLAGS,
    "include_metadata": NO_FLAGS,
    "manual": NO_FLAGS,
    "client_id": ("x" * 201, "\x00", "a\n", "\u200b"),
    "channel": ("stable",),
    "stagingId": ("x",),
}
UNKNOWN = ("utm", "Platform", "platform ", "platform[]", "", "_", "\u00e4", "current_version\x00", "app_id")
# What no encoder writes, and what a client may send all the same.
ODD = (
    *("", "&", "=", "==", "=linux", "a=b=c", "a;b=c", "+=+", "%26=%3D", "\u00e4=\u00e4"),
    *("x=%00", "%zz=1", "%=%", "%2=%2", "x=%c3%28"),
    *("platform", "platform=", "pl%61tform=linux", "include_metadata", "allow_prerelease=true=true"),
    *("current_version=%", "current_version=1%2", "current_version=1.0.0%ff", "current_version=1.0.0;x=1"),
)


def quote_all(text: str) -> str:
    """Quote every byte, in either case of the digits."""
    return "".join(f"%{byte:02x}" if byte % 2 else f"%{byte:02X}" for byte in text.encode())


def as_it_is(text: str) -> str:
    """Leave out what would end a value, and quote nothing."""
    return text.translate({ord(each): None for each in "&#="})


def quote_little(text: str) -> str:
    """Quote what is not ASCII, and leave what has a meaning of its own."""
    return quote(text, safe="+&=;%?/ ")


SPELLINGS = (quote, quote, quote_plus, quote_all, as_it_is, quote_little)


def random_query(chance: random.Random) -> str:
    """Return a query that names each field at most once, in any spelling; now and then with something wrong."""
    pairs = [(name, chance.choice(FIT[name])) for name in NAMES if name in REQUIRED or chance.random() < 0.5]
    if chance.random() < 0.3:
        name = chance.choice(NAMES)
        pairs = [each for each in pairs if each[0] != name] + [(name, chance.choice(UNFIT[name]))]
    if chance.random() < 0.3:
        pairs += [
            (chance.choice(UNKNOWN), chance.choice(("", "1", "\u00e4", "linux"))) for _ in range(chance.randrange(3))
        ]
    if chance.random() < 0.1:
        pairs.append(chance.choice(pairs))
    if chance.random() < 0.1:
        pairs.remove(chance.choice(pairs))
    spell_name = chance.choice((str, str, str, quote_all))
    spelled = [f"{spell_name(name)}={chance.choice(SPELLINGS)(value)}" for name, value in pairs]
    if chance.random() < 0.2:
        spelled.append(chance.choice(ODD))
    chance.shuffle(spelled)
    return "&".join(spelled)


def test_what_is_read_is_what_the_schema_reads(runner: asyncio.Runner) -> None:
    chance = random.Random(20_260_301)
    read = [require_alike(runner, random_query(chance)) for _ in range(EXAMPLES)]
    found = [each for each in read if each is not None]
    assert EXAMPLES / 4 < len(found) < EXAMPLES * 3 / 4, "both ways are taken"
    assert len(set(found)) > EXAMPLES / 10
    assert {(each.allow_prerelease, each.include_metadata) for each in found} == set(
        itertools.product((True, False), repeat=2)
    )
    assert {each.platform for each in found} == set(PLATFORMS)


FRAGMENTS = st.sampled_from([*ODD, "&", "&", "%", "=", "+", TARGET, f"current_version=1.0.0&{TARGET}", *NAMES])


@given(
    st.lists(FRAGMENTS | st.text(st.characters(min_codepoint=1, max_codepoint=0x2FF), max_size=5), max_size=8)
    .map("".join)
    .map(lambda text: text.replace("#", ""))
)
@example("current_version=1.0.0&platform=linux&architecture=amd64&x=%ff&%fe=1")
@example("current_version=1.0.0%ff&platform=linux&architecture=amd64")
@example("current_version=1.0.0;platform=linux&platform=linux&architecture=amd64")
@settings(deadline=None, max_examples=400)
def test_any_text_is_left_to_the_schema_or_read_alike(runner: asyncio.Runner, raw_query: str) -> None:
    require_alike(runner, raw_query)


PLAIN = st.fixed_dictionaries(
    {
        "current_version": st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40),
        "platform": st.sampled_from(PLATFORMS),
        "architecture": st.sampled_from(ARCHITECTURES),
    },
    optional={
        "allow_prerelease": st.sampled_from(["true", "false", "1", "0"]),
        "include_metadata": st.sampled_from(["true", "false", "1", "0"]),
        "utm_source": st.text("abc ", max_size=5),
    },
)


@given(PLAIN, st.sampled_from([quote, quote_plus]), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=200)
def test_what_clients_send_is_read_without_the_schema(
    runner: asyncio.Runner, fields: dict[str, str], quoted: Any, chance: Any
) -> None:
    """Else every check would cost what the schema costs."""
    pairs = list(fields.items())
    chance.shuffle(pairs)
    raw_query = urlencode(pairs, quote_via=quoted)
    read = require_alike(runner, raw_query)
    if len(raw_query) <= 300:
        assert read == CheckQuestion(
            fields["current_version"],
            fields["platform"],
            fields["architecture"],
            fields.get("allow_prerelease") in ("true", "1"),
            fields.get("include_metadata") in ("true", "1"),
        )


@pytest.mark.parametrize(
    ("raw_query", "version"),
    [
        (f"current_version=1.0.0%2Bb&{TARGET}", "1.0.0+b"),
        (f"current_version=1.0.0%2bb&{TARGET}", "1.0.0+b"),
        (f"current_version=%31.0.0&{TARGET}", "1.0.0"),
        (f"&&current_version=1.0.0&&{TARGET}&", "1.0.0"),
        (f"current_version=a=b&{TARGET}", "a=b"),
        (f"current_version=a%26b&{TARGET}", "a&b"),
        (f"current_version=1;x=2&{TARGET}", "1;x=2"),
        (f"current_version={'9' * MAX_VERSION_CHARACTERS}&{TARGET}", "9" * MAX_VERSION_CHARACTERS),
        (f"current_version=1.0.0&{TARGET}&user=me&user%20=you", "1.0.0"),
    ],
)
def test_spellings_of_a_version(runner: asyncio.Runner, raw_query: str, version: str) -> None:
    read = require_alike(runner, raw_query)
    assert read is not None
    assert read == CheckQuestion(version, "linux", "amd64")


LEFT = {
    "twice the same": f"current_version=1.0.0&{TARGET}&platform=linux",
    "an unknown name twice": f"current_version=1.0.0&{TARGET}&a=1&a=2",
    "white space around": f"current_version=+1.0.0%0a&{TARGET}",
    "a + as it is": f"current_version=1.0.0+b&{TARGET}",
    "a platform in capitals": "current_version=1.0.0&platform=LINUX&architecture=amd64",
    "a flag in capitals": f"current_version=1.0.0&{TARGET}&allow_prerelease=TRUE",
    "300 characters and more": f"current_version=1.0.0&{TARGET}&a=".ljust(301, "a"),
}
REFUSED = {
    "nothing": "",
    "no version": TARGET,
    "a blank version": f"current_version=%20+&{TARGET}",
    "a version of 101 characters": f"current_version={'9' * 101}&{TARGET}",
    "a control character": f"current_version=1.0%0a.0&{TARGET}",
    "no platform": "current_version=1.0.0&architecture=amd64",
    "an unknown architecture": "current_version=1.0.0&platform=linux&architecture=mips",
    "an empty flag": f"current_version=1.0.0&{TARGET}&include_metadata",
    "a flag that is none": f"current_version=1.0.0&{TARGET}&include_metadata=yes",
}


@pytest.mark.parametrize("raw_query", LEFT.values(), ids=LEFT)
def test_what_is_left_to_the_schema_and_fits(runner: asyncio.Runner, raw_query: str) -> None:
    assert quickly(raw_query) is None
    assert by_schema(runner, raw_query) is not None


@pytest.mark.parametrize("raw_query", REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_left_to_the_schema_to_refuse(runner: asyncio.Runner, raw_query: str) -> None:
    assert quickly(raw_query) is None
    assert by_schema(runner, raw_query) is None


def test_what_is_remembered_is_bounded() -> None:
    """By the number of queries and the length of each, as its docstring says."""
    read_question.cache_clear()
    for number in range(5_000):
        read_question(f"current_version=1.0.{number}&{TARGET}")
    info = read_question.cache_info()
    assert (info.currsize, info.maxsize, info.misses) == (4_096, 4_096, 5_000)
    # The one asked for least recently goes: the last one is remembered, the first is not.
    read_question(f"current_version=1.0.4999&{TARGET}")
    assert read_question.cache_info().hits == 1
    read_question(f"current_version=1.0.0&{TARGET}")
    assert read_question.cache_info().misses == 5_001


async def test_both_ways_give_the_same_answer(service: Any) -> None:
    """Over HTTP: the quick reading, the schema, and the check whose question is a body."""
    body = {"version": "2.0.0+b.1", "platform": "linux", "architecture": "amd64", "application_id": "my-app"}
    body |= {"download_url": "https://files.example.com/x", "checksum": "x", "checksum_type": "md5"}
    await service.call("POST", "/api/v1/updates/my-app/register", key="write", json=body, status=201)
    path = "/api/v1/updates/my-app/check"
    quick, slow = (f"{path}?current_version=1.0.0%2Bb&{TARGET}&include_metadata={flag}" for flag in ("true", "True"))
    raw = [URL(service.url + each, encoded=True).raw_query_string for each in (quick, slow)]
    assert [read_question(each) is None for each in raw] == [False, True]
    answers = []
    for each in (quick, slow):
        async with service.session.get(URL(service.url + each, encoded=True)) as response:
            assert response.status == 200
            answers.append(await response.read())
    assert answers[0] == answers[1]
    assert b'"current_version":"1.0.0+b"' in answers[0]
