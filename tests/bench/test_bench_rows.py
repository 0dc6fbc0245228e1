"""The benchmark's own arithmetic: a miss must be seen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.bench import __main__ as bench
from tests.bench.rows import Figure, Row, alternate


def _figure(value: float) -> Figure:
    return Figure("speed", value, "own", "peer", at_least=0.6)


@pytest.mark.parametrize(("value", "status"), [(0.6, 0), (0.59, 1)])
def test_a_missed_figure_ends_with_1(
    value: float, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(folder: Path) -> Sequence[Figure]:
        assert folder.is_dir()
        return [_figure(value)]

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bench, "ROWS", (Row("check", measure),))
    assert bench.main([]) == status
    assert ("MISSED" in capsys.readouterr().out) == bool(status)
    assert (tmp_path / "build" / "bench.md").read_text().count("\n") == 3
    assert not list((tmp_path / "build").glob("bench-*"))


def test_an_unknown_row_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["chekc"]) == 2
    assert "chekc" in capsys.readouterr().err


def test_upper_bounds_hold_from_above() -> None:
    assert Figure("memory", 32.0, "", "", at_most=32).reached
    assert not Figure("memory", 32.1, "", "", at_most=32).reached


def test_runs_alternate_and_give_medians() -> None:
    own, peer = iter([1.0, 9.0, 3.0]), iter([2.0, 3.0, 4.0])
    assert alternate(3, lambda: next(own), lambda: next(peer)) == (3.0, 3.0, 0.75)
