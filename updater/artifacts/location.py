"""The address of a blob store as one text: `local`, or `s3://bucket/prefix?...`, `gs://...`, `az://...`.

The query holds the provider's own configuration keys (`endpoint`, `region`, `access_key_id`, ... as obstore names
them); keys that the query lacks come from the provider's usual environment variables.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

from updater.config import pick_environment
from updater.settings import OBJECT_STORE_SCHEMES

LOCAL = "local"
# Only these variables are passed on; their values override only the provider's defaults.
_ENVIRONMENT: Mapping[str, Mapping[str, str]] = {
    "s3": {
        "AWS_ACCESS_KEY_ID": "access_key_id",
        "AWS_SECRET_ACCESS_KEY": "secret_access_key",
        "AWS_SESSION_TOKEN": "session_token",
        "AWS_DEFAULT_REGION": "region",
        "AWS_REGION": "region",
        "AWS_ENDPOINT_URL": "endpoint",
        "AWS_ENDPOINT_URL_S3": "endpoint",
    },
    "gs": {
        "GOOGLE_SERVICE_ACCOUNT": "service_account",
        "GOOGLE_SERVICE_ACCOUNT_KEY": "service_account_key",
        "GOOGLE_APPLICATION_CREDENTIALS": "application_credentials",
    },
    "az": {
        "AZURE_STORAGE_ACCOUNT_NAME": "account_name",
        "AZURE_STORAGE_ACCOUNT_KEY": "account_key",
        "AZURE_STORAGE_SAS_KEY": "sas_key",
    },
}

# Other characters are signed in different ways by the library and by Azure.
_PREFIX = re.compile(r"((?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+(?:/(?!$)|$))+")
_ADDRESSES = ("endpoint", "endpoint_url", "base_url")


@dataclass(frozen=True, slots=True)
class Location:
    """A bucket (or container) and a prefix in it. `options` may hold secrets, so it is never shown."""

    scheme: str
    bucket: str
    prefix: str = ""
    options: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        """Return the address without its options."""
        return f"{self.scheme}://{self.bucket}/{self.prefix}".rstrip("/")


def parse_location(url: str) -> Location:
    """Read the address of an object store; options that its query lacks are taken from the environment.

    Raises:
        ValueError: not such an address, an option twice, or an option or prefix that does not fit.
    """
    parts = urlsplit(url)
    if parts.scheme not in OBJECT_STORE_SCHEMES or not parts.netloc or "@" in parts.netloc or parts.fragment:
        raise ValueError("expected s3://bucket/prefix?..., gs://... or az://...")
    prefix = parts.path.strip("/")
    if prefix and _PREFIX.fullmatch(prefix) is None:
        raise ValueError(f"the prefix {prefix!r} may hold letters, digits and -._~ between slashes")
    given = _query(parts.query)
    names = _ENVIRONMENT[parts.scheme]
    usual = {names[name]: value for name, value in pick_environment(names).items()}
    options = {**usual, **given}
    for name, value in options.items():
        if name.endswith(_ADDRESSES) and urlsplit(value).scheme not in ("http", "https"):
            raise ValueError(f"the option {name} expects an address such as https://store.example.com")
    return Location(parts.scheme, parts.netloc, prefix, options)


def complete(url: str) -> str:
    """Return an address with all options, those of this process's environment too, for another process to read.

    Raises:
        ValueError: not such an address, or an option twice.
    """
    location = parse_location(url)
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in location.options.items())
    return f"{location.scheme}://{location.bucket}/{location.prefix}?{query}"


def _query(text: str) -> dict[str, str]:
    """Read `a=1&b=2`. A plus sign stays a plus sign: secret keys hold them, and none holds a blank."""
    found: dict[str, str] = {}
    for pair in filter(None, text.split("&")):
        name, _, value = pair.partition("=")
        name = unquote(name).lower()
        if name in found:
            raise ValueError(f"the option {name} is given twice")
        found[name] = unquote(value)
    return found
