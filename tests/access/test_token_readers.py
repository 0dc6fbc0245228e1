"""What a reader of tokens is made of, and what it says of who came. Readers are made within the tests."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.access.test_tokens import EC, ED, RSA, claims, pem
from tests.web.updates.tokens import SECRET
from updater.access.principals import Permission, Principal
from updater.access.tokens import TokenReader
from updater.errors import ConfigurationError
from updater.settings import DeployClaimSettings, JwtSettings

KEYS = {"RS256": RSA, "ES256": EC, "EdDSA": ED}
FITS = {"RS256": "an RSA key of 2048 bits or more", "ES256": "a P-256 key", "EdDSA": "an Ed25519 key"}


@pytest.mark.parametrize("algorithm", KEYS)
@pytest.mark.parametrize("given", KEYS)
def test_a_public_key_fits_its_algorithm_alone(algorithm: str, given: str) -> None:
    settings = JwtSettings(algorithm, public_key=pem(KEYS[given]))
    if algorithm == given:
        who = TokenReader(settings).identify(jwt.encode(claims(), KEYS[given], algorithm))
        assert who == Principal("token:7", "user 7", Permission.WRITE, user_id=7)
        return
    with pytest.raises(ConfigurationError) as refused:
        TokenReader(settings)
    assert refused.value.args == (f"access.jwt.public_key: {algorithm} takes {FITS[algorithm]}",)


def test_a_short_key_and_what_is_none_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="takes an RSA key of 2048 bits or more"):
        TokenReader(JwtSettings("RS256", public_key=pem(rsa.generate_private_key(65537, 1024))))
    with pytest.raises(ConfigurationError) as refused:
        TokenReader(JwtSettings("RS256", public_key="nonsense"))
    assert refused.value.args == ("access.jwt.public_key: not a public key in PEM form",)


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63 - 1), 2**63, -(2**63)])
def test_users_are_numbers_of_64_bits(number: int) -> None:
    reader = TokenReader(JwtSettings(secret=SECRET))
    who = reader.identify(jwt.encode(claims(sub=None, user_id=number), SECRET, "HS256"))
    assert (who.user_id if who else None) == (number if abs(number) < 2**63 else None)


@pytest.mark.parametrize(
    ("given", "level"),
    [
        ({"realm": {"scope": "read deploy"}}, Permission.WRITE),
        ({"realm": {"scope": "read deploying"}}, Permission.READ),
        ({"realm.scope": "read deploy"}, Permission.WRITE),
        ({"realm": "deploy"}, Permission.READ),
    ],
)
def test_words_of_a_scope_at_the_end_of_a_path(given: dict[str, Any], level: Permission) -> None:
    wanted = DeployClaimSettings(name="realm.scope", values=("deploy",))
    who = TokenReader(JwtSettings(secret=SECRET, deploy_claim=wanted)).identify(
        jwt.encode(claims(**given), SECRET, "HS256")
    )
    assert who is not None
    assert who.level is level
