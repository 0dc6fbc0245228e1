"""Signatures that developers make over their files: forms and checks of minisign (Tauri) and Ed25519 (Sparkle). PURE.

Texts come from strangers: whatever they are, the only exception is ValueError, and it says what would fit.
Source: https://jedisct1.github.io/minisign/#signature-format, Tauri's updater and Sparkle's `SUPublicEDKey`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import mmap
import re
from collections.abc import Iterable
from dataclasses import dataclass

Buffer = bytes | bytearray | memoryview | mmap.mmap

# minisign itself writes comments of at most 1,024 and 8,192 bytes; base64 makes a third more of it.
MOST_TEXT_CHARS = 16_384
# A legacy minisign signature is over the file itself, not over its hash: clients hold such a file in memory.
MOST_LEGACY_BYTES = 64 << 20

_POINT_BYTES, _KEY_ID_BYTES, _SIGNATURE_BYTES = 32, 8, 64
_LEGACY, _PREHASHED = b"Ed", b"ED"
_COMMENT, _TRUSTED = "untrusted comment:", "trusted comment: "
_PIECE_BYTES = 1 << 20
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_WHITE = re.compile(r"[ \t\r\n]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

_KEY_FITS = "a minisign public key is Tauri's pubkey, the two lines of minisign.pub, or the second of them"
_SIGNATURE_FITS = "a minisign signature is the text of a .minisig file, or of Tauri's .sig file"


@dataclass(frozen=True, slots=True)
class MinisignKey:
    """A public key: 8 bytes that tell keys apart, and the 32 bytes of an Ed25519 key."""

    key_id: bytes
    point: bytes


@dataclass(frozen=True, slots=True)
class MinisignSignature:
    """A signature over a file, or over its BLAKE2b-512 (`prehashed`), and one over both it and the trusted comment."""

    key_id: bytes
    prehashed: bool
    signature: bytes
    trusted_comment: bytes
    global_signature: bytes


def parse_minisign_key(text: str) -> MinisignKey:
    """Read a public key in any of its three forms: Tauri's `pubkey`, the two lines, the second line alone.

    Raises:
        ValueError: it is none of them.
    """
    plain = _bounded(text)
    if not plain.startswith(_COMMENT):
        raw = _decode(_WHITE.sub("", plain), f"not base64; {_KEY_FITS}")
        if raw[:2] == _LEGACY and len(raw) == 2 + _KEY_ID_BYTES + _POINT_BYTES:
            return MinisignKey(raw[2:10], raw[10:])
        plain = _as_text(raw, _KEY_FITS)
    lines = _lines(plain, 2, _KEY_FITS)
    raw = _decode(lines[1], f"the second line is not base64; {_KEY_FITS}")
    if raw[:2] != _LEGACY or len(raw) != 2 + _KEY_ID_BYTES + _POINT_BYTES:
        raise ValueError(f"the second line is no public key; {_KEY_FITS}")
    return MinisignKey(raw[2:10], raw[10:])


def parse_ed25519_key(text: str) -> bytes:
    """Read a public key as Sparkle's `SUPublicEDKey` has it; return its 32 bytes.

    Raises:
        ValueError: not the base64 of 32 bytes.
    """
    fits = "an ed25519 public key is the base64 of its 32 bytes, as Sparkle's SUPublicEDKey"
    raw = _decode(_bounded(text), f"not base64; {fits}")
    if len(raw) != _POINT_BYTES:
        raise ValueError(f"{len(raw)} bytes; {fits}")
    return raw


def parse_minisign(text: str) -> MinisignSignature:
    """Read a signature: the four lines that minisign writes, or the base64 of them that Tauri writes.

    Raises:
        ValueError: it has neither form.
    """
    plain = _bounded(text)
    if not plain.startswith(_COMMENT):
        plain = _as_text(_decode(_WHITE.sub("", plain), f"not base64; {_SIGNATURE_FITS}"), _SIGNATURE_FITS)
    _, first, comment, second = _lines(plain, 4, _SIGNATURE_FITS)
    if not comment.startswith(_TRUSTED):
        raise ValueError(f"the third line does not begin with 'trusted comment: '; {_SIGNATURE_FITS}")
    raw = _decode(first, f"the second line is not base64; {_SIGNATURE_FITS}")
    over_all = _decode(second, f"the fourth line is not base64; {_SIGNATURE_FITS}")
    if len(raw) != 2 + _KEY_ID_BYTES + _SIGNATURE_BYTES or raw[:2] not in (_LEGACY, _PREHASHED):
        raise ValueError(f"the second line is no signature; {_SIGNATURE_FITS}")
    if len(over_all) != _SIGNATURE_BYTES:
        raise ValueError(f"the fourth line is no signature; {_SIGNATURE_FITS}")
    trusted = comment.removeprefix(_TRUSTED).encode()
    return MinisignSignature(raw[2:10], raw[:2] == _PREHASHED, raw[10:], trusted, over_all)


def parse_ed25519(text: str) -> bytes:
    """Read a signature as Sparkle's `edSignature` has it; return its 64 bytes.

    Raises:
        ValueError: not the base64 of 64 bytes.
    """
    fits = "an ed25519 signature is the base64 of its 64 bytes, as Sparkle's sign_update writes it"
    raw = _decode(_bounded(text), f"not base64; {fits}")
    if len(raw) != _SIGNATURE_BYTES:
        raise ValueError(f"{len(raw)} bytes; {fits}")
    return raw


def verify_minisign(text: str, keys: Iterable[str], data: Buffer) -> None:
    """Check that one of the keys signed these bytes, and the trusted comment with them.

    `data` may be a memory map. A prehashed signature reads it in pieces, so that little of it is in memory at once.

    Raises:
        ValueError: a text has no right form, no key has the signature's key id, or a signature does not hold.
    """
    signed = parse_minisign(text)
    known = [parse_minisign_key(each) for each in keys]
    points = [key.point for key in known if key.key_id == signed.key_id]
    if not points:
        theirs = ", ".join(_id_text(key.key_id) for key in known) or "none"
        raise ValueError(f"made with the key {_id_text(signed.key_id)}; the keys of the application: {theirs}")
    if not signed.prehashed and len(data) > MOST_LEGACY_BYTES:
        raise ValueError(
            f"a legacy signature over more than {MOST_LEGACY_BYTES} bytes is not taken; sign the file's hash"
            " (minisign -H, the default since minisign 0.10 and in Tauri)"
        )
    message = _hash(data) if signed.prehashed else data
    signers = [point for point in points if _holds(point, signed.signature, message)]
    if not signers:
        raise ValueError(f"the key {_id_text(signed.key_id)} did not sign these bytes")
    if not any(_holds(point, signed.global_signature, signed.signature + signed.trusted_comment) for point in signers):
        raise ValueError("the trusted comment is not the one that was signed with the file")


def verify_ed25519(text: str, keys: Iterable[str], data: Buffer) -> None:
    """Check that one of the keys signed these bytes. `data` may be a memory map; it is read once for each key.

    Raises:
        ValueError: a text has no right form, or no key signed these bytes.
    """
    signature = parse_ed25519(text)
    points = [parse_ed25519_key(each) for each in keys]
    if not any(_holds(point, signature, data) for point in points):
        raise ValueError("none of the application's ed25519 keys signed these bytes")


def render_tauri(text: str) -> str:
    """Return a minisign signature, in whatever form it was uploaded, as Tauri reads it: the base64 of its text.

    Raises:
        ValueError: no minisign signature.
    """
    parse_minisign(text)
    plain = text.strip()
    if plain.startswith(_COMMENT):
        return base64.b64encode(f"{plain}\n".encode()).decode()
    encoded = _WHITE.sub("", plain)
    inside = base64.b64decode(encoded).decode()
    stripped = inside.strip()
    if inside in (stripped, f"{stripped}\n"):
        return encoded
    return base64.b64encode(f"{stripped}\n".encode()).decode()


def _bounded(text: str) -> str:
    if len(text) > MOST_TEXT_CHARS:
        raise ValueError(f"longer than {MOST_TEXT_CHARS} characters")
    return text.strip()


def _decode(text: str, problem: str) -> bytes:
    """Return the bytes of strict base64: padded, and the one spelling that an encoder writes, as clients demand it."""
    if not _BASE64.fullmatch(text):
        raise ValueError(problem)
    try:
        raw = binascii.a2b_base64(text)
    except binascii.Error:
        raise ValueError(problem) from None
    if base64.b64encode(raw).decode() != text:
        raise ValueError(problem)
    return raw


def _as_text(raw: bytes, fits: str) -> str:
    try:
        return raw.decode().strip()
    except UnicodeDecodeError:
        raise ValueError(f"the base64 of no text; {fits}") from None


def _lines(text: str, count: int, fits: str) -> list[str]:
    """Return the lines of a text whose first one is the untrusted comment. Raises ValueError."""
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    if len(lines) != count or not lines[0].startswith(_COMMENT):
        raise ValueError(f"not {count} lines that begin with 'untrusted comment:'; {fits}")
    for line in lines:
        if _CONTROL.search(line) or not _is_utf8(line):
            raise ValueError(f"a comment has characters that belong in no text; {fits}")
    return lines


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= each <= "\udfff" for each in text)


def _id_text(key_id: bytes) -> str:
    """Return a key id as minisign prints it."""
    return f"{int.from_bytes(key_id, 'little'):016X}"


def _hash(data: Buffer) -> bytes:
    hasher = hashlib.blake2b()
    with memoryview(data) as view:
        for offset in range(0, len(view), _PIECE_BYTES):
            with view[offset : offset + _PIECE_BYTES] as piece:
                hasher.update(piece)
                size = len(piece)
            if isinstance(data, mmap.mmap):
                # What was read need not count as this process's memory any longer.
                data.madvise(mmap.MADV_DONTNEED, offset, size)
    return hasher.digest()


def _holds(point: bytes, signature: bytes, message: Buffer) -> bool:
    # Imported when the first signature comes: 8 MB of memory.
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        with memoryview(message) as view:
            Ed25519PublicKey.from_public_bytes(point).verify(signature, view)
    except (InvalidSignature, ValueError):
        return False
    return True
