"""Versions: the text that sorts must sort as the libraries order. Control: `_number` without its length prefix."""

from __future__ import annotations

import itertools

import pytest
import semver
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version as Pep440

from updater.catalog.versions import MAX_VERSION_CHARACTERS, Scheme, Version, parse_version

NUMBERS = st.one_of(st.integers(0, 12), st.integers(0, 10**20)).map(str)
LETTERS = "0123456789ABZabz-"
IDENTIFIERS = st.one_of(
    NUMBERS, st.text(LETTERS, min_size=1, max_size=6).filter(lambda text: not (text.isdigit() and text[0] == "0"))
)
PARTS = st.lists(IDENTIFIERS, min_size=1, max_size=4).map(".".join)
SEMVERS = st.builds(
    lambda core, pre, build: ".".join(core) + (f"-{pre}" if pre else "") + (f"+{build}" if build else ""),
    st.tuples(NUMBERS, NUMBERS, NUMBERS),
    st.none() | PARTS,
    st.none() | st.lists(st.text(LETTERS, min_size=1, max_size=4), min_size=1, max_size=2).map(".".join),
).filter(lambda text: len(text) <= MAX_VERSION_CHARACTERS)

SMALL = st.integers(0, 30).map(str)
PEP440S = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", "", "1!", "12!"]),
        st.lists(SMALL, min_size=1, max_size=4).map(".".join),
        st.sampled_from(["", "", "a", "b", "rc", "-alpha", ".c", "preview"]).flatmap(
            lambda phase: SMALL.map(lambda n: phase + n) if phase else st.just("")
        ),
        st.sampled_from(["", "", "-1", ".post0", ".post12", "-r4"]),
        st.sampled_from(["", "", ".dev0", "dev11"]),
        st.sampled_from(["", "", "+1", "+01", "+abc", "+abc.1", "+1.abc", "+ABC-2"]),
    ),
)


def compare(left: str, right: str) -> int:
    return (left > right) - (left < right)


@given(SEMVERS, SEMVERS)
def test_semver_order(left: str, right: str) -> None:
    """As the library `semver` orders, build metadata aside."""
    ours = compare(parse_version(left).sort_key, parse_version(right).sort_key)
    assert ours == semver.Version.parse(left).compare(right)


@given(SEMVERS, SEMVERS, SEMVERS)
def test_semver_is_a_total_order(a: str, b: str, c: str) -> None:
    low, middle, high = sorted((a, b, c), key=lambda text: parse_version(text).sort_key)
    assert semver.Version.parse(low).compare(middle) <= 0
    assert semver.Version.parse(middle).compare(high) <= 0
    assert semver.Version.parse(low).compare(high) <= 0


@given(SEMVERS)
def test_semver_parts(text: str) -> None:
    version = parse_version(text)
    assert version.text == text
    assert version.prerelease == (semver.Version.parse(text).prerelease is not None)
    assert len(version.sort_key) <= 700, "the column holds no more"
    assert version.sort_key.isascii()
    assert version.sort_key == parse_version(text.partition("+")[0]).sort_key, "build metadata has no precedence"


@given(PEP440S, PEP440S)
def test_pep440_order(left: str, right: str) -> None:
    """As the library `packaging` orders."""
    ours = compare(parse_version(left, Scheme.PEP440).sort_key, parse_version(right, Scheme.PEP440).sort_key)
    a, b = Pep440(left), Pep440(right)
    assert ours == (a > b) - (a < b)


def test_pep440_orders_what_differs_in_one_part_alone() -> None:
    """Two versions by chance seldom differ in their last part alone."""
    phases = ("", "a0", "a1", "a10", "b1", "rc1", "rc9", "rc10")
    locals_ = ("", "+1", "+2", "+10", "+a", "+b", "+abc", "+a.1", "+a.2", "+a.10", "+1.a", "+1.1", "+a.b", "+ab")
    suffixes = [f"{phase}{post}{dev}" for phase in phases for post in ("", ".post0", ".post2") for dev in ("", ".dev1")]
    texts = [f"{release}{suffix}" for release in ("0", "1", "1.1", "1.0.1", "1.10") for suffix in suffixes]
    texts += [f"1{suffix}{local}" for suffix in ("", "rc1", ".post0") for local in locals_]
    found = sorted({str(Pep440(text)) for text in texts}, key=Pep440)
    keys = [parse_version(text, Scheme.PEP440).sort_key for text in found]
    assert all(low < high for low, high in itertools.pairwise(keys))


@pytest.mark.parametrize("scheme", Scheme)
def test_a_refused_version_is_named(scheme: Scheme) -> None:
    with pytest.raises(ValueError, match=r"^invalid version format: nonsense$"):
        parse_version("nonsense", scheme)


@given(PEP440S)
def test_pep440_text(text: str) -> None:
    version = parse_version(text, Scheme.PEP440)
    assert version.text == str(Pep440(text))
    assert version.prerelease == Pep440(text).is_prerelease
    assert parse_version(version.text, Scheme.PEP440) == version


def test_the_example_of_the_specification() -> None:
    """Source: semver.org 2.0.0 section 11.4."""
    rising = ["alpha", "alpha.1", "alpha.beta", "beta", "beta.2", "beta.11", "rc.1"]
    texts = [*(f"1.0.0-{each}" for each in rising), "1.0.0"]
    keys = [parse_version(text).sort_key for text in texts]
    assert all(low < high for low, high in itertools.pairwise(keys))


def test_the_two_schemes_differ() -> None:
    assert parse_version("1.0.0-1").prerelease
    assert not parse_version("1.0.0-1", Scheme.PEP440).prerelease
    assert parse_version("1.0.0-1", Scheme.PEP440).text == "1.0.0.post1"


@pytest.mark.parametrize("scheme", Scheme)
@given(text=st.text(max_size=120))
def test_any_text_parses_or_is_refused(scheme: Scheme, text: str) -> None:
    """Nothing but ValueError, with a message that may be shown."""
    try:
        version = parse_version(text, scheme)
    except ValueError as error:
        assert str(error).isprintable()
        assert len(str(error)) < 1000
    else:
        assert isinstance(version, Version)
        assert version.text.isascii()


@pytest.mark.parametrize(
    "text",
    ["", "1", "1.2", "1.2.3.4", "v1.2.3", "01.2.3", "1.02.3", "1.2.3-01", "1.2.3-", "1.2.3+", "1.2.3-a..b", "1.2.3\n"]  # noqa: RUF005 - two lines
    + ["\u0661.2.3", "1.2.3-\u00e4", " 1.2.3", "1.2.3 ", "1,2,3", "1.2.-3", "1.2.3-a_b", "1.0.0-" + "a" * 95, "\x00"],
)
def test_lookalikes_of_semver(text: str) -> None:
    with pytest.raises(ValueError, match="version"):
        parse_version(text)


@pytest.mark.parametrize("end", ["-10", "c1", "alpha"])
def test_what_is_stored_can_be_read_again(end: str) -> None:
    """PEP 440 writes `-10` as `.post10`: a text that fits may have a normal form that does not."""
    for length in range(MAX_VERSION_CHARACTERS - 10, MAX_VERSION_CHARACTERS + 1):
        text = "7" * (length - len(end)) + end
        if len(str(Pep440(text))) <= MAX_VERSION_CHARACTERS:
            version = parse_version(text, Scheme.PEP440)
            assert parse_version(version.text, Scheme.PEP440) == version
        else:
            with pytest.raises(ValueError, match="longer than 100 characters"):
                parse_version(text, Scheme.PEP440)
