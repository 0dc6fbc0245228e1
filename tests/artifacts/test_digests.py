"""How digests are spelt, inside and by others."""

from __future__ import annotations

import base64
import hashlib

import pytest

from updater.artifacts.digests import find_digest, is_digest, parse_digest

RAW = hashlib.sha256(b"a").digest()
DIGEST = RAW.hex()
# base64 of it holds both of the digits that other alphabets spell otherwise.
SPELT = base64.b64encode(RAW).decode()


@pytest.mark.parametrize(
    "text", [DIGEST, DIGEST.upper(), f"sha256:{DIGEST}", f"SHA256:{DIGEST.upper()}", f" \tsha256:{DIGEST}\n"]
)
def test_hex_is_read_in_any_case_and_with_its_algorithm(text: str) -> None:
    assert parse_digest(text) == find_digest(text) == DIGEST


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        DIGEST[1:],
        DIGEST + "0",
        "g" + DIGEST[1:],
        f"{DIGEST}sha256:",
        f"sha512:{DIGEST}",
        f"sha256:sha256:{DIGEST}",
    ],
)
def test_what_is_no_digest_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^expected 64 hexadecimal digits$"):
        parse_digest(text)
    assert find_digest(text) is None


@pytest.mark.parametrize("text", [SPELT, f"sha256-{SPELT}", f"\n sha256-{SPELT} "])
def test_base64_is_read_where_others_announce_it(text: str) -> None:
    assert find_digest(text) == DIGEST
    with pytest.raises(ValueError, match="hexadecimal"):
        parse_digest(text)


@pytest.mark.parametrize(
    "text",
    [
        base64.b64encode(RAW[1:]).decode(),
        base64.b64encode(RAW + b"x").decode(),
        f"{SPELT}sha256-",
        f"SHA256-{SPELT}",
        f"sha512-{SPELT}",
        f"{SPELT[:8]}!{SPELT[8:]}",
        f"{SPELT[:8]}\n{SPELT[8:]}",
        SPELT.rstrip("="),
        "é" * 44,
    ],
)
def test_base64_of_anything_else_is_no_digest(text: str) -> None:
    assert find_digest(text) is None


def test_what_is_stored_is_lower_case_hex_alone() -> None:
    assert is_digest(DIGEST)
    assert not any(is_digest(text) for text in (DIGEST.upper(), f"sha256:{DIGEST}", DIGEST + "\n", SPELT))
