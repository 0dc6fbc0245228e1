"""Countries of update checks: from a header that a proxy sets, or from a database in MaxMind's format.

Only the country is stored; an address waits in memory until the next flush and is then dropped.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from updater.errors import ConfigurationError
from updater.telemetry.model import UNKNOWN

_COUNTRY = re.compile(r"[A-Za-z]{2}")
# Not countries, though some proxies send them: unknown.
_NO_COUNTRIES = frozenset({"XX", "ZZ"})

Locate = Callable[[str], str]


def open_locator(database: str | None) -> Locate:
    """Return a function from a place (a country's two letters, or an address) to a country in upper case, or `UNKNOWN`.

    Without a database every address is `UNKNOWN`. maxminddb, the extra `geo`, is imported only for a database.

    Raises:
        ConfigurationError: the database cannot be read, or maxminddb is not installed.
    """
    reader = None if database is None else _open(Path(database))

    def locate(place: str) -> str:
        if _COUNTRY.fullmatch(place):
            country = place.upper()
            return UNKNOWN if country in _NO_COUNTRIES else country
        if reader is None:
            return UNKNOWN
        try:
            return _country(reader.get(place))
        except ValueError:  # no address, or one of a family the database does not hold
            return UNKNOWN

    return locate


def _open(path: Path) -> Any:
    try:
        import maxminddb
    except ImportError:
        raise ConfigurationError(
            "telemetry.geoip_database: it needs the package maxminddb; run ./scripts/setup extras"
        ) from None
    try:
        return maxminddb.open_database(path)
    except OSError as error:
        raise ConfigurationError(f"telemetry.geoip_database: {path} cannot be read: {error.strerror}") from None
    except maxminddb.InvalidDatabaseError:
        raise ConfigurationError(f"telemetry.geoip_database: {path} is no MaxMind-format database") from None


def _country(found: Any) -> str:
    """Read the record in the forms that publishers of such databases use."""
    if not isinstance(found, dict):
        return UNKNOWN
    for name in ("country", "registered_country", "country_code"):
        value = found.get(name)
        code = value.get("iso_code") if isinstance(value, dict) else value
        if isinstance(code, str) and _COUNTRY.fullmatch(code):
            return code.upper()
    return UNKNOWN
