"""How the tests are spread over processes: the lists name what exists, and what runs alone is alone."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.scheduling import ALONE, EARLY, SPLIT, held, rank_of, unit_of

PROJECT = Path(__file__).parent.parent


@pytest.mark.parametrize("name", [*EARLY, *SPLIT, *ALONE])
def test_every_listed_name_exists(name: str) -> None:
    file, _, test = name.partition("::")
    assert f"def {test}" in (PROJECT / file).read_text()


def test_a_file_is_one_unit() -> None:
    assert unit_of("tests/x.py::test_one[a::b]") == unit_of("tests/x.py::test_two") == "tests/x.py"


def test_long_files_are_handed_out_test_by_test() -> None:
    assert unit_of(f"{SPLIT[0]}::test_one[a]") != unit_of(f"{SPLIT[0]}::test_one[b]")


def test_what_runs_alone_is_one_unit() -> None:
    tests = [f"{name}[a]" if "::" in name else f"{name}::test_one" for name in ALONE]
    assert len({unit_of(each) for each in tests}) == 1


def test_long_units_come_first_and_what_runs_alone_last() -> None:
    order = [f"{EARLY[0]}::test", "tests/x.py::test", f"{SPLIT[0]}::test", f"{ALONE[0]}::test"]
    assert [rank_of(each) for each in order] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("first", "second", "beside"), [(False, False, True), (False, True, False), (True, False, False)]
)
def test_only_what_runs_alone_waits_and_is_waited_for(tmp_path: Path, first: bool, second: bool, beside: bool) -> None:
    entered = threading.Event()

    def enter() -> None:
        with held(tmp_path, alone=second):
            entered.set()

    thread = threading.Thread(target=enter)
    with held(tmp_path, alone=first):
        thread.start()
        assert entered.wait(20 if beside else 0.2) is beside
    thread.join(20)
    assert entered.is_set()
