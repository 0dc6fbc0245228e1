"""Kinds and names of files. Controls: an ending removed or an order changed in `_ENDINGS`, `lstrip` left out."""

from __future__ import annotations

import string
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from updater.catalog.files import FileKind, generated_name, kind_of, name_key, safe_name, suffix_of
from updater.catalog.platforms import ARCHITECTURES, PLATFORMS, Target

# Source: the contract on files of a build, section 1, "Kinds".
INSTALLERS = (".exe", ".msi", ".msix", ".dmg", ".pkg", ".deb", ".rpm", ".pacman", ".AppImage", ".apk")
ARCHIVES = (".zip", ".tar.gz", ".tar.xz", ".7z", ".app.tar.gz", ".AppImage.tar.gz", ".nsis.zip")
DOCUMENTED = {
    **dict.fromkeys(INSTALLERS, FileKind.INSTALLER),
    **dict.fromkeys(ARCHIVES, FileKind.ARCHIVE),
    "-full.nupkg": FileKind.PACKAGE,
    "-delta.nupkg": FileKind.DELTA,
    ".delta": FileKind.DELTA,
    ".blockmap": FileKind.BLOCKMAP,
    ".zsync": FileKind.ZSYNC,
}
SAFE = frozenset(string.ascii_letters + string.digits + "._+-")
TARGETS = st.builds(Target, st.sampled_from(PLATFORMS), st.sampled_from(ARCHITECTURES))


def in_any_case(text: str) -> st.SearchStrategy[str]:
    """Return the spellings of an ASCII text that differ in case alone."""
    pairs = st.tuples(*(st.sampled_from((each.lower(), each.upper())) for each in text))
    return pairs.map("".join)


@given(
    st.sampled_from(sorted(DOCUMENTED)).flatmap(lambda end: st.tuples(st.just(end), in_any_case(end))),
    st.text(max_size=30),
)
@settings(deadline=None)
def test_the_end_of_a_name_tells_its_kind_in_any_case(ends: tuple[str, str], begin: str) -> None:
    documented, spelled = ends
    assert kind_of(begin + spelled) is DOCUMENTED[documented]


@pytest.mark.parametrize("end", sorted(DOCUMENTED))
def test_what_follows_the_end_counts_first(end: str) -> None:
    """A block map of an installer is a block map, and a checksum file of an archive is no archive."""
    assert kind_of(f"App{end}.blockmap") is FileKind.BLOCKMAP
    assert kind_of(f"App{end}.zsync") is FileKind.ZSYNC
    assert kind_of(f"App{end}.sha256") is FileKind.OTHER
    assert kind_of(f"App{end} ") is FileKind.OTHER


@pytest.mark.parametrize(
    "name",
    ["", "App", "exe", "AppImage", "App.nupkg", "App-full.nupkg.txt", "App.tar", "App.gz", "App.xz", "App.tgz"]  # noqa: RUF005 - two lines
    + ["App.exe.txt", "delta", "App.deltas", "latest.yml", "RELEASES", "App_full.nupkg", "App.7z.001", "App.bin"],
)
def test_any_other_end_is_of_no_kind(name: str) -> None:
    assert kind_of(name) is FileKind.OTHER


def test_every_kind_is_documented_and_fits_its_column() -> None:
    assert {*DOCUMENTED.values(), FileKind.OTHER} == set(FileKind)
    assert max(len(each.value) for each in FileKind) <= 10


@pytest.mark.parametrize("same", [("App.EXE", "app.exe"), ("STRASSE", "Straße"), ("ΣΊΣΥΦΟΣ", "σίσυφος")])
def test_names_that_differ_only_in_case_have_one_key(same: tuple[str, str]) -> None:
    assert name_key(same[0]) == name_key(same[1])


