"""Signed addresses with more parameters than the library signs.

obstore signs a method and an object and nothing else. So a browser would save an answer under the object's key, a
digest, and requests about the bucket itself could not be sent. Where the options hold the secret itself, the address
that obstore made is signed again here, with more parameters. Other credentials, such as the role of a machine, stay
inside the library.

An address is changed only when our signature of it equals the library's: with another key or scheme than expected it
stays as it is.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final, NamedTuple
from urllib.parse import SplitResult, parse_qsl, quote, urlsplit, urlunsplit

from updater.artifacts.location import Location

Query = dict[str, str]
_UNRESERVED: Final = "-_.~"


class Signed(NamedTuple):
    """An address that works without credentials for a while.

    `names_file`: its answer carries the name to save it under.
    """

    address: str
    names_file: bool


class _Scheme(NamedTuple):
    """The signing of one provider: the parameters of the signature and of `Content-Disposition`, and the function."""

    signature: str
    disposition: str
    sign: Callable[[str, SplitResult, Query], str]


class Signing:
    """Adds parameters to the signed addresses of one location, where it can."""

    def __init__(self, location: Location) -> None:
        self._scheme = _find_scheme(location)

    @property
    def can(self) -> bool:
        """Tell whether the options hold the secret, so that `extend` may succeed."""
        return self._scheme is not None

    def name(self, address: str, disposition: str) -> Signed:
        """Let the answer to a GET carry a `Content-Disposition` where possible.

        Returns: the extended address, or the address as it was, with `names_file` False.
        """
        named = None if self._scheme is None else self.extend("GET", address, {self._scheme.disposition: disposition})
        return Signed(address, names_file=False) if named is None else Signed(named, names_file=True)

    def extend(self, method: str, address: str, more: Query) -> str | None:
        """Return the address with more parameters, signed again for `method`.

        None when the secret is not at hand, or the library signed in another way.
        """
        if self._scheme is None:
            return None
        parts = urlsplit(address)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        given = query.pop(self._scheme.signature, "")
        try:
            known = hmac.compare_digest(self._scheme.sign(method, parts, query), given)
        except (KeyError, binascii.Error):
            known = False
        if not known:
            return None
        query |= more
        query[self._scheme.signature] = self._scheme.sign(method, parts, query)
        return urlunsplit(parts._replace(query=_encode(query.items())))


def _find_scheme(location: Location) -> _Scheme | None:
    options = {re.sub("^(aws|azure_storage)_", "", name): value for name, value in location.options.items()}
    secret, key = options.get("secret_access_key"), options.get("account_key")
    if location.scheme == "s3" and secret is not None:
        return _Scheme("X-Amz-Signature", "response-content-disposition", partial(_sign_s3, secret))
    if location.scheme == "az" and key is not None:
        return _Scheme("sig", "rscd", partial(_sign_azure, options.get("account_name", ""), key))
    return None


def _sign_s3(secret: str, method: str, parts: SplitResult, query: Query) -> str:
    """Source: Amazon S3, "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)"."""
    encoded = _encode(sorted(query.items()))
    request = "\n".join((method, parts.path, encoded, f"host:{parts.netloc}", "", "host", "UNSIGNED-PAYLOAD"))
    scope = query["X-Amz-Credential"].split("/")[1:]
    digest = hashlib.sha256(request.encode()).hexdigest()
    key = f"AWS4{secret}".encode()
    for part in scope:
        key = hmac.digest(key, part.encode(), "sha256")
    text = "\n".join(("AWS4-HMAC-SHA256", query["X-Amz-Date"], "/".join(scope), digest))
    return hmac.digest(key, text.encode(), "sha256").hex()


def _sign_azure(account: str, key: str, method: str, parts: SplitResult, query: Query) -> str:
    """Source: Microsoft, "Create a service SAS", version 2020-12-06 and later. It knows permissions, not methods."""
    in_path = parts.path.startswith(f"/{account}/")
    resource = f"/blob{parts.path}" if in_path else f"/blob/{account}{parts.path}"
    before = [query["sp"], query["st"], query["se"], resource, "", "", "", query["sv"], query["sr"], "", ""]
    text = "\n".join((*before, "", query.get("rscd", ""), "", "", ""))
    return b64encode(hmac.digest(b64decode(key), text.encode(), "sha256")).decode("ascii")


def _encode(pairs: Iterable[tuple[str, str]]) -> str:
    return "&".join(f"{quote(name, safe=_UNRESERVED)}={quote(value, safe=_UNRESERVED)}" for name, value in pairs)
