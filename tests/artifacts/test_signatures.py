"""Signatures of developers: what minisign makes holds here, what it refuses is refused, and no text is a crash."""

from __future__ import annotations

import base64
import mmap
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from updater.artifacts import signatures

PARSERS: tuple[Callable[[str], object], ...] = (
    signatures.parse_minisign,
    signatures.parse_minisign_key,
    signatures.parse_ed25519,
    signatures.parse_ed25519_key,
    signatures.render_tauri,
)
needs_minisign = pytest.mark.skipif(shutil.which("minisign") is None, reason="needs minisign")


@dataclass
class Signer:
    """A developer with minisign's own command."""

    folder: Path

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.run("-G", "-W", "-p", "key.pub", "-s", "key")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(["minisign", *arguments], cwd=self.folder, check=True, capture_output=True)

    @property
    def public(self) -> str:
        return (self.folder / "key.pub").read_text()

    def sign(self, content: bytes, *options: str) -> str:
        (self.folder / "file").write_bytes(content)
        self.run("-S", "-s", "key", "-m", "file", "-x", "file.minisig", *options)
        return (self.folder / "file.minisig").read_text()

    def accepts(self, content: bytes, signature: str) -> bool:
        (self.folder / "file").write_bytes(content)
        (self.folder / "file.minisig").write_text(signature)
        try:
            self.run("-V", "-p", "key.pub", "-m", "file", "-x", "file.minisig")
        except subprocess.CalledProcessError:
            return False
        return True


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return Signer(tmp_path_factory.mktemp("minisign") / "developer")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return Signer(tmp_path_factory.mktemp("minisign") / "stranger")


