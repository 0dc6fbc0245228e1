"""Keys and spellings of versions, letter by letter: databases of earlier versions hold them."""

from __future__ import annotations

import pytest

from updater.catalog.versions import Scheme, is_spelling, parse_field, parse_version, spelling_patterns
from updater.errors import Invalid


@pytest.mark.parametrize(
    ("scheme", "text", "key"),
    [
        (Scheme.SEMVER, "0.0.0", "001000100010~"),
        (Scheme.SEMVER, "1.2.3+b", "001100120013~"),
        (Scheme.SEMVER, "10.200.3-rc.11.x-1", "0021000320000131rc!0002111x-1!"),
        (Scheme.SEMVER, "1.0.0-0", "00110010001000010"),
        (Scheme.PEP440, "0", "00101001004010"),
        (Scheme.PEP440, "1.10.0", "00101001110021004010"),
        (Scheme.PEP440, "2.0", "00101001204010"),
        (Scheme.PEP440, "2!1.0rc12", "0012100110300212010"),
        (Scheme.PEP440, "1.2.post3.dev4", "001010011100120410013000140"),
        (Scheme.PEP440, "1.dev5", "001010011000000150"),
        (Scheme.PEP440, "1a0+ab.12", "0010100110100100111ab!2002120"),
        (Scheme.PEP440, "1.0b2", "001010011020012010"),
    ],
)
def test_keys_are_as_they_were_stored(scheme: Scheme, text: str, key: str) -> None:
    assert parse_version(text, scheme).sort_key == key


@pytest.mark.parametrize(
    ("scheme", "text", "patterns"),
    [
        (Scheme.SEMVER, "1.2.3", ("1.2.3", "1.2.3+%")),
        (Scheme.SEMVER, "1.2.3-a+b", ("1.2.3-a", "1.2.3-a+%")),
        (Scheme.PEP440, "1.0.0", ("1", "1.0%")),
        (Scheme.PEP440, "2!1.0.post1", ("2!1.post1", "2!1.0%.post1")),
        (Scheme.PEP440, "1.0rc1+a.0", ("1rc1+a.0", "1.0%rc1+a.0")),
        (Scheme.PEP440, "0.0", ("0", "0.0%")),
    ],
)
def test_patterns_of_spellings(scheme: Scheme, text: str, patterns: tuple[str, str]) -> None:
    assert spelling_patterns(parse_version(text, scheme), scheme) == patterns


@pytest.mark.parametrize(
    ("scheme", "text", "stored", "equal"),
    [
        (Scheme.SEMVER, "1.2.3", "1.2.3", True),
        (Scheme.SEMVER, "1.2.3", "1.2.3+b", True),
        (Scheme.SEMVER, "1.2.3", "1.2.4", False),
        (Scheme.SEMVER, "1.2.3", "1.2", False),
        (Scheme.PEP440, "1.2", "1.2.0", True),
        (Scheme.PEP440, "1.2", "1.2.1", False),
        (Scheme.PEP440, "1.2", "one", False),
    ],
)
def test_whether_a_stored_text_is_an_equal_version(scheme: Scheme, text: str, stored: str, equal: bool) -> None:
    assert is_spelling(stored, parse_version(text, scheme), scheme) is equal


def test_a_field_that_is_no_version_is_named() -> None:
    assert parse_field("1.2", Scheme.PEP440, "version").text == "1.2"
    with pytest.raises(Invalid) as refused:
        parse_field("1.2", Scheme.SEMVER, "minimum_version")
    assert refused.value.fields == {"minimum_version": "invalid version format: 1.2"}


@pytest.mark.parametrize(
    ("scheme", "text", "numbers"),
    [
        (Scheme.SEMVER, "1.2.3", 3),
        (Scheme.SEMVER, "1.2.3-a", None),
        (Scheme.PEP440, "1", 1),
        (Scheme.PEP440, "1!2", None),
    ],
)
def test_of_how_many_numbers_a_version_consists(scheme: Scheme, text: str, numbers: int | None) -> None:
    assert parse_version(text, scheme).numbers == numbers
