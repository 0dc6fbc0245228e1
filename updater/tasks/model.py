"""The values of tasks. PURE."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

MAX_TITLE_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Task:
    """One thing somebody wants to do. `user_id` is the issuer's number for that person."""

    id: int
    user_id: int
    title: str
    description: str
    completed: bool
    created_at: datetime
    updated_at: datetime