def tauri(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def accepted(text: str, keys: list[str], data: signatures.Buffer) -> bool:
    try:
        signatures.verify_minisign(text, keys, data)
    except ValueError:
        return False
    return True


@needs_minisign
@pytest.mark.parametrize("options", [("-H",), ("-l",), ("-H", "-t", "ünïcode ✓"), ("-c", "my own comment")])
@pytest.mark.parametrize("content", [b"", b"x", bytes(range(256)) * 9_000])
def test_what_minisign_signs_holds_in_every_form(signer: Signer, options: tuple[str, ...], content: bytes) -> None:
    text = signer.sign(content, *options)
    keys = [signer.public, signer.public.splitlines()[1], tauri(signer.public), tauri(signer.public.strip())]
    for key in keys:
        for form in (text, text.replace("\n", "\r\n"), tauri(text), f" {tauri(text.strip())}\n"):
            signatures.verify_minisign(form, [key], content)
    assert signatures.parse_minisign(text).prehashed == ("-l" not in options)


@needs_minisign
@pytest.mark.parametrize("option", ["-H", "-l"])
def test_both_judge_alike_of_whatever_was_changed(signer: Signer, stranger: Signer, option: str) -> None:
    """Control: the unchanged pair, which both take."""
    content = b"the bytes of a build"
    text = signer.sign(content, option, "-t", "version 1.0.0")
    lines = text.splitlines()
    foreign = stranger.sign(content, option, "-t", "version 1.0.0")

    def with_line(number: int, line: str) -> str:
        return "\n".join([*lines[:number], line, *lines[number + 1 :]]) + "\n"

    def flipped(line: str, index: int) -> str:
        raw = bytearray(base64.b64decode(line))
        raw[index] ^= 1
        return base64.b64encode(raw).decode()

    cases = {
        "unchanged": (content, text, True),
        "other untrusted comment": (content, with_line(0, "untrusted comment: anything"), True),
        "other bytes": (b"the bytes of a build!", text, False),
        "no bytes": (b"", text, False),
        "other trusted comment": (content, with_line(2, "trusted comment: version 2.0.0"), False),
        "longer trusted comment": (content, with_line(2, lines[2] + " "), False),
        "other key id": (content, with_line(1, flipped(lines[1], 5)), False),
        "other signature": (content, with_line(1, flipped(lines[1], 20)), False),
        "other end of the signature": (content, with_line(1, flipped(lines[1], 73)), False),
        "other global signature": (content, with_line(3, flipped(lines[3], 0)), False),
        "signed by a stranger": (content, foreign, False),
        "global signature of a stranger": (content, with_line(3, foreign.splitlines()[3]), False),
    }
    assert {name: accepted(form, [signer.public], data) for name, (data, form, _) in cases.items()} == {
        name: good for name, (_, _, good) in cases.items()
    }
    assert {name: signer.accepts(data, form) for name, (data, form, _) in cases.items()} == {
        name: good for name, (_, _, good) in cases.items()
    }


@needs_minisign
def test_a_legacy_signature_is_not_taken_for_a_prehashed_one(signer: Signer) -> None:
    lines = signer.sign(b"content", "-l").splitlines()
    raw = base64.b64decode(lines[1])
    changed = "\n".join([lines[0], base64.b64encode(b"ED" + raw[2:]).decode(), *lines[2:]])
    assert not accepted(changed, [signer.public], b"content")
    assert not signer.accepts(b"content", changed)


@needs_minisign
def test_any_of_several_keys_will_do_and_an_error_says_which_would(signer: Signer, stranger: Signer) -> None:
    text = signer.sign(b"content")
    signatures.verify_minisign(text, [stranger.public, tauri(signer.public)], b"content")
    # A foreign key that carries the id of ours.
    raw = signatures.parse_minisign_key(stranger.public).point
    same_id = base64.b64encode(b"Ed" + signatures.parse_minisign_key(signer.public).key_id + raw).decode()
    signatures.verify_minisign(text, [same_id, signer.public], b"content")
    with pytest.raises(ValueError, match="did not sign these bytes"):
        signatures.verify_minisign(text, [same_id], b"content")
    ours, theirs = (f"{int(each.public.split()[5], 16):016X}" for each in (signer, stranger))
    with pytest.raises(ValueError, match=f"made with the key {ours}; the keys of the application: {theirs}"):
        signatures.verify_minisign(text, [stranger.public], b"content")
    with pytest.raises(ValueError, match="the keys of the application: none"):
        signatures.verify_minisign(text, [], b"content")


@needs_minisign
def test_a_large_file_is_read_through_its_map(signer: Signer, tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.touch()
    os.truncate(path, signatures.MOST_LEGACY_BYTES + 1)
    content = path.read_bytes()
    prehashed, legacy = signer.sign(content), signer.sign(content, "-l")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        signatures.verify_minisign(prehashed, [signer.public], data)
        with pytest.raises(ValueError, match="minisign -H"):
            signatures.verify_minisign(legacy, [signer.public], data)


@needs_minisign
def test_feeds_get_the_base64_of_the_text(signer: Signer) -> None:
    text = signer.sign(b"content")
    for form in (
        text,
        text.rstrip(),
        f"\n{text}\n",
        tauri(text),
        tauri(f"{text}\n\n"),
        f"{tauri(text)[:80]}\n{tauri(text)[80:]}",
    ):
        assert signatures.render_tauri(form) == tauri(text)
    assert signatures.render_tauri(tauri(text.rstrip())) == tauri(text.rstrip()), (
        "Tauri's own text is given back as it is"
    )


def ed25519_pair(content: bytes) -> tuple[str, str]:
    private = Ed25519PrivateKey.generate()
    key = base64.b64encode(private.public_key().public_bytes_raw()).decode()
    return key, base64.b64encode(private.sign(content)).decode()


@pytest.mark.parametrize("content", [b"", b"content" * 100_000])
def test_ed25519_holds_over_the_raw_bytes(content: bytes, tmp_path: Path) -> None:
    key, signature = ed25519_pair(content)
    other, foreign = ed25519_pair(content)
    signatures.verify_ed25519(signature, [other, f" {key}\n"], content)
    for text, keys, data in (signature, [key], content + b"!"), (foreign, [key], content), (signature, [], content):
        with pytest.raises(ValueError, match="none of the application's ed25519 keys"):
            signatures.verify_ed25519(text, keys, data)
    if content:
        (tmp_path / "file").write_bytes(content)
        with (tmp_path / "file").open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            signatures.verify_ed25519(signature, [key], mapped)


def test_sparkles_own_example() -> None:
    """A test vector of RFC 8032, in base64."""
    key = base64.b64encode(bytes.fromhex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025")).decode()
    signature = base64.b64encode(
        bytes.fromhex(
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
            "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        )
    ).decode()
    signatures.verify_ed25519(signature, [key], bytes.fromhex("af82"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "untrusted comment: ",
        "untrusted comment: a\nRWQ=",
        "untrusted comment: a\nb\ntrusted comment: c\nd",
        "A" * 55,
        base64.b64encode(b"ED" + bytes(40)).decode(),  # a key says Ed
        base64.b64encode(bytes(33)).decode(),
        base64.b64encode(b"Ed" + bytes(40)).decode()[:-1] + "\u0661",
        base64.b64encode(b"\xff\xfe" * 40).decode(),
        "A" * 20_000,
        "\ud800",
    ],
)
def test_what_is_none_says_what_fits(text: str) -> None:
    for parse in PARSERS:
        with pytest.raises(ValueError, match=r"minisign|ed25519|characters"):
            parse(text)


def test_only_the_spelling_that_clients_read_is_taken() -> None:
    """Rust's and libsodium's decoders want padding and no bits after the end."""
    key = base64.b64encode(bytes(31) + b"\x01").decode()
    assert key.endswith("E=")
    for wrong in (key[:-1], key[:-2] + "F=", key[:-1] + "==", key.replace("A", "-", 1), key[:8] + "\n" + key[8:]):
        with pytest.raises(ValueError, match="base64"):
            signatures.parse_ed25519_key(wrong)


TEXTS = st.one_of(
    st.text(max_size=300),
    st.binary(max_size=300).map(lambda raw: base64.b64encode(raw).decode()),
    st.text(max_size=100).map(lambda text: f"untrusted comment: {text}"),
    st.lists(
        st.one_of(
            st.sampled_from(["untrusted comment: x", "trusted comment: y", "", "\r", "\x00", "\ud800"]),
            st.sampled_from([b"Ed", b"ED", b"ed"]).flatmap(
                lambda head: st.sampled_from([40, 64, 72]).map(
                    lambda size: base64.b64encode(head + bytes(size)).decode()
                )
            ),
            st.binary(min_size=64, max_size=64).map(lambda raw: base64.b64encode(raw).decode()),
        ),
        max_size=6,
    ).map("\n".join),
)


@settings(max_examples=400, deadline=None)
@given(text=st.one_of(TEXTS, TEXTS.map(lambda text: base64.b64encode(text.encode(errors="replace")).decode())))
def test_no_text_is_more_than_a_value_error(text: str) -> None:
    for parse in PARSERS:
        try:
            parse(text)
        except ValueError as error:
            assert str(error)
    for verify in (signatures.verify_minisign, signatures.verify_ed25519):
        with pytest.raises(ValueError):
            verify(text, [text], b"content")
