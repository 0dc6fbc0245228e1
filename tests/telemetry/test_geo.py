"""Countries from a proxy's header and from a database in the MaxMind format."""

from __future__ import annotations

import contextlib
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from updater.errors import ConfigurationError, Unavailable
from updater.telemetry.geo import open_locator
from updater.telemetry.model import UNKNOWN


class Four(int):
    """A number that the format wants in four bytes."""


def encoded(value: Any) -> bytes:
    """Write a value as the format's data section has it. Source: MaxMind DB file format 2.0, output data section."""
    if isinstance(value, str):
        return bytes([0x40 | len(value)]) + value.encode()
    if isinstance(value, Four):
        return b"\xc4" + value.to_bytes(4, "big")
    if isinstance(value, int):
        return bytes([0x08, 2]) + value.to_bytes(8, "big") if value > 0xFFFF else b"\xa2" + value.to_bytes(2, "big")
    if isinstance(value, list):
        return bytes([len(value), 4]) + b"".join(map(encoded, value))
    return bytes([0xE0 | len(value)]) + b"".join(encoded(part) for pair in value.items() for part in pair)


def write_database(path: Path, record: dict[str, Any]) -> Path:
    """Write a database for IPv4 in which 128.0.0.0/1 has `record` and the other half nothing."""
    tree = struct.pack(">I", 1)[1:] + struct.pack(">I", 1 + 16)[1:]  # one node: left empty, right the first datum
    about = {
        "node_count": Four(1), "record_size": 24, "ip_version": 4, "database_type": "Test", "languages": [],
        "binary_format_major_version": 2, "binary_format_minor_version": 0, "build_epoch": 1 << 20, "description": {},
    }  # fmt: skip
    path.write_bytes(tree + bytes(16) + encoded(record) + b"\xab\xcd\xefMaxMind.com" + encoded(about))
    return path


@pytest.mark.parametrize(
    "record",
    [
        {"country": {"iso_code": "SE"}},
        {"registered_country": {"iso_code": "SE"}},
        {"country": "SE"},
        {"country_code": "se"},
    ],
)
def test_an_address_has_the_country_of_its_network(tmp_path: Path, record: dict[str, Any]) -> None:
    locate = open_locator(str(write_database(tmp_path / "geo.mmdb", record)))
    assert locate("192.0.2.1") == "SE"
    assert locate("10.0.0.1") == UNKNOWN
    assert locate("2001:db8::1") == UNKNOWN
    assert locate("no address") == UNKNOWN
    assert locate("") == UNKNOWN
    assert locate("no") == "NO"


def test_a_header_needs_no_database() -> None:
    locate = open_locator(None)
    assert [locate(place) for place in ("se", "XX", "T1", "<b>", "192.0.2.1")] == ["SE", *[UNKNOWN] * 4]


def test_a_database_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"geoip_database: .*missing\.mmdb cannot be read"):
        open_locator(str(tmp_path / "missing.mmdb"))
    wrong = tmp_path / "wrong.mmdb"
    wrong.write_bytes(b"not a database" * 100)
    with pytest.raises(ConfigurationError, match="is no whole MaxMind-format database"):
        open_locator(str(wrong))


def test_without_the_extra_the_start_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "maxminddb", None)
    with pytest.raises(ConfigurationError, match=r"maxminddb; run \./scripts/setup extras"):
        open_locator(str(tmp_path / "geo.mmdb"))


def test_a_file_that_is_cut_or_renewed_in_place_ends_no_process(tmp_path: Path) -> None:
    path = write_database(tmp_path / "geo.mmdb", {"country": "SE"})
    program = (
        "import os, sys; from updater.telemetry.geo import open_locator; locate = open_locator(sys.argv[1])\n"
        "os.truncate(sys.argv[1], 0); print(locate('192.0.2.1'))"
    )
    ran = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "SE\n"), ran.stderr


def test_a_renewed_database_is_taken_up_and_a_broken_one_is_not(tmp_path: Path) -> None:
    path = write_database(tmp_path / "geo.mmdb", {"country": "SE"})
    locate = open_locator(str(path))
    whole = path.read_bytes()
    for broken in (b"", whole[:40], b"not a database" * 100):
        path.write_bytes(broken)
        with pytest.raises(Unavailable, match="the one before stays in use"):
            locate.renew()
        assert locate("192.0.2.1") == "SE"
    path.unlink()
    with pytest.raises(Unavailable, match="No such file"):
        locate.renew()
    write_database(path, {"country": "NO"})
    locate.renew()
    assert locate("192.0.2.1") == "NO"


def test_what_a_damaged_database_leads_to_is_an_unknown_country(tmp_path: Path) -> None:
    path = write_database(tmp_path / "geo.mmdb", {"country": "SE"})
    whole = path.read_bytes()
    locate = open_locator(str(path))
    for broken in (whole.replace(b"\x42SE", b"\xff\xff\xff"), whole.replace(b"\xe1", b"\x2f", 1)):
        path.write_bytes(broken)
        with contextlib.suppress(Unavailable):
            locate.renew()
        assert locate("192.0.2.1") in ("SE", UNKNOWN)
