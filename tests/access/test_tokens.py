"""Tokens: what is taken, and every forgery that is not.

Control: `test_no_forged_token_is_taken` goes red when more than the configured algorithm is named, and when `exp` is
not required.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tests.web.updates.tokens import SECRET, token
from updater.access.principals import Permission
from updater.access.tokens import MAX_TOKEN_CHARACTERS, TokenReader
from updater.config import load
from updater.errors import ConfigurationError
from updater.settings import DeployClaimSettings, JwtSettings

RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
HOUR = 3600


def pem(private: Any) -> str:
    form, kind = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return private.public_key().public_bytes(form, kind).decode()


HS = TokenReader(JwtSettings(secret=SECRET))
RS = TokenReader(JwtSettings("RS256", public_key=pem(RSA)))
ES = TokenReader(JwtSettings("ES256", public_key=pem(EC)))
EDDSA = TokenReader(JwtSettings("EdDSA", public_key=pem(ED)))


def claims(**more: Any) -> dict[str, Any]:
    return {"sub": "7", "exp": time.time() + HOUR, **more}


def part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def by_hand(header: dict[str, Any], body: Any, key: bytes | None) -> str:
    """Sign with HMAC-SHA-256 whatever the header says; None leaves the signature out."""
    signed = f"{part(header)}.{part(body)}"
    signature = b"" if key is None else hmac.new(key, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{part(signature)}"


@pytest.mark.parametrize(
    ("reader", "key", "algorithm"),
    [(HS, SECRET, "HS256"), (RS, RSA, "RS256"), (ES, EC, "ES256"), (EDDSA, ED, "EdDSA")],
)
def test_a_good_token_is_taken_by_the_reader_of_its_algorithm_alone(reader, key, algorithm) -> None:
    good = jwt.encode(claims(), key, algorithm)
    for each in (HS, RS, ES, EDDSA):
        who = each.identify(good)
        assert (who is not None) is (each is reader)
        if who is not None:
            assert who.user_id == 7


@pytest.mark.parametrize(
    ("given", "user_id"),
    [
        ({"sub": "7"}, 7),
        ({"sub": 7}, 7),
        ({"sub": None, "user_id": "8"}, 8),
        ({"sub": None, "user_id": 8, "id": 9}, 8),
        ({"sub": None, "id": 9}, 9),
        ({"sub": "7", "user_id": 8}, 7),
        ({"sub": "007"}, 7),
        ({"sub": "alice", "user_id": 8}, None),
        ({"sub": True}, None),
        ({"sub": 7.0}, None),
        ({"sub": ""}, None),
        ({"sub": " 7"}, None),
        ({"sub": "\u0667"}, None),
        ({"sub": "9" * 30}, None),
        ({"sub": 10**30}, None),
        ({"sub": ["7"]}, None),
        ({"sub": None}, None),
    ],
)
def test_the_user_is_sub_or_user_id_or_id(given: dict[str, Any], user_id: int | None) -> None:
    """Decision 37. A token that names no integer names nobody, and is refused."""
    body = {name: value for name, value in claims(**given).items() if value is not None}
    who = HS.identify(by_hand({"alg": "HS256", "typ": "JWT"}, body, SECRET.encode()))
    assert (who is None) is (user_id is None)
    assert who is None or who.user_id == user_id


def test_clocks_may_differ_by_a_minute() -> None:
    now = time.time()
    for within in ({"exp": now - 50}, {"nbf": now + 50}, {"iat": now + 50}):
        assert HS.identify(token(**within)) is not None, within
    for beyond in ({"exp": now - 70}, {"nbf": now + 70}, {"iat": now + 70}):
        assert HS.identify(token(**beyond)) is None, beyond


@pytest.mark.parametrize(
    ("name", "values", "given", "deploys"),
    [
        ("role", ("admin",), {"role": "admin"}, True),
        ("role", ("admin", "ops"), {"role": "ops"}, True),
        ("role", ("admin",), {"role": "user"}, False),
        ("role", ("admin",), {"role": "Admin"}, False),
        ("role", ("admin",), {"role": "administrator"}, False),
        ("role", ("admin",), {"role": "user admin"}, False),
        ("role", ("admin",), {}, False),
        ("role", ("admin",), {"role": ""}, False),
        ("role", ("admin",), {"role": {"admin": True}}, False),
        ("role", ("admin",), {"role": [["admin"]]}, False),
        ("roles", ("admin",), {"roles": ["user", "admin"]}, True),
        ("roles", ("admin",), {"roles": ["user"]}, False),
        ("roles", ("admin",), {"roles": []}, False),
        ("realm_access.roles", ("admin",), {"realm_access": {"roles": ["admin"]}}, True),
        ("realm_access.roles", ("admin",), {"realm_access": {"roles": ["user"]}}, False),
        ("realm_access.roles", ("admin",), {"realm_access": ["admin"]}, False),
        ("realm_access.roles", ("admin",), {"roles": ["admin"]}, False),
        ("https://example.com/roles", ("admin",), {"https://example.com/roles": ["admin"]}, True),
        ("scope", ("deploy",), {"scope": "read deploy"}, True),
        ("scope", ("deploy",), {"scope": "read deployments"}, False),
        ("is_admin", (True,), {"is_admin": True}, True),
        ("is_admin", (True,), {"is_admin": 1}, False),
        ("is_admin", (True,), {"is_admin": "true"}, False),
        ("is_admin", (True,), {"is_admin": False}, False),
        ("level", (1,), {"level": 1}, True),
        ("level", (1,), {"level": True}, False),
        ("level", (1,), {"level": "1"}, False),
        ("sub", ("7",), {}, True),
    ],
)
def test_only_the_named_claim_deploys(name: str, values: tuple[Any, ...], given: dict[str, Any], deploys: bool) -> None:
    reader = TokenReader(JwtSettings(secret=SECRET, deploy_claim=DeployClaimSettings(name, values)))
    who = reader.identify(token(**given))
    assert who is not None
    assert (who.level >= Permission.WRITE) is deploys


def test_without_a_named_claim_every_token_deploys() -> None:
    who = HS.identify(token())
    assert who is not None
    assert who.level >= Permission.WRITE


def forgeries() -> list[tuple[str, TokenReader, str]]:
    """At least forty tokens that were made without the key, have expired, or are meant for other services."""
    secret = SECRET.encode()
    header = {"alg": "HS256", "typ": "JWT"}
    good = jwt.encode(claims(), SECRET, "HS256")
    signed, _, signature = good.rpartition(".")
    found: list[tuple[str, TokenReader, str]] = []
    for word in ("none", "None", "NONE", "nOnE", "", "hs256", "HS256 ", None, 1, ["HS256"]):
        for name, reader in (("hs", HS), ("rs", RS)):
            found.append((f"alg {word!r} unsigned, {name}", reader, by_hand({"alg": word}, claims(), None)))
            found.append((f"alg {word!r} signed, {name}", reader, by_hand({"alg": word}, claims(), secret)))
    for name, reader, private in (("rs", RS, RSA), ("es", ES, EC), ("ed", EDDSA, ED)):
        text = pem(private)
        for form, key in (("pem", text), ("stripped", text.strip()), ("body", text.split("-----")[2].strip())):
            found.append((f"public key as secret, {name} {form}", reader, by_hand(header, claims(), key.encode())))
            alg = {"rs": "RS256", "es": "ES256", "ed": "EdDSA"}[name]
            found.append((f"the same as {alg}, {form}", reader, by_hand({"alg": alg}, claims(), key.encode())))
    own = rsa.generate_private_key(65537, 2048)
    jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(own.public_key()))
    for more in (
        {"jwk": jwk}, {"jku": "http://127.0.0.1:1/keys"}, {"x5u": "http://127.0.0.1:1/cert"}, {"x5c": ["MIIB"]},
        {"kid": "../../../dev/null"}, {"kid": "x' UNION SELECT 'k"},
    ):  # fmt: skip
        found.append((f"own key in {next(iter(more))}", RS, jwt.encode(claims(), own, "RS256", headers=more)))
        found.append((f"empty secret with {more!r:.20}", HS, by_hand({**header, **more}, claims(), b"")))
    found += [
        ("another secret", HS, token(secret=SECRET + "!")),
        ("no signature", HS, f"{signed}."),
        ("two parts", HS, signed),
        ("four parts", HS, f"{good}.{signature}"),
        ("five parts", HS, f"{good}.{signature}.{signature}"),
        ("cut signature", HS, good[:-4]),
        ("longer signature", HS, good + "AAAA"),
        ("other claims", HS, f"{signed.partition('.')[0]}.{part(claims(sub='1'))}.{signature}"),
        ("other header", HS, f"{part({**header, 'x': 1})}.{signed.partition('.')[2]}.{signature}"),
        ("HS512", HS, jwt.encode(claims(), SECRET * 2, "HS512")),
        ("HS512 with our secret", HS, by_hand({"alg": "HS512"}, claims(), secret)),
        ("expired", HS, token(lasts_s=-61)),
        ("expired long ago", HS, token(lasts_s=-HOUR)),
        ("no exp", HS, token(exp=None)),
        ("exp is a word", HS, by_hand(header, claims(exp="tomorrow"), secret)),
        ("exp is NaN", HS, by_hand(header, claims(exp=float("nan")), secret)),
        ("exp is -infinity", HS, by_hand(header, claims(exp=float("-inf")), secret)),
        ("exp is infinity", HS, by_hand(header, claims(exp=float("inf")), secret)),
        ("exp is a list", HS, by_hand(header, claims(exp=[time.time() + HOUR]), secret)),
        ("not yet", HS, token(nbf=time.time() + HOUR)),
        ("issued in the future", HS, token(iat=time.time() + HOUR)),
        ("crit", HS, by_hand({**header, "crit": ["exp"], "exp": 1}, claims(), secret)),
        ("crit unknown", HS, by_hand({**header, "crit": ["x"], "x": 1}, claims(), secret)),
        ("b64 false", HS, by_hand({**header, "b64": False, "crit": ["b64"]}, claims(), secret)),
        ("claims are a list", HS, by_hand(header, [1], secret)),
        ("claims are no JSON", HS, by_hand(header, b"{", secret)),
        ("deep claims", HS, by_hand(header, b"[" * 3000 + b"]" * 3000, secret)),
        ("header is no JSON", HS, f"{part(b'{')}.{part(claims())}.{signature}"),
        ("alg twice", HS, part(b'{"alg":"none","alg":"HS256"}') + f".{part(claims())}."),
        ("padding", HS, good + "=="),
        ("a space", HS, good + " "),
        ("not ASCII", HS, good[:-1] + "é"),
        ("empty", HS, ""),
        ("dots", HS, ".."),
        ("1 MB", HS, "a" * 350_000 + "." + "b" * 350_000 + "." + "c" * 350_000),
        ("1 MB, well signed", HS, token(note="x" * 1_000_000)),
        ("an API key", HS, "upd_0123456789"),
    ]  # fmt: skip
    return found


def test_no_forged_token_is_taken() -> None:
    forged = forgeries()
    assert len(forged) >= 80
    taken = [name for name, reader, text in forged if reader.identify(text) is not None]
    assert taken == []


def test_the_longest_token_that_is_read() -> None:
    assert HS.identify(token(note="x" * 4000)) is not None
    about = (MAX_TOKEN_CHARACTERS - len(token(note=""))) * 3 // 4
    made = {
        len(each): each
        for each in (token(exp=4_000_000_000, note="x" * size) for size in range(about - 40, about + 40))
    }
    assert HS.identify(made[MAX_TOKEN_CHARACTERS]) is not None
    assert HS.identify(made[min(length for length in made if length > MAX_TOKEN_CHARACTERS)]) is None


def test_audience_and_issuer_must_fit_when_they_are_set() -> None:
    reader = TokenReader(JwtSettings(secret=SECRET, audience="todo", issuer="https://id.example.com"))
    good = {"aud": "todo", "iss": "https://id.example.com"}
    assert reader.identify(token(**good)) is not None
    assert reader.identify(token(**{**good, "aud": ["todo", "other"]})) is not None
    for wrong in ({"aud": "other"}, {"aud": None}, {"iss": "https://evil.example.com"}, {"iss": None}, {"aud": []}):
        assert reader.identify(token(**{**good, **wrong})) is None
    assert HS.identify(token(**good)) is not None, "without an audience of ours, any will do"


def test_without_a_key_nobody_is_known() -> None:
    reader = TokenReader(JwtSettings())
    for text in (token(), token(secret="x" * 32), by_hand({"alg": "none"}, claims(), None)):
        assert reader.identify(text) is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"secret": "short"}, "at least 32 bytes"),
        ({"algorithm": "none"}, "HS256"),
        ({"algorithm": "HS384"}, "HS256"),
        ({"algorithm": "RS256", "secret": SECRET}, "takes a public_key"),
        ({"public_key": pem(RSA)}, "takes a secret"),
        ({"algorithm": "RS256", "public_key": "MIIB"}, "PEM"),
        ({"kid": "x"}, "unknown key"),
    ],
)
def test_wrong_settings_stop_the_start(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=r"access\.jwt") as caught:
        load(None, {"UPDATER_ACCESS__JWT": json.dumps(given)})
    assert said in str(caught.value)
    assert SECRET not in str(caught.value)
    assert "short" not in str(caught.value)


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        ("RS256", pem(EC)),
        ("RS256", pem(rsa.generate_private_key(65537, 1024))),
        ("RS256", "-----BEGIN PUBLIC KEY-----\nx\n"),
        ("ES256", pem(RSA)),
        ("ES256", pem(ec.generate_private_key(ec.SECP384R1()))),
        ("EdDSA", pem(RSA)),
    ],
)
def test_a_public_key_of_another_kind_stops_the_start(algorithm: str, key: str) -> None:
    with pytest.raises(ConfigurationError, match=r"access\.jwt\.public_key"):
        TokenReader(JwtSettings(algorithm, public_key=key))
