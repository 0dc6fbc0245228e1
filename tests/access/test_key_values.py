"""Keys as values, the secret that they are hashed with, and which peers are believed."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import updater.access.keys as keys
from updater.access.addresses import MAX_HOPS, AddressReader
from updater.access.keys import MAX_KEY_CHARACTERS, ApiKey, KeyRing, key_digest, load_secret, new_feed_key, new_key
from updater.access.principals import Permission, Principal
from updater.errors import ConfigurationError

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def a_key(text: str = "the-key", **more: Any) -> ApiKey:
    return ApiKey(1, "k", key_digest(b"secret", text), Permission.READ, "my-app", NOW, **{"expires_at": None, **more})


@pytest.mark.parametrize(
    ("more", "state"),
    [
        ({}, "usable"),
        ({"expires_at": NOW + SECOND}, "usable"),
        ({"expires_at": NOW}, "expired"),
        ({"revoked_at": NOW}, "revoked"),
        ({"expires_at": NOW, "revoked_at": NOW - SECOND}, "revoked"),
        ({"expires_at": NOW + SECOND, "revoked_at": NOW - SECOND}, "revoked"),
    ],
)
def test_the_state_of_a_key(more: dict[str, Any], state: str) -> None:
    assert a_key(**more).state(NOW) == state
    assert a_key(**more).usable(NOW) == (state == "usable")


def test_a_key_is_kept_as_hmac_of_its_text() -> None:
    digest = hmac.new(b"secret", b"the-key", hashlib.sha256).hexdigest()
    assert key_digest(b"secret", "the-key") == digest
    assert len(key_digest(b"secret", "\udcff")) == 64
    assert a_key().principal() == Principal(f"key:{digest[:16]}", "k", Permission.READ, "my-app", digest)


def test_new_keys_have_their_form() -> None:
    made = {new_feed_key() for _ in range(50)}
    assert len(made) == 50
    assert all(re.fullmatch(r"[a-z0-9]{40}", each) for each in made)
    assert set("".join(made)) == set("abcdefghijklmnopqrstuvwxyz0123456789")
    assert re.fullmatch(r"upd_[A-Za-z0-9_-]{43}", new_key())


def test_a_ring_finds_each_of_its_keys() -> None:
    made = [
        a_key(),
        a_key("x" * MAX_KEY_CHARACTERS),
        a_key("y" * (MAX_KEY_CHARACTERS + 1)),
        a_key("gone", revoked_at=NOW),
    ]
    ring = KeyRing(b"secret", made)
    assert sorted(ring.keys(), key=lambda each: each.digest) == sorted(made, key=lambda each: each.digest)
    for _ in range(2):  # hashed, then met before
        assert ring.recognise("the-key", NOW) == made[0].principal()
        assert ring.recognise("x" * MAX_KEY_CHARACTERS, NOW) == made[1].principal()
        assert ring.recognise("y" * (MAX_KEY_CHARACTERS + 1), NOW) is None
        assert ring.recognise("gone", NOW) is None
        assert ring.recognise("unknown", NOW) is None
    assert len(ring._met) == 3, "what is unknown takes no memory"


def test_keys_whose_digests_begin_alike_are_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "key_digest", lambda secret, text: "a" * 16 + text.ljust(48, "0"))
    made = [
        ApiKey(number, name, "a" * 16 + name.ljust(48, "0"), Permission.READ, None, NOW, None)
        for number, name in enumerate("bc")
    ]
    ring = KeyRing(b"secret", made)
    assert [ring.recognise(each, NOW) for each in "bcd"] == [made[0].principal(), made[1].principal(), None]


def test_a_key_that_was_met_is_found_by_the_quick_hash_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    ring = KeyRing(b"secret", [a_key()])
    assert ring.recognise("the-key", NOW) is not None
    monkeypatch.setattr(keys, "key_digest", None)
    assert ring.recognise("the-key", NOW) is not None
    assert all(len(each) == 32 and b"the-key" not in each for each in ring._met)
    assert KeyRing(b"secret", [])._quick.digest() != KeyRing(b"secret", [])._quick.digest(), "its key is random"


def test_a_new_secret_is_on_disk_before_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []
    replace = Path.replace
    monkeypatch.setattr(os, "fsync", lambda fd: log.append(Path(f"/proc/self/fd/{fd}").readlink().name))
    monkeypatch.setattr(Path, "replace", lambda path, to: (log.append("replaced"), replace(path, to))[1])
    opened: list[int] = []
    closed: list[int] = []
    open_, close = os.open, os.close
    monkeypatch.setattr(os, "open", lambda *given: (opened.append(open_(*given)), opened[-1])[1])
    monkeypatch.setattr(os, "close", lambda descriptor: (closed.append(descriptor), close(descriptor))[1])
    path = tmp_path / "secret.key"
    (tmp_path / "secret.new").write_bytes(b"of a start that was killed, and longer than a secret is")
    (tmp_path / "secret.new").chmod(0o644)
    secret = load_secret(path)
    assert path.read_bytes() == secret
    assert len(secret) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert log == ["secret.new", "replaced", tmp_path.name]
    assert [each.name for each in tmp_path.iterdir()] == ["secret.key"]
    assert len(opened) >= 2
    assert set(opened) <= set(closed)
    assert load_secret(path) == secret
    assert load_secret(tmp_path / "other") != secret


def test_of_several_starts_one_makes_the_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one waits for the lock, and finds that there is one."""
    path = tmp_path / "secret"
    lock = keys.fcntl.flock
    held: list[int] = []

    def meanwhile(descriptor: int, how: int) -> None:
        held.append(how)
        lock(descriptor, how)
        path.write_bytes(b"o" * 32)

    monkeypatch.setattr(keys.fcntl, "flock", meanwhile)
    assert load_secret(path) == b"o" * 32
    assert held == [keys.fcntl.LOCK_EX]
    assert [each.name for each in tmp_path.iterdir()] == ["secret"]


