"""`updater audit`: who changed what, and an exit status that tells of tampering."""

from __future__ import annotations

import getpass
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Ran, invoke
from tests.databases import place_folder


def run(root: Path, *words: object) -> Ran:
    return invoke(*words, environment={"UPDATER_STORAGE__ROOT": str(root)})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a data folder in which a key was made and revoked."""
    folder = place_folder(tmp_path / "data")
    for name in ("ci", "laptop"):
        assert run(folder, "key", "create", name, "--level", "write").status == 0
    assert run(folder, "key", "revoke", "1").status == 0
    return folder


def test_it_shows_who_changed_what_newest_first(root: Path) -> None:
    found = run(root, "audit", "--json").json
    operator = {"kind": "operator", "name": getpass.getuser()}
    assert [(row["id"], row["action"], row["subject"], row["actor"]) for row in found["rows"]] == [
        (3, "key.revoked", "key 1 ci", operator),
        (2, "key.created", "key 2 laptop", operator),
        (1, "key.created", "key 1 ci", operator),
    ]
    assert found["total_count"] == 3
    table = run(root, "audit").out
    assert "key.revoked" in table
    assert "key 1 ci" in table


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        (("--action", "key.created"), [2, 1]),
        (("--action", "key."), [3, 2, 1]),
        (("--action", "key"), []),
        (("--by", "nobody-of-that-name"), []),
        (("--limit", "1"), [3]),
        (("--limit", "1", "--offset", "2"), [1]),
        (("--app", "my-app"), []),
    ],
)
def test_it_filters_and_pages(root: Path, words: tuple[str, ...], ids: list[int]) -> None:
    assert [row["id"] for row in run(root, "audit", *words, "--json").json["rows"]] == ids


def test_no_row_holds_a_key(root: Path) -> None:
    made = run(root, "key", "create", "secret", "--level", "read", "--json").json["key"]
    assert made not in json.dumps(run(root, "audit", "--json").json)


def test_a_whole_chain_holds(root: Path) -> None:
    ran = run(root, "audit", "verify")
    assert (ran.status, ran.out) == (0, "3 rows, the chain holds\n")


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE audit SET actor_name = 'somebody else' WHERE id = 2", {"id": 2, "why": "was changed"}),
        ("DELETE FROM audit WHERE id = 2", {"id": 2, "why": "is missing"}),
        ("DELETE FROM audit WHERE id = 3", {"id": 3, "why": "is missing"}),
        ("UPDATE audit SET id = 9 WHERE id = 3", {"id": 3, "why": "is missing"}),
    ],
)
def test_tampering_ends_with_its_status(root: Path, statement: str, broken: dict[str, Any]) -> None:
    with closing(sqlite3.connect(root / "updater.db")) as database, database:
        database.execute(statement)
    ran = run(root, "audit", "verify", "--json")
    assert ran.status == 9
    assert ran.json["broken"] == broken
    assert run(root, "audit", "verify").out.startswith(f"row {broken['id']} {broken['why']}")
