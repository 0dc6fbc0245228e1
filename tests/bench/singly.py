"""The peer of the reports row: `python -m tests.bench.singly serve` commits each report by itself."""

from __future__ import annotations

from updater.cli import main
from updater.telemetry import recorder

if __name__ == "__main__":
    recorder.BATCH_EVENTS = 1
    main()
