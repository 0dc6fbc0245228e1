"""Messages that differ only in numbers, paths, addresses and digests are one group."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from updater.telemetry.messages import MAX_GROUP_CHARACTERS, NO_MESSAGE, group_message

words = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("message", "group"),
    [
        (r"Cannot open C:\Users\eva\AppData\app.dll (error 32)", "Cannot open <path> (error <n>)"),
        (r'Cannot open "C:\Program Files\My App\a b.dll": denied', 'Cannot open "<path>": denied'),
        (r"copy to \\server\share\x.exe failed", "copy to <path> failed"),
        ("ENOENT: no such file, open '/home/eva/.config/app/x.json'", "ENOENT: no such file, open '<path>'"),
        ("disk full: ~/Downloads/a.zip", "disk full: <path>"),
        ("connect ECONNREFUSED 192.168.1.17:8080", "connect ECONNREFUSED <address>"),
        ("no route to fe80::1ff:fe23:4567:890a", "no route to <address>"),
        ("GET https://cdn.example.com/a/b?c=1 failed: 503", "GET <url> failed: <n>"),
        ("crash at 0x7ffdeadbeef0", "crash at <n>"),
        ("hash is 9f86d081884c7d659a2feaa0c55ad015, expected 2c26b46b68ffc68f", "hash is <n>, expected <n>"),
        ("device 123e4567-e89b-12d3-a456-426614174000 lost", "device <n> lost"),
        ("mail to eva@example.com bounced", "mail to <address> bounced"),
        ("took 1.234,5 ms\n  at line 7", "took <n> ms at line <n>"),
        ("the facade was defaced", "the facade was defaced"),
        ("and/or", "and/or"),
        ("", NO_MESSAGE),
        (None, NO_MESSAGE),
        (" \n ", NO_MESSAGE),
    ],
)
def test_what_differs_is_blanked(message: str | None, group: str) -> None:
    assert group_message(message) == group


@given(st.text(max_size=3_000))
def test_a_group_is_short_on_one_line_and_without_digits(message: str) -> None:
    group = group_message(message)
    assert 0 < len(group) <= MAX_GROUP_CHARACTERS
    assert not any(each.isdecimal() for each in group)
    assert len(group.splitlines()) == 1


@given(words, words, st.integers(0), st.integers(0))
def test_numbers_do_not_tell_groups_apart(before: str, after: str, one: int, other: int) -> None:
    assert group_message(f"{before} {one} {after}") == group_message(f"{before} {other} {after}")


@given(words, st.lists(words, min_size=1, max_size=5), st.lists(words, min_size=1, max_size=5))
def test_paths_do_not_tell_groups_apart(said: str, one: list[str], other: list[str]) -> None:
    assert group_message(f"{said}: /{'/'.join(one)}") == group_message(f"{said}: /{'/'.join(other)}")
    drives = [f"{said}: C:" + "".join("\\" + part for part in parts) for parts in (one, other)]
    assert group_message(drives[0]) == group_message(drives[1])


@given(st.ip_addresses(v=4), st.ip_addresses(v=4))
def test_addresses_do_not_tell_groups_apart(one: object, other: object) -> None:
    assert group_message(f"no answer from {one}") == group_message(f"no answer from {other}")


@given(st.binary(min_size=16, max_size=40), st.binary(min_size=16, max_size=40))
def test_digests_do_not_tell_groups_apart(one: bytes, other: bytes) -> None:
    assert group_message(f"wrong hash {one.hex()}") == group_message(f"wrong hash {other.hex()}")
