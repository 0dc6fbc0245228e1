"""What is logged is bounded after escaping, and shows no secret."""

from __future__ import annotations

import io
import json

import orjson
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from updater.logs import PROCESSORS
from updater.logs.texts import bounded, shown, without_secrets
from updater.web.gate import access_log
from updater.web.gate.access_log import AccessLog


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("https://user:p@ss@host/path", "https://***@host/path"),
        ("fatal: could not read from 'https://token@github.com/a/b.git'", None),
        ("postgresql://u:p/w@db:5432/x is down", "postgresql://***@db:5432/x is down"),
        ("postgresql+asyncpg://u:secret@db/x", "postgresql+asyncpg://***@db/x"),
        ("git remote https://x-access-token:ghp_abc@github.com/a", "git remote https://***@github.com/a"),
        ("/a?token=abc&b=1", "/a?token=***&b=1"),
        ("/a?access_token=abc#x", "/a?access_token=***#x"),
        (
            "https://s3/x?X-Amz-Signature=abc&X-Amz-Credential=def/1",
            "https://s3/x?X-Amz-Signature=***&X-Amz-Credential=***",
        ),
        ("host=db password=secret user=u", "host=db password=*** user=u"),
        ("PGPASSWORD=secret", "PGPASSWORD=***"),
        ("Authorization: Bearer abcdefgh.ijkl", "Authorization: Bearer ***"),
        ("key upd_" + "a" * 43 + " is wrong", "key *** is wrong"),
        ("https://host:8080/path?version=1.0", "https://host:8080/path?version=1.0"),
        ("monkey=1 tokens=5 a@b.example", "monkey=1 tokens=5 a@b.example"),
    ],
)
def test_secrets_are_hidden(text: str, wanted: str | None) -> None:
    assert without_secrets(text) == (wanted or text.replace("token@", "***@"))


@given(st.text(st.characters(exclude_categories=())), st.integers(10, 300))
def test_a_bound_is_one_of_escaped_bytes(text: str, most_bytes: int) -> None:
    cut = bounded(text, most_bytes)
    try:
        size_bytes = len(orjson.dumps(cut)) - 2
    except TypeError:
        size_bytes = len(json.dumps(cut)) - 2
    assert size_bytes <= most_bytes
    assert cut == text or (cut.endswith("...") and text.startswith(cut[:-3]))


@pytest.mark.parametrize("piece", ["\x00", "a.", "://", "://a:b@", "a=", "key=", "://u:", "bearer "])
def test_shown_is_cheap_for_anything(piece: str) -> None:
    assert len(shown(piece * 100_000 + "@=", 500)) <= 500


def lines_of(*events: dict[str, object]) -> list[bytes]:
    output = io.BytesIO()
    structlog.configure(processors=list(PROCESSORS), logger_factory=structlog.BytesLoggerFactory(file=output))
    try:
        for each in events:
            structlog.get_logger("x").warning("said", **each)
    finally:
        structlog.reset_defaults()
    return output.getvalue().splitlines()


def test_every_field_of_every_line_is_bounded_and_clean() -> None:
    hostile = "\x01" * 8_000 + "https://u:p@ss@host"
    fields = {
        "path": hostile,
        "cause": hostile,
        "said": [hostile] * 100,
        "more": {hostile: hostile},
        "other": {1, hostile},
    }
    (line,) = lines_of(fields)
    assert len(line) < 32_000
    assert b"p@ss" not in line
    (line,) = lines_of({"cause": OSError("postgresql://u:secret@db/x"), "number": 5, "none": None})
    assert b"secret" not in line
    assert orjson.loads(line)["number"] == 5
    try:
        raise ValueError("https://u:p@ss@host" + "x" * 100_000)
    except ValueError:
        (line,) = lines_of({"exc_info": True})
    assert len(line) < 16_000
    assert b"p@ss" not in line


class Spy:
    def __init__(self) -> None:
        self.lines: list[dict[str, object]] = []

    def info(self, event: str, *, lines: list[dict[str, object]]) -> None:
        self.lines += lines


def gathered(*lines: dict[str, object]) -> list[dict[str, object]]:
    access, spy = AccessLog(), Spy()
    access._log = spy
    for line in lines:
        access.add(line)
    access._tell_refused()
    access.flush()
    return spy.lines


async def test_a_line_of_the_access_log_is_bounded_whatever_was_asked() -> None:
    long = {
        "method": "M" * 8_000,
        "path": "/\x01" * 8_000,
        "application": "é" * 8_000,
        "client": "fe80::1%" + "x" * 8_000,
    }
    (line,) = gathered({"id": "1", "status": 404, "agent": "", **long})
    assert len(orjson.dumps(line, default=str)) < 1_500
    (line,) = gathered({"id": "1", "status": 404, "path": "/https://u:p@ss@host/x"})
    assert line["path"] == "/https://***@host/x"


async def test_requests_over_a_limit_share_a_line() -> None:
    refused = [{"status": 429, "client": f"2001:db8::{number % 16:x}", "path": "/a"} for number in range(500)]
    other = [{"status": 429, "client": "192.0.2.1", "path": "/a"}, {"status": 200, "client": "192.0.2.1", "path": "/a"}]
    lines = gathered(*refused, *other)
    assert [(each["status"], each.get("refused")) for each in lines] == [(429, 1), (429, 1), (200, None), (429, 499)]


async def test_addresses_of_refused_requests_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_log, "_MOST_ADDRESSES", 10)
    lines = gathered(*({"status": 429, "client": f"192.0.2.{number}", "path": "/a"} for number in range(100)))
    assert len(lines) <= 12
    assert sum(int(str(each["refused"])) for each in lines) == 100
