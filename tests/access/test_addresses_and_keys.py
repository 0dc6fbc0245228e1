"""The origin of a request: addresses behind proxies, and keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from updater.access.addresses import AddressReader
from updater.access.keys import ApiKey, KeyRing, key_digest, load_secret, new_key
from updater.access.limits import client_of
from updater.access.principals import Permission

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.9", "1.1.1.1", "203.0.113.9"),  # not a proxy: what it says of others is worth nothing
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "1.1.1.1", "1.1.1.1"),
        ("10.0.0.1", "9.9.9.9, 1.1.1.1", "1.1.1.1"),  # the client wrote the first one itself
        ("10.0.0.1", "9.9.9.9, 1.1.1.1, 10.0.0.2", "1.1.1.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "1.1.1.1, nonsense", "10.0.0.1"),
        ("10.0.0.1", "1.1.1.1:4711", "1.1.1.1"),
        ("10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("::ffff:10.0.0.1", "1.1.1.1", "1.1.1.1"),
        ("", "1.1.1.1", ""),
    ],
)
def test_only_trusted_hops_are_believed(peer: str, forwarded: str | None, expected: str) -> None:
    """Control: taking the left-most hop turns `9.9.9.9, 1.1.1.1` red."""
    assert AddressReader(["10.0.0.0/8"]).client_address(peer, forwarded) == expected
    assert AddressReader([]).client_address(peer, forwarded) == peer


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_header_is_survived(peer: str, forwarded: str) -> None:
    AddressReader(["0.0.0.0/0", "::/0"]).client_address(peer, forwarded)
    client_of(peer)


def test_one_client_is_an_address_or_a_64() -> None:
    assert client_of("192.0.2.1") == "192.0.2.1"
    assert client_of("2001:db8::1") == client_of("2001:db8::ffff:1") == "2001:db8::/64"
    assert client_of("2001:db8:0:1::1") != client_of("2001:db8::1")
    assert client_of("::ffff:192.0.2.1") == "192.0.2.1"
    assert client_of("fe80::1%eth0") == "fe80::/64"


def ring(**more: datetime) -> KeyRing:
    digest = key_digest(b"secret", "the-key")
    return KeyRing(
        b"secret", [ApiKey(1, "k", digest, Permission.READ, None, NOW, more.get("expires_at"), more.get("revoked_at"))]
    )


def test_a_key_is_found_by_all_of_its_text_alone() -> None:
    assert ring().recognise("the-key", NOW) is not None
    for wrong in ("", "the-ke", "the-key ", "The-Key", "the-key" * 100, "\udcff"):
        assert ring().recognise(wrong, NOW) is None
    assert KeyRing(b"other", []).recognise("the-key", NOW) is None
    assert key_digest(b"other", "the-key") != key_digest(b"secret", "the-key")


def test_a_key_ends() -> None:
    later = NOW + timedelta(seconds=1)
    known = ring(expires_at=later)
    assert known.recognise("the-key", NOW) is not None
    assert known.recognise("the-key", later) is None, "also when it was met before"
    assert ring(expires_at=later).recognise("the-key", NOW) is not None
    assert ring(expires_at=later).recognise("the-key", later) is None
    assert ring(revoked_at=NOW).recognise("the-key", NOW) is None


def test_new_keys_are_long_and_never_the_same() -> None:
    made = {new_key() for _ in range(100)}
    assert len(made) == 100
    assert all(each.startswith("upd_") and len(each) >= 47 for each in made)


def test_the_secret_is_kept_and_private(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    made = load_secret(path)
    assert load_secret(path) == made
    assert len(made) == 32
    assert path.stat().st_mode & 0o077 == 0


def test_a_secret_that_another_process_has_just_made_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waited for the lock of a file that the other one has put in place since, under its own name."""
    path, theirs = tmp_path / "secret", bytes(range(32))

    def end_of_waiting(descriptor: int, operation: int) -> None:
        path.with_suffix(".new").write_bytes(theirs)
        path.with_suffix(".new").replace(path)

    monkeypatch.setattr("fcntl.flock", end_of_waiting)
    assert load_secret(path) == theirs
    assert list(tmp_path.iterdir()) == [path]
