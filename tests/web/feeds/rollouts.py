"""A plan for tests of feeds."""

from __future__ import annotations

from typing import Any


def half(service: Any) -> Any:
    """Return the plan of a release that half of all clients get."""
    return service.services.rollouts.read_plan({"stages": [{"percent": 50}]}, "rollout")
