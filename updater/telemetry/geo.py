"""Countries of update checks: from a header that a proxy sets, or from a database in MaxMind's format.

Only the country is stored; an address waits in memory until the next flush and is then dropped.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

from updater.errors import ConfigurationError, Unavailable
from updater.logs.loggers import get_logger
from updater.telemetry.model import UNKNOWN

_COUNTRY = re.compile(r"[A-Za-z]{2}")
# Not countries, though some proxies send them: unknown.
_NO_COUNTRIES = frozenset({"XX", "ZZ"})
# Addresses looked up in each database before it is used: far apart, all of IPv4.
_SAMPLES = tuple(f"{first}.{first}.1.1" for first in range(1, 224, 3))

# What tells one state of a file from another: device, inode, size in bytes, time of change in nanoseconds.
_Stamp = tuple[int, int, int, int]
_log = get_logger(__name__)


class Locator:
    """Finds countries. Build with `open_locator`.

    The database is a copy in memory, since a mapped file that somebody truncates ends the process with SIGBUS.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._reader: Any = None
        self._used: _Stamp | None = None
        self._failed = False

    def __call__(self, place: str) -> str:
        """Return the country of a place (a country's two letters, or an address) in upper case, or `UNKNOWN`."""
        if _COUNTRY.fullmatch(place):
            country = place.upper()
            return UNKNOWN if country in _NO_COUNTRIES else country
        if self._reader is None:
            return UNKNOWN
        try:
            return _country(self._reader.get(place))
        except ValueError:  # no address, or one of a family the database does not hold
            return UNKNOWN
        except Exception as error:  # whatever a damaged database leads to: a count of countries fails nobody's request
            if not self._failed:
                _log.error("countries.damaged", exc_info=error)
            self._failed = True
            return UNKNOWN

    def renew(self) -> None:
        """Take up the file when it is another one than the one in use. Blocking: call it in a worker thread.

        Raises:
            Unavailable: it cannot be read or is no such database; what was in use stays in use.
        """
        if self._path is None:
            return
        try:
            if _stamp(self._path) != self._used:
                self._take_up(self._path)
        except (OSError, ValueError) as error:
            raise Unavailable(f"The new database of countries {_reason(error)}; the one before stays in use") from error

    def open(self) -> None:
        """Read the database for the first time.

        Raises:
            ConfigurationError: it cannot be read, or maxminddb is not installed.
        """
        if self._path is None:
            return
        _maxminddb()
        try:
            self._take_up(self._path)
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"telemetry.geoip_database: {self._path} {_reason(error)}") from None

    def _take_up(self, path: Path) -> None:
        used = _stamp(path)
        reader = _read(path)
        if _stamp(path) != used:
            raise ValueError("is being written")
        again = self._reader is not None
        self._reader, self._used, self._failed = reader, used, False
        if again:  # the old one is closed with the last look-up that uses it
            _log.info("countries.renewed")


def open_locator(database: str | None) -> Locator:
    """Return what finds the country of a place.

    Without a database every address is `UNKNOWN`. maxminddb, the extra `geo`, is imported only for a database.

    Raises:
        ConfigurationError: the database cannot be read, or maxminddb is not installed.
    """
    locator = Locator(None if database is None else Path(database))
    locator.open()
    return locator


def _maxminddb() -> Any:
    """Import the extra. Raises ConfigurationError: it is not installed."""
    try:
        import maxminddb
    except ImportError:
        raise ConfigurationError(
            "telemetry.geoip_database: it needs the package maxminddb; run ./scripts/setup extras"
        ) from None
    return maxminddb


def _read(path: Path) -> Any:
    """Return a reader of a copy in memory, which nobody else can change.

    Raises:
        OSError: it cannot be read. ValueError: it is no such database.
    """
    maxminddb = _maxminddb()
    copy = os.memfd_create("countries", os.MFD_CLOEXEC)
    try:
        with path.open("rb") as source, open(copy, "wb", closefd=False) as target:
            shutil.copyfileobj(source, target, 1 << 20)
        reader = maxminddb.open_database(f"/proc/self/fd/{copy}")
        # A file cut short has no end, where the description is; one that was half replaced shows here at the latest.
        for address in _SAMPLES:
            reader.get(address)
        return reader
    except maxminddb.InvalidDatabaseError:
        raise ValueError("is no whole MaxMind-format database") from None
    finally:
        os.close(copy)


def _stamp(path: Path) -> _Stamp:
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _reason(error: OSError | ValueError) -> str:
    return f"cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)


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
