"""The values of tasks. PURE."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

MAX_TITLE_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Task:
    """A to-do item. `user_id` is the person's number at the token's issuer. Times are aware, in UTC."""

    id: int
    user_id: int
    title: str
    description: str
    completed: bool
    created_at: datetime
    updated_at: datetime
