"""`updater rollout`: a release for a share of the clients."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import click

from updater.cli.output import print_rows, print_table
from updater.cli.plans import plan_options
from updater.cli.remote import Remote, reason_option, release_options, remote_options
from updater.cli.targets import PLATFORM
from updater.cli.words import rollout_rows
from updater.rollouts.words import as_percent
from updater_client import RolloutPlan, UpdateClient

_accept = click.option("--accept", is_flag=True, help="Accept halts: the numbers that halted it do not count any more.")


@click.group()
def rollout() -> None:
    """Offer a release to a share of clients; stop, resume that."""


@rollout.command("list")
@click.option("--app", "app_id", required=True, help="Application id.")
@remote_options
def list_rollouts(remote: Remote, app_id: str) -> None:
    """List the rollouts that are not complete, highest version first. Needs a key that may read.

    \f
    Raises:
        ClickException: with status 5 when there is no such application, 4 without such a key.
    """
    found = remote.run(lambda client: client.rollouts.list_open(app_id))
    if remote.as_json:
        remote.show(found, [])
        return
    rows = [
        (each["version"], each["channel"], each["state"], as_percent(each["percent"]), _stage(each), _halted(each))
        for each in found["rollouts"]
    ]
    print_table(("version", "channel", "state", "percent", "stage", "halted on"), rows)


@rollout.command("show")
@release_options
@remote_options
def show_rollout(remote: Remote, app_id: str, version: str) -> None:
    """Show where a rollout stands, what it waits for, and what its reports say. Needs a key that may read.

    \f
    Raises:
        ClickException: with status 5 when there is no such release, or it has no rollout.
    """
    _do(remote, lambda client: client.rollouts.get(app_id, version))


@rollout.command("set")
@release_options
@plan_options("--percent", "--plan", "plan", "Offer it to this percent of the clients.", required=True)
@reason_option
@remote_options
def set_rollout(remote: Remote, app_id: str, version: str, plan: RolloutPlan, reason: str | None) -> None:
    """Set the plan, whole. Who is in at 10 percent stays in at 20.

    \f
    Raises:
        UsageError: not exactly one of --percent and --plan. ClickException: with status 7 for a plan that does not
            fit, 6 for a state that does not allow it, 5 when there is no such release.
    """
    _do(remote, lambda client: client.rollouts.set_plan(app_id, version, plan, reason=reason))


@rollout.command("pause")
@release_options
@reason_option
@remote_options
def pause_rollout(remote: Remote, app_id: str, version: str, reason: str | None) -> None:
    """Offer it to nobody else, and let no stage begin, until it is resumed.

    \f
    Raises:
        ClickException: with status 6 when it is complete, 5 when there is no such rollout.
    """
    _do(remote, lambda client: client.rollouts.pause(app_id, version, reason=reason))


@rollout.command("resume")
@release_options
@_accept
@click.option(
    "--platform",
    "platforms",
    type=PLATFORM,
    multiple=True,
    help="With --accept: only this one's halt; may be given several times.  [default: all halts]",
)
@reason_option
@remote_options
def resume_rollout(
    remote: Remote, app_id: str, version: str, accept: bool, platforms: tuple[str, ...], reason: str | None
) -> None:
    """End a pause; with --accept also halts, whose platforms count from zero again.

    \f
    Raises:
        UsageError: --platform without --accept. ClickException: with status 6 when there is nothing to resume, 7 for
            a platform that is not halted, 5 when there is no such rollout.
    """
    if platforms and not accept:
        raise click.UsageError("--platform goes with --accept")
    _do(
        remote,
        lambda client: client.rollouts.resume(app_id, version, accept=accept, platforms=platforms, reason=reason),
    )


@rollout.command("advance")
@release_options
@reason_option
@remote_options
def advance_rollout(remote: Remote, app_id: str, version: str, reason: str | None) -> None:
    """Begin the next stage now, whatever its time and its reports.

    \f
    Raises:
        ClickException: with status 6 when it is paused, complete, halted or at its last stage, 5 when there is no such
            rollout.
    """
    _do(remote, lambda client: client.rollouts.advance(app_id, version, reason=reason))


@rollout.command("complete")
@release_options
@_accept
@reason_option
@remote_options
def complete_rollout(remote: Remote, app_id: str, version: str, accept: bool, reason: str | None) -> None:
    """Give the release to everybody on its channel. Nothing halts it from then on.

    \f
    Raises:
        ClickException: with status 6 while a platform is halted, unless --accept; 5 when there is no such rollout.
    """
    _do(remote, lambda client: client.rollouts.complete(app_id, version, accept=accept, reason=reason))


def _do(remote: Remote, call: Callable[[UpdateClient], Awaitable[Mapping[str, Any]]]) -> None:
    found = remote.run(call)
    if remote.as_json:
        remote.show(found, [])
        return
    print_rows(rollout_rows(found))
    header = ("platform", "state", "installed", "failed", "others", "failed", "evidence", "halts at")
    print_table(
        header,
        [
            (
                each["platform"],
                each["state"],
                each["rollout"]["completed"],
                each["rollout"]["failed"],
                each["control"]["completed"],
                each["control"]["failed"],
                f"{max(each['evidence'].values()):.3g}",
                f"{each['limit']:g}",
            )
            for each in found["platforms"]
        ],
    )


def _stage(found: Mapping[str, Any]) -> str:
    stage = found["stage"]
    return "" if stage is None else f"{stage['number']} of {stage['of']}"


def _halted(found: Mapping[str, Any]) -> str:
    return ", ".join(each["platform"] for each in found["platforms"] if each["state"] == "halted")
