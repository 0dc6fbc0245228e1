"""Tries are spread over 75 hours, and then end."""

from __future__ import annotations

from updater.webhooks.schedule import PAUSES_S, pause_s


def test_75_hours() -> None:
    assert 75 <= sum(PAUSES_S) / 3_600 < 76
    assert list(PAUSES_S) == sorted(PAUSES_S)
    assert [pause_s(each, 0.5) for each in range(1, 10)] == list(PAUSES_S)
    assert pause_s(10, 0.5) is None


def test_the_spread_and_what_the_receiver_asks() -> None:
    assert pause_s(2, 0.0) == 270 and round(pause_s(2, 1.0) or 0) == 330
    assert pause_s(2, 0.5, asked_s=1) == 300
    assert pause_s(2, 0.5, asked_s=900) == 900
    assert pause_s(2, 0.5, asked_s=10**9) == 86_400
