"""Fuzz one target with atheris: `python -m tests.fuzz.run TARGET FOLDER [options of libFuzzer]`.

What ends it is written to FOLDER; so is each input that reached new code.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import atheris

from tests.fuzz.targets import NAMES, load

# The slowest target hands its bytes to ten parsers.
MOST_BYTES, MOST_CPU_S = 65_536, 3.0


def main() -> None:
    name, folder, *options = sys.argv[1:]
    if name not in NAMES:
        sys.exit(f"no such target: {name}; there are {', '.join(NAMES)}")
    with atheris.instrument_imports(include=["updater", "updater_client", "tests.fuzz.targets"]):
        target = load(name)

    for number, seed in enumerate(target.SEEDS):
        Path(folder, f"seed-{number}").write_bytes(seed)

    def once(data: bytes) -> None:
        began_s = time.process_time()
        target.check(data)
        took_s = time.process_time() - began_s
        assert took_s < MOST_CPU_S, f"{len(data)} bytes took {took_s:.1f} s"

    atheris.Setup([sys.argv[0], f"-max_len={MOST_BYTES}", "-timeout=20", folder, *options], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