@pytest.mark.parametrize("size_bytes", [0, 31, 33])
def test_a_damaged_secret_stops_the_start(tmp_path: Path, size_bytes: int) -> None:
    path = tmp_path / "secret"
    path.write_bytes(bytes(size_bytes))
    with pytest.raises(ConfigurationError) as refused:
        load_secret(path)
    assert refused.value.args == (f"storage.root: {path} is damaged; restore it from a backup",)


def test_a_secret_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    with pytest.raises(ConfigurationError) as refused:
        load_secret(tmp_path / "secret")
    assert refused.value.args == (f"storage.root: {tmp_path / 'secret'} cannot be used: Is a directory",)
    with pytest.raises(ConfigurationError, match=r"cannot be used: No such file or directory$"):
        load_secret(tmp_path / "nowhere" / "secret")


@pytest.mark.parametrize(
    ("trusted", "peer", "believed"),
    [
        ([], "10.0.0.1", False),
        ([], "", False),
        (["10.0.0.0/8"], "10.0.0.1", True),
        (["10.0.0.0/8"], "11.0.0.1", False),
        (["10.0.0.0/8"], "::ffff:10.0.0.1", True),
        (["10.0.0.0/8"], "::a00:1", False),
        (["2001:db8::/32"], "2001:db8::1", True),
        (["10.0.0.0/8"], "", False),
        (["10.0.0.0/8"], None, False),
        (["unix"], "", True),
        (["unix"], "/run/x.sock", True),
        (["unix"], "10.0.0.1", False),
        (["unix"], None, False),
        (["unix", "10.0.0.0/8"], "10.0.0.1", True),
        (["unix", "10.0.0.0/8"], "11.0.0.1", False),
    ],
)
def test_which_peers_are_believed(trusted: list[str], peer: str | None, believed: bool) -> None:
    assert AddressReader(trusted).believes(peer) is believed


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        (None, "1.1.1.1", ""),
        ("10.0.0.1", "", "10.0.0.1"),
        ("", "1.1.1.1", "1.1.1.1"),
        ("", None, ""),
        ("10.0.0.1", " [2001:db8::1] , 10.0.0.2", "2001:db8::1"),
        ("10.0.0.1", "[2001:db8::1", "2001:db8::1"),
        ("10.0.0.1", "2001:DB8::0001", "2001:db8::1"),
        ("10.0.0.1", "1.1.1.1:80:90", "10.0.0.1"),
        ("10.0.0.1", "9.9.9.9, x, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "1.1.1.1, " + ", ".join(["10.0.0.2"] * (MAX_HOPS - 1)), "1.1.1.1"),
        ("10.0.0.1", "1.1.1.1, 10.0.0.3, " + ", ".join(["10.0.0.2"] * (MAX_HOPS - 1)), "10.0.0.3"),
        ("10.0.0.1", "9.9.9.9, " * (MAX_HOPS + 5) + "1.1.1.1", "1.1.1.1"),
    ],
)
def test_clients_behind_a_proxy_and_a_socket(peer: str | None, forwarded: str | None, client: str) -> None:
    assert AddressReader(["unix", "10.0.0.0/8"]).client_address(peer, forwarded) == client
