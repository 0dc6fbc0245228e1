"""One module a parser: `check(data)` hands it bytes and raises only what nobody documented; `SEEDS` are good inputs."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Protocol


class Target(Protocol):
    """A module of this package."""

    SEEDS: tuple[bytes, ...]

    def check(self, data: bytes) -> None:
        """Hand some bytes to a parser. Raises what is a finding."""


NAMES = tuple(sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py")))


def load(name: str) -> Target:
    """Return the target of a name."""
    found: Target = import_module(f"{__name__}.{name}")  # type: ignore[assignment]
    return found
