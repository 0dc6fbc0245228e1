"""How a rollout is given on the command line: a percent, or a file with a plan."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable
from typing import Any

import click

from updater_client import RolloutPlan


class Percent(click.ParamType[float]):
    """A number from 0 to 100. The server has the last word on its steps."""

    name = "percent"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Parse the text.

        Raises:
            UsageError: no number, or out of range.
        """
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not 0 <= number <= 100:
            self.fail(f"{value!r} is no number from 0 to 100", param, ctx)
        return number


class PlanFile(click.ParamType[dict[str, Any]]):
    """A file with a plan as a JSON object, - for stdin; it is read at once."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        """Read the file.

        Raises:
            UsageError: it cannot be read, or holds no JSON object.
        """
        try:
            with click.open_file(value, "rb") as file:
                plan = json.loads(
                    file.read().decode("utf-8-sig"),
                    object_pairs_hook=_require_different,
                    parse_constant=_refuse_constant,
                )
        except OSError as error:
            self.fail(f"{value!r} cannot be read: {error.strerror}", param, ctx)
        except _Twice as error:
            self.fail(f"{value!r} has {error} twice", param, ctx)
        except (ValueError, RecursionError) as error:
            self.fail(f"{value!r} is not valid JSON: {error}", param, ctx)
        if not isinstance(plan, dict):
            self.fail(f'{value!r} holds no JSON object such as {{"percent": 10}}', param, ctx)
        return plan


class _Twice(ValueError):
    """A key that an object has twice: of which one would be left out without a word."""


def _require_different(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _Twice(next(name for name in names if names.count(name) > 1))
    return found


def _refuse_constant(word: str) -> Any:
    raise ValueError(f"{word} is no number")


def plan_options(
    percent: str, plan: str, into: str, what: str, *, required: bool = False
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add two options, of which one may be given; the command gets it as `into`, None for neither.

    Args:
        percent: the option that takes a number, such as `--rollout`.
        plan: the option that takes a file, such as `--rollout-plan`.
        into: the parameter of the command.
        what: what the percent is, for the help.
        required: whether one must be given.
    """

    def _decorate(command: Callable[..., None]) -> Callable[..., None]:
        @click.option(percent, "given_percent", type=Percent(), metavar="PERCENT", help=what)
        @click.option(
            plan, "given_plan", type=PlanFile(), metavar="FILE", help="Instead: a plan in a JSON file, - for stdin."
        )
        @functools.wraps(command)
        def _with_plan(*args: Any, given_percent: float | None, given_plan: dict[str, Any] | None, **rest: Any) -> None:
            if given_percent is not None and given_plan is not None:
                raise click.UsageError(f"give {percent} or {plan}, not both")
            chosen: RolloutPlan | None = given_percent if given_plan is None else given_plan
            if required and chosen is None:
                raise click.UsageError(f"give {percent} or {plan}")
            command(*args, **{into: chosen}, **rest)

        return _with_plan

    return _decorate


rollout_options = plan_options(
    "--rollout", "--rollout-plan", "rollout", "Offer it to this percent of the clients, from its first second."
)
