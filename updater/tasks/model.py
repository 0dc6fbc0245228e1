"""The values of tasks. PURE."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from updater.errors import Invalid

MAX_TITLE_CHARACTERS = 200
# What one user may keep: the list of all tasks is one answer.
MAX_TASKS = 5_000
MAX_TEXT_CHARACTERS = 2_000_000


@dataclass(frozen=True, slots=True)
class Holding:
    """What a user keeps: the number of tasks, and the characters of their titles and descriptions."""

    tasks: int
    characters: int

    def require_room(self, before: Holding) -> None:
        """Hold what a change leads to against the bounds; who is above them may keep less. Raises Invalid."""
        if self.tasks > max(MAX_TASKS, before.tasks):
            raise Invalid({"tasks": f"at most {MAX_TASKS} tasks are kept for a user; delete some first"})
        if self.characters > max(MAX_TEXT_CHARACTERS, before.characters):
            raise Invalid(
                {"description": f"the texts of a user's tasks have at most {MAX_TEXT_CHARACTERS} characters in all"}
            )


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
