"""The benchmark's own arithmetic: a miss must be seen."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.bench import __main__ as bench
from tests.bench.profiling import hottest
from tests.bench.rows import QUICK, Figure, Pace, Row, Runs, Skip, interleave, rate, speed


def _figure(value: float) -> Figure:
    return Figure("speed", Runs((9.0, value, 0.1)), at_least=0.6)


@pytest.mark.parametrize(("value", "status"), [(0.6, 0), (0.59, 1)])
def test_a_missed_figure_ends_with_1(
    value: float, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(folder: Path, pace: Pace) -> Sequence[Figure]:
        assert folder.is_dir()
        assert pace.rounds == 5
        return [_figure(value)]

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bench, "ROWS", (Row("check", measure),))
    assert bench.main([]) == status
    said = capsys.readouterr().out
    assert ("MISSED" in said) == bool(status)
    assert f"{value:.2f} (0.10 to 9.00)" in said
    assert "- SQLite: 3" in said
    assert (tmp_path / "build" / "bench.md").read_text() == said
    [row] = json.loads((tmp_path / "build" / "bench.json").read_text())["rows"]
    assert row["figures"][0]["value"] == {"median": value, "least": 0.1, "most": 9.0, "runs": [9.0, value, 0.1]}
    assert not list((tmp_path / "build").glob("bench-*"))


def test_a_quick_run_says_so_and_a_row_without_its_peer_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(_: Path, pace: Pace) -> Sequence[Figure]:
        assert pace == QUICK
        raise Skip("go is missing")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bench, "ROWS", (Row("check", measure),))
    assert bench.main(["--quick", "check"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Quick")
    assert "| check | go is missing | - | - | - | - | skipped |" in said


def test_a_row_that_fails_keeps_no_other_from_its_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: Path, pace: Pace) -> Sequence[Figure]:
        raise RuntimeError("the load failed:\n429")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bench, "ROWS", (Row("redirect", fail), Row("check", lambda *_: [_figure(1.0)])))
    assert bench.main([]) == 1
    said = capsys.readouterr().out
    assert "| redirect | RuntimeError: the load failed: 429 | - | - | - | - | FAILED |" in said
    assert "1.00 (0.10 to 9.00)" in said


def test_an_unknown_row_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["chekc"]) == 2
    assert "chekc" in capsys.readouterr().err


def test_upper_bounds_hold_from_above() -> None:
    assert Figure("memory", Runs((32.0,)), at_most=32).reached
    assert not Figure("memory", Runs((32.1,)), at_most=32).reached


def test_runs_alternate_and_give_medians_of_neighbours() -> None:
    own, peer = iter([1.0, 9.0, 3.0]), iter([2.0, 3.0, 4.0])
    mine, theirs = interleave(Pace(rounds=3), lambda: next(own), lambda: next(peer))
    assert (mine.median, theirs.median) == (3.0, 3.0)
    assert rate("more is better", mine, theirs).value.values == (0.5, 3.0, 0.75)
    assert speed("less time is better", mine, theirs).value.values == (2.0, 1 / 3, 4 / 3)


def test_the_hottest_lines_are_those_in_which_most_stacks_end() -> None:
    stacks = "main (a.py:1);read (b c.py:7) 5\nmain (a.py:1) 1\nmain (a.py:2);read (b c.py:7) 2\n"
    assert hottest("check", stacks).splitlines()[1:] == ["87.5%  read (b c.py:7)", "12.5%  main (a.py:1)"]
