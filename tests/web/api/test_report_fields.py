"""The quick reading of a report is held to the schema that describes it.

Whatever it reads, the schema reads alike, and mends nothing of; what it does not read is left to the schema. Controls:
`isascii`, `isprintable`, the blank or a bound left out; `isinstance` for `type`, which takes `true` for seconds.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from marshmallow import ValidationError

from updater.catalog.platforms import ARCHITECTURES, PLATFORMS
from updater.web.api.client_schemas import ReportBody
from updater.web.api.report_fields import read_report
from updater.web.messages.client_fields import MENDED

SCHEMA = ReportBody()
NAMES = tuple(SCHEMA.fields)
PLAIN = {
    "current_version": "1.0.0",
    "target_version": "1.1.0+build.7",
    "platform": "linux",
    "architecture": "amd64",
    "status": "completed",
}
FULL = PLAIN | {
    "error_message": "It broke: \u00e4",
    "install_time_seconds": 12,
    "report_id": "a-1",
    "client_id": "c1",
    "channel": "beta",
}
ODD: tuple[Any, ...] = (
    *(
        "",
        " ",
        " x",
        "x ",
        "a b",
        "\u00e4",
        "\x00",
        "1\n",
        "\ud800",
        "\u200b",
        "\x1b[1m",
        "\ufeff1",
        "12",
        "1.5",
        "TRUE",
    ),
    *("x" * 40, "x" * 41, "x" * 100, "x" * 101, "x" * 200, "x" * 201, "y" * 4_000, "y" * 4_001),
    *(0, 1, -1, 604_800, 604_801, 1.0, 1.5, 1e300, float("inf"), 2**70, True, False, None, [], ["linux"], {}, {"a": 1}),
    *("Linux", "linux ", "Completed", *PLATFORMS, *ARCHITECTURES, "failed", "cancelled"),
)
VALUES = st.one_of(st.sampled_from(ODD), st.text(max_size=12), st.integers(-2, 700_000), st.floats(), st.none())


def by_schema(body: dict[str, Any]) -> dict[str, Any] | None:
    try:
        loaded: dict[str, Any] = SCHEMA.load(body)
    except ValidationError:
        return None
    return loaded


def require_alike(body: dict[str, Any]) -> None:
    """Hold what is read quickly to the schema."""
    read = read_report(body)
    if read is None:
        return
    before = Counter(MENDED)
    wanted = by_schema(body)
    assert wanted is not None
    assert read == wanted
    assert {name: type(value) for name, value in read.items()} == {name: type(each) for name, each in wanted.items()}
    assert before == MENDED, "the schema would have counted something"


@given(
    base=st.sampled_from((PLAIN, FULL)),
    changed=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=3),
    gone=st.sets(st.sampled_from(NAMES), max_size=1),
    more=st.dictionaries(st.sampled_from(("x", "Platform", "")), VALUES, max_size=1),
)
@example(base=FULL, changed={"install_time_seconds": True}, gone=set(), more={})
@example(base=FULL, changed={"error_message": ""}, gone=set(), more={})
@settings(max_examples=300, deadline=None)
def test_it_reads_what_the_schema_reads(
    base: dict[str, Any], changed: dict[str, Any], gone: set[str], more: dict[str, Any]
) -> None:
    require_alike({name: value for name, value in {**base, **changed, **more}.items() if name not in gone})


def test_every_field_with_every_odd_value() -> None:
    for name in NAMES:
        for value in ODD:
            require_alike(FULL | {name: value})


@pytest.mark.parametrize("body", [PLAIN, FULL, FULL | {"error_message": None, "channel": None, "client_id": None}])
def test_what_installers_send_is_read_quickly(body: dict[str, Any]) -> None:
    assert read_report(body) == by_schema(body)