def test_other_names_have_other_keys() -> None:
    names = ("App.exe", "App.ex", "App-exe", "App .exe", "Äpp.exe")
    assert len({name_key(name) for name in names}) == len(names)


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("App 1.0.dmg", ".dmg"),
        ("App.EXE", ".EXE"),
        ("app.tar.gz", ".tar.gz"),
        ("My.app.tar.gz", ".app.tar.gz"),
        ("My.AppImage.tar.gz", ".AppImage.tar.gz"),
        ("Setup.nsis.zip", ".nsis.zip"),
        ("app.zip.exe", ".exe"),
        ("mkcert-v1.4.4", ""),
        ("app.7z", ".7z"),
        (r"C:\Users\me\Setup.msi", ".msi"),
        ("/tmp/build.d/app", ""),
        (r"build.d\app", ""),
        ("app", ""),
        ("", ""),
        (".profile", ""),
        ("app.", ""),
        ("app.exe ", ""),
        ("app.e-e", ""),
        ("app.dä", ""),
        ("app.\u0661\u0662", ""),
        ("app.exe\n", ""),
        ("app." + "a" * 16, "." + "a" * 16),
        ("app." + "a" * 17, ""),
        ("app.exe/", ".exe"),
        ("app.exe/..", ""),
        ("app.\x00", ""),
    ],
)
def test_suffixes(name: str, suffix: str) -> None:
    assert suffix_of(name) == suffix


@given(st.text())
@settings(deadline=None)
def test_a_suffix_is_empty_or_dots_with_letters_and_digits(name: str) -> None:
    suffix = suffix_of(name)
    assert suffix == "" or suffix[0] == "."
    assert len(suffix.split(".")) <= 4
    for part in suffix.split(".")[1:]:
        assert 1 <= len(part) <= 16
        assert set(part) <= set(string.ascii_letters + string.digits)
        assert not part.isdigit()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("my-app-1.2.0", "my-app-1.2.0"),
        ("1.0.0+build.7", "1.0.0+build.7"),
        ("a b\tc", "a_b_c"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("-rf", "rf"),
        ("..", "download"),
        ("-", "download"),
        ("", "download"),
        ("ä", "_"),
        ("1!2.0", "1_2.0"),
        ('a"; filename="b', "a_filename_b"),
        ("a\r\nX-Header: b", "a_X-Header_b"),
    ],
)
def test_safe_names(text: str, name: str) -> None:
    assert safe_name(text) == name


def require_safe(name: str) -> None:
    assert name
    assert set(name) <= SAFE, "a shell, a path or a header could misread it"
    assert name[0] not in ".-"
    assert not any(unicodedata.category(each).startswith("C") for each in name)


@given(st.text())
@example("\x00")
@example("..-..")
@example("/")
@example("\u202e.exe")
@settings(deadline=None)
def test_a_safe_name_is_safe_whatever_it_was(text: str) -> None:
    require_safe(safe_name(text))
    assert safe_name(safe_name(text)) == safe_name(text)


@given(st.text(max_size=40), st.text(max_size=40), TARGETS, st.text(max_size=40))
@example("..", "..", Target("linux", "amd64"), "../x.sh")
@settings(deadline=None)
def test_a_generated_name_is_safe_whatever_was_uploaded(
    application_id: str, version: str, target: Target, uploaded: str
) -> None:
    name = generated_name(application_id, version, target, suffix_of(uploaded))
    require_safe(name)
    assert name.endswith("-".join(target) + suffix_of(uploaded))


IDS = st.text(string.ascii_letters + string.digits + "_", min_size=1, max_size=20)
PLAIN_VERSIONS = st.from_regex(r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(-rc\.[0-9])?(\+b[0-9])?", fullmatch=True)


@given(IDS, PLAIN_VERSIONS, TARGETS, st.sampled_from(["", ".exe", ".AppImage"]))
@settings(deadline=None)
def test_a_generated_name_says_everything_as_it_was(
    application_id: str, version: str, target: Target, suffix: str
) -> None:
    """`+` and `-` of a version stay: updaters look for the version in the name."""
    wanted = f"{application_id}-{version}-{target.platform}-{target.architecture}{suffix}"
    assert generated_name(application_id, version, target, suffix) == wanted


def test_the_longest_generated_name_fits_its_columns() -> None:
    longest = [max(words, key=len) for words in (PLATFORMS, ARCHITECTURES)]
    name = generated_name("a" * 100, "1.0.0-" + "b" * 94, Target(*longest), "." + "c" * 16)
    assert len(name) <= 255
    assert len(name_key(name)) <= 700
