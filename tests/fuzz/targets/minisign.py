"""Signatures and public keys, of minisign and as raw Ed25519: refused in words, or read."""

from __future__ import annotations

from updater.artifacts import signatures
from updater.errors import Invalid

SEEDS = (
    b"untrusted comment: x\nRWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3\n",
    b"untrusted comment: x\nRUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8o"
    b"fjb7bNJJylDOocrCo8KLzZwo=\ntrusted comment: timestamp:1\ny/rUw2y8/hOUYjZU71eHp/Wo1KZ40fGy2VJEDl34"
    b"XMJM+TX48Ss/17u3IvIfbVR1FkZZSNCisQbuQY+bHwhEBg==\n",
    b"A" * 86 + b"==",
)


def check(data: bytes) -> None:
    text = data.decode(errors="replace")
    for parse in (
        signatures.parse_minisign_key,
        signatures.parse_ed25519_key,
        signatures.parse_minisign,
        signatures.parse_ed25519,
        signatures.render_tauri,
    ):
        try:
            parse(text)
        except (Invalid, ValueError) as error:
            assert type(error) in (Invalid, ValueError), error  # no error of a decoder inside
            assert str(error)
