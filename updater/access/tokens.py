"""JSON web tokens: one configured algorithm with one key, whatever a token says about its own.

PyJWT and its cryptography cost 10 MB, so they are imported with the first token, or at the start when a public key has
to be read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from updater.access.principals import Permission, Principal
from updater.errors import ConfigurationError
from updater.settings import DeployClaimSettings, JwtSettings

# Far more than any claims of use here; a longer token is refused before its signature is checked.
MAX_TOKEN_CHARACTERS = 8192
_TOKEN = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_USER_ID = re.compile(r"-?[0-9]{1,19}")
_LARGEST_USER_ID = 2**63 - 1
# Source: RFC 8725 section 3.5 and NIST SP 800-131A: shorter RSA keys are no longer fit for signatures.
_MIN_RSA_BITS = 2048
# How far the issuer's clock may be from ours, for `exp`, `nbf` and `iat`.
LEEWAY_S = 60
# Claims that hold several words in one text. Source: RFC 8693 section 4.2; `scp` is its older name.
_WORD_LISTS = frozenset({"scope", "scp"})


class TokenReader:
    """Reads the principal of a token. Without a configured key no token is valid.

    Raises:
        ConfigurationError: the public key does not fit the algorithm.
    """

    def __init__(self, settings: JwtSettings) -> None:
        self.configure(settings)

    def configure(self, settings: JwtSettings) -> None:
        """Take new settings. Raises ConfigurationError when the public key does not fit the algorithm."""
        key: Any = settings.secret
        if settings.public_key is not None:
            key = _load_public_key(settings.algorithm, settings.public_key)
        self._settings = settings
        self._key = key

    def identify(self, presented: str) -> Principal | None:
        """Return the principal of a token: its `user_id` is the subject, an integer of 64 bits.

        Its level is WRITE when the token may apply updates and roll them back, else READ.

        None when the signature, `exp`, or a configured audience or issuer does not fit, when the token names nobody,
        and without a configured key. Source: RFC 7519 section 7.2, RFC 8725 section 3.1.
        """
        if self._key is None or len(presented) > MAX_TOKEN_CHARACTERS or not _TOKEN.fullmatch(presented):
            return None
        claims = self._claims(presented)
        if claims is None:
            return None
        subject = next((claims[name] for name in ("sub", "user_id", "id") if claims.get(name) is not None), None)
        user_id = _user_id(subject)
        if user_id is None:
            return None
        wanted = self._settings.deploy_claim
        level = Permission.WRITE if wanted is None or _has_claim(claims, wanted) else Permission.READ
        return Principal(f"token:{user_id}", f"user {user_id}", level, user_id=user_id)

    def _claims(self, token: str) -> dict[str, Any] | None:
        import jwt

        settings = self._settings
        required = ["exp", *(["aud"] if settings.audience else []), *(["iss"] if settings.issuer else [])]
        try:
            # `sub` may be an integer here, which PyJWT would refuse; without an audience of ours, any will do.
            claims: dict[str, Any] = jwt.decode(
                token,
                self._key,
                algorithms=[settings.algorithm],
                audience=settings.audience,
                issuer=settings.issuer,
                leeway=LEEWAY_S,
                options={"require": required, "verify_aud": settings.audience is not None, "verify_sub": False},
            )
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
            return None
        return claims


def _has_claim(claims: Mapping[str, Any], wanted: DeployClaimSettings) -> bool:
    """Tell whether a claim is, or as a list holds, one of the wanted values. `1`, `true` and `"1"` are three values."""
    value: Any = claims.get(wanted.name)
    if value is None:  # a name with dots may also be a path, as in `realm_access.roles`
        value = claims
        for part in wanted.name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, str) and wanted.name.rpartition(".")[2] in _WORD_LISTS:
        value = value.split()
    held = value if isinstance(value, list) else [value]
    return any(type(each) is type(fits) and each == fits for each in held for fits in wanted.values)


def _user_id(subject: Any) -> int | None:
    if isinstance(subject, str) and _USER_ID.fullmatch(subject):
        subject = int(subject)
    if isinstance(subject, bool) or not isinstance(subject, int):
        return None
    return subject if abs(subject) <= _LARGEST_USER_ID else None


def _load_public_key(algorithm: str, pem: str) -> Any:
    """Read a public key and require it to fit its algorithm: then no token can choose another use for it."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigurationError("access.jwt.public_key: not a public key in PEM form") from None
    if algorithm == "RS256" and isinstance(key, rsa.RSAPublicKey) and key.key_size >= _MIN_RSA_BITS:
        return key
    if algorithm == "ES256" and isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    if algorithm == "EdDSA" and isinstance(key, ed25519.Ed25519PublicKey):
        return key
    fits = {"RS256": f"an RSA key of {_MIN_RSA_BITS} bits or more", "ES256": "a P-256 key", "EdDSA": "an Ed25519 key"}
    raise ConfigurationError(f"access.jwt.public_key: {algorithm} takes {fits[algorithm]}")
