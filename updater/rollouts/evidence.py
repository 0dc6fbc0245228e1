"""Is a release worse than what the others have? A test that may be looked at after every report. PURE.

A series holds what was counted for one rollout on one platform, in the order of arrival. Reports of the same time are
compared in blocks, so that an outage that hits both arms is no evidence. Each block multiplies three bets by factors
whose expectation is at most 1 while the release is no worse; so their mean reaches `2 / alpha` with a probability of
at most `alpha / 2`, whenever it is looked at. The ceiling is a likelihood ratio of the same kind.

Source: Ville 1939; Turner, Ly, Gruenwald 2021 (blocks of two arms); Waudby-Smith, Ramdas 2023 (bets); Robbins 1970
(mixtures).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

BETS = (0.5, 3.0, 16.0)
# A block of so many reports about the release, and none of control, is closed against the baseline.
LONE_BLOCK = 20
_LARGEST = 1e12
_LEAST_BASELINE = 0.02


@dataclass(frozen=True, slots=True)
class Arm:
    """Counted reports of one arm, and those that came too often from one source."""

    completed: int = 0
    failed: int = 0
    ignored: int = 0

    @property
    def counted(self) -> int:
        """Return how many reports count."""
        return self.completed + self.failed


@dataclass(frozen=True, slots=True)
class Series:
    """All counts of a series. `log_bets` are the logarithms of the three bets.

    `closed_failed` and `closed_all` are the control's reports in closed blocks. `open_*` is the open block: failed and
    completed of the rollout arm, then of control. `baseline` is the control of the 30 days before, kept as it was.
    """

    rollout: Arm = Arm()
    control: Arm = Arm()
    failed_addresses: int = 0
    closed_failed: int = 0
    closed_all: int = 0
    open_failed: int = 0
    open_completed: int = 0
    open_control_failed: int = 0
    open_control_completed: int = 0
    log_bets: tuple[float, float, float] = (0.0, 0.0, 0.0)
    baseline: Arm = Arm()


def count(series: Series, *, failed: bool, control: bool, margin: float, rate: float) -> Series:
    """Return a series after one more counted report.

    Args:
        series: what was counted before.
        failed: whether the install failed.
        control: whether the report belongs to the control arm.
        margin: how much worse than control a release may be.
        rate: the failure rate of the baseline (`baseline_rate`).
    """
    running = Running(series)
    running.count(failed=failed, control=control, margin=margin, rate=rate)
    return running.series()


class Running:
    """A series while a batch of reports is counted: the numbers of `Series`, changed in place.

    Making a series anew for each report took as long as storing it.
    """

    __slots__ = (
        "baseline",
        "closed_all",
        "closed_failed",
        "completed",
        "control_completed",
        "control_failed",
        "control_ignored",
        "failed",
        "failed_addresses",
        "ignored",
        "log_bets",
        "open_completed",
        "open_control_completed",
        "open_control_failed",
        "open_failed",
    )

    def __init__(self, series: Series) -> None:
        self.completed, self.failed, self.ignored = _numbers_of(series.rollout)
        self.control_completed, self.control_failed, self.control_ignored = _numbers_of(series.control)
        self.failed_addresses = series.failed_addresses
        self.closed_failed, self.closed_all = series.closed_failed, series.closed_all
        self.open_failed, self.open_completed = series.open_failed, series.open_completed
        self.open_control_failed = series.open_control_failed
        self.open_control_completed = series.open_control_completed
        self.log_bets, self.baseline = series.log_bets, series.baseline

    def series(self) -> Series:
        """Return the numbers of now."""
        return Series(
            Arm(self.completed, self.failed, self.ignored),
            Arm(self.control_completed, self.control_failed, self.control_ignored),
            self.failed_addresses,
            self.closed_failed,
            self.closed_all,
            self.open_failed,
            self.open_completed,
            self.open_control_failed,
            self.open_control_completed,
            self.log_bets,
            self.baseline,
        )

    def ignore(self, *, control: bool) -> None:
        """Note a report that came too often from one source."""
        if control:
            self.control_ignored += 1
        else:
            self.ignored += 1

    def count(self, *, failed: bool, control: bool, margin: float, rate: float) -> None:
        """Count one report, and bet on the open block when it is whole; for the arguments see `count`."""
        if control:
            self.control_failed += failed
            self.control_completed += not failed
            self.open_control_failed += failed
            self.open_control_completed += not failed
        else:
            self.failed += failed
            self.completed += not failed
            self.open_failed += failed
            self.open_completed += not failed
        self._close_block(margin, rate)

    def _close_block(self, margin: float, rate: float) -> None:
        failed, completed = self.open_failed, self.open_completed
        control_failed, control_completed = self.open_control_failed, self.open_control_completed
        all_of_rollout, all_of_control = failed + completed, control_failed + control_completed
        if all_of_rollout and all_of_control:
            expected = (self.closed_failed + 0.5) / (self.closed_all + 20)
            tolerated = expected + margin
            logs = []
            for log, bet in zip(self.log_bets, BETS, strict=True):
                stake = min(bet, 0.5 / tolerated, 0.5 * all_of_control / (all_of_rollout * (1 - expected)))
                against = stake * all_of_rollout / all_of_control
                logs.append(
                    log
                    + failed * math.log1p(stake * (1 - tolerated))
                    + completed * math.log1p(-stake * tolerated)
                    + control_failed * math.log1p(-against * (1 - expected))
                    + control_completed * math.log1p(against * expected)
                )
        elif all_of_rollout >= LONE_BLOCK:
            logs = []
            for log, bet in zip(self.log_bets, BETS, strict=True):
                stake = min(bet, 0.5 / rate)
                logs.append(log + failed * math.log1p(stake * (1 - rate)) + completed * math.log1p(-stake * rate))
        else:
            return
        self.closed_failed += control_failed
        self.closed_all += all_of_control
        self.open_failed = self.open_completed = self.open_control_failed = self.open_control_completed = 0
        self.log_bets = logs[0], logs[1], logs[2]


def _numbers_of(arm: Arm) -> tuple[int, int, int]:
    return arm.completed, arm.failed, arm.ignored


def baseline_rate(baseline: Arm, max_failure_rate: float) -> float:
    """Return the failure rate that is expected where there is no control."""
    return min(max_failure_rate, max(_LEAST_BASELINE, 2 * (baseline.failed + 2) / (baseline.counted + 40)))


def against_control(series: Series) -> float:
    """Return the evidence that the release is worse than control; 1 before the first block."""
    return sum(_bounded_exp(each) for each in series.log_bets) / len(series.log_bets)


def above_ceiling(series: Series, max_failure_rate: float) -> float:
    """Return the evidence that the release fails more often than it ever may; 0 while it does not."""
    failed, counted = series.rollout.failed, series.rollout.counted
    if not counted or failed / counted <= max_failure_rate:
        return 0.0
    mixture = _log_beta(failed + 0.5, counted - failed + 2) - _log_beta(0.5, 2)
    held = failed * math.log(max_failure_rate) + (counted - failed) * math.log1p(-max_failure_rate)
    return _bounded_exp(mixture - held)


def shown(evidence: float) -> float:
    """Return evidence as it is shown: 6 significant digits, at most 1e12."""
    return float(f"{min(evidence, _LARGEST):.6g}")


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _bounded_exp(log: float) -> float:
    """Return e to the power of `log`, where it does not overflow; far above any limit it stands still."""
    return math.exp(min(log, 700.0))
