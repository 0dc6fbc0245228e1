"""`updater publish FOLDER`: what a build tool left becomes one release, live as one step."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from updater.cli.exits import Exit
from updater.cli.output import in_bytes, print_rows, print_table, printable, progress_bars
from updater.cli.remote import Remote
from updater.cli.words import feed_rows
from updater.rollouts.words import as_percent
from updater_client import Application, ListedBuild, NewApplication, RolloutPlan, Unreachable, UpdateClient, UpdateError
from updater_client.folder.digests import read_digests
from updater_client.folder.model import Plan, PlannedFile, Problem, Wishes
from updater_client.folder.names import kind_of
from updater_client.folder.plan import make_plan
from updater_client.folder.reading import read_folder
from updater_client.folder.scan import A_LINK
from updater_client.folder.sending import Details, Step, Work, compare, send
from updater_client.folder.versions import chosen_channel

_MOST_PROBLEMS = 20
_FIRST_CHANNEL = "the application's first channel"


@dataclass(frozen=True)
class Order:
    """What the caller asks for beside the folder. `create` is the application to make when it is not there."""

    app_id: str
    wishes: Wishes
    details: Details
    create: NewApplication | None = None
    rollout: RolloutPlan | None = None
    draft: bool = False
    dry_run: bool = False
    yes: bool = False


@dataclass(frozen=True)
class _Known:
    """What the server knows: the application (None: not there yet), and its builds of the version."""

    application: Application | None
    builds: tuple[ListedBuild, ...]


def publish_folder(remote: Remote, folder: Path, order: Order) -> None:
    """Show what a folder holds for clients, send what the server lacks, and publish it as one step.

    Raises:
        ClickException: with status 2 when something stands in the way or nobody confirms, 6 for other bytes than those
            of a live release, 10 when a file cannot be read; those of `Remote.run`.
    """
    plan = remote.run(lambda client: _read(folder, order.wishes))
    if plan.problems:
        _refuse(remote, plan.problems)
    known = _ask(remote, plan, order)
    plan = replace(plan, channel=_channel(plan, known, order.wishes))
    work = _compare(remote, plan, known, order)
    if not remote.as_json:
        _show_plan(plan, work, order)
    if order.dry_run:
        _show_end(remote, plan, work, order, "planned")
        return
    if work.steps or work.signings or (work.status != "active" and not order.draft):
        _confirm(remote, plan, work, order)
    _carry_out(remote, plan, work, order)


def _channel(plan: Plan, known: _Known | None, wishes: Wishes) -> str | None:
    """Return the wished channel, else that of the release, else one that feed files or the version name; None: none.

    What they name counts where the application has such a channel.
    """
    if wishes.channel is not None or known is None or known.application is None:
        return wishes.channel
    if known.builds:
        return known.builds[0].channel
    return chosen_channel(plan.version, plan.channel, known.application.channels)


async def _read(folder: Path, wishes: Wishes) -> Plan:
    plan = make_plan(read_folder(folder, wishes), wishes)
    if plan.problems:
        return plan
    with progress_bars("reading", sum(file.size_bytes for file in plan.files)) as bars:
        return await read_digests(plan, None if bars is None else bars.advance)


def _refuse(remote: Remote, problems: Iterable[Problem]) -> None:
    found = list(problems)
    for problem in found[:_MOST_PROBLEMS]:
        click.echo(printable(f"{problem}"), err=True)
    if len(found) > _MOST_PROBLEMS:
        click.echo(f"and {len(found) - _MOST_PROBLEMS} more", err=True)
    count = "one thing stands" if len(found) == 1 else f"{len(found)} things stand"
    message = f"nothing was uploaded: {count} in the way"
    described = [{"what": each.what, "remedy": each.remedy} for each in found]
    remote.fail(message, Exit.USAGE, {"message": message, "code": "FOLDER", "problems": described})


def _ask(remote: Remote, plan: Plan, order: Order) -> _Known | None:
    """Ask the server what it has; None when it cannot be reached and nothing is to be sent."""

    async def ask(client: UpdateClient) -> _Known | None:
        try:
            application = await client.get_application(order.app_id)
            return _Known(application, await client.releases.list_builds(order.app_id, plan.version))
        except Unreachable as error:
            if not order.dry_run:
                raise
            click.echo(f"the server could not be asked: {printable(error.message)}", err=True)
            return None
        except UpdateError as error:
            if error.status != 404:
                raise
            if order.create is None:
                error.add("--create makes it")
                raise
            return _Known(None, ())

    return remote.run(ask)


def _compare(remote: Remote, plan: Plan, known: _Known | None, order: Order) -> Work:
    async def work(_client: UpdateClient) -> Work:
        builds = () if known is None else known.builds
        found = compare(plan, builds)
        message = None
        if order.draft and found.status == "active" and found.steps:
            message = f"version {plan.version} is live: what is added to it shows at once, and is no draft"
        elif builds and order.wishes.channel not in (None, builds[0].channel):
            message = f"version {plan.version} is on {builds[0].channel}: `updater release promote` moves it"
        if message is not None:
            raise UpdateError(message, status=409, code="CONFLICT")
        return found

    return remote.run(work)


def _show_plan(plan: Plan, work: Work, order: Order) -> None:
    targets = {step.file.place: step.targets for step in work.steps}
    rows = [
        (
            file.name,
            _targets(file),
            f"{file.kind} *" if file.primary_of else file.kind,
            in_bytes(file.size_bytes),
            " ".join(sorted(file.signatures)) or "no",
            "new" if file.place in targets else "there",
        )
        for file in plan.files
    ]
    print_table(("file", "target", "kind", "size", "signed", "state"), rows)
    notes = plan.notes.strip().splitlines()
    why = ", which its version names" if work.status == "new" and plan.channel != order.wishes.channel else ""
    rest = [each for each in plan.left_out if kind_of(each.place) != "other" or each.why == A_LINK]
    rows_below: list[tuple[str, Any]] = [
        ("*", "the file of a build: what a client gets that asks for no other"),
        ("release", f"{order.app_id} {plan.version}{_STATES[work.status]}"),
        ("channel", f"{plan.channel}{why}" if plan.channel else _FIRST_CHANNEL if work.status == "new" else ""),
        ("notes", "" if not notes else notes[0] if len(notes) == 1 else f"{notes[0]} ... ({len(notes)} lines)"),
        ("to send", f"{len(work.steps)} of {_files(len(plan.files))}, {in_bytes(work.size_bytes)}"),
        *(("left out", f"{each.place}: {each}") for each in rest),
        *(("note", str(remark)) for remark in plan.remarks),
        ("note", _KEEPS_ITS_ROLLOUT if order.rollout is not None and work.status == "active" else ""),
        *(("also there", f"{each}, which this folder does not have") for each in work.others),
    ]
    print_rows([row for row in rows_below if row[1]])


_KEEPS_ITS_ROLLOUT = "the release is live and keeps its rollout: `updater rollout set` gives it another one"
_STATES = {"new": "", "draft": ", a draft", "active": ", live"}


def _targets(file: PlannedFile) -> str:
    platforms = dict.fromkeys(target.platform for target in file.targets)
    return ", ".join(
        f"{platform}/{'+'.join(each.architecture for each in file.targets if each.platform == platform)}"
        for platform in platforms
    )


def _confirm(remote: Remote, plan: Plan, work: Work, order: Order) -> None:
    if order.yes:
        return
    if remote.as_json or not sys.stdin.isatty():
        raise click.UsageError("nobody is here to confirm the plan: look at it with --dry-run, and give --yes")
    what = "Send it as a draft" if order.draft else "Send and publish it" if work.steps else "Publish it"
    if work.status == "active":
        what = "The release is live: add this to it at once"
    click.confirm(f"{what}?", abort=True, err=True)


def _carry_out(remote: Remote, plan: Plan, work: Work, order: Order) -> None:
    # The channel of a release that is there is its own; only a wish is held against it.
    channel = plan.channel if work.status == "new" else order.wishes.channel
    details = replace(order.details, channel=channel)

    async def carry_out(client: UpdateClient) -> Mapping[str, Any] | None:
        if order.create is not None:
            await client.create_unless_there(order.create)
        with progress_bars(_files(len(work.steps)), work.size_bytes) as bars:
            watch = None if bars is None else lambda step, done, total: bars.move(step.key, _label(step), done, total)
            try:
                await send(client, order.app_id, plan, work, details, watch)
            except UpdateError as error:
                error.add("what has arrived stays, so run it again to go on")
                raise
        if order.draft:
            return None
        rollout = order.rollout if work.status != "active" else None
        return await client.releases.publish(order.app_id, plan.version, require=plan.require, rollout=rollout)

    published = remote.run(carry_out)
    _show_end(remote, plan, work, order, "draft" if published is None else "published", published)


def _files(number: int) -> str:
    return f"{number} file{'' if number == 1 else 's'}"


def _label(step: Step) -> str:
    name = step.file.name
    return name if len(name) <= 32 else f"{name[:15]}..{name[-15:]}"


def _show_end(
    remote: Remote, plan: Plan, work: Work, order: Order, status: str, published: Mapping[str, Any] | None = None
) -> None:
    feeds = (published or {}).get("feeds") or {}
    if status == "draft" and work.status == "active":
        status = "published"
    if remote.as_json:
        remote.show(_document(plan, work, order, status, published), [])
        return
    what = f"{order.app_id} {plan.version}"
    if status == "planned":
        print_rows([("dry run", "nothing was sent")])
    elif status == "draft":
        print_rows([("draft", what), ("publish", f"updater release publish {order.app_id} {plan.version}")])
    else:
        sent = f"{_files(len(work.steps))} sent" if work.steps else "nothing to send"
        audience = None
        if order.rollout is not None and work.status != "active":
            audience = as_percent(order.rollout) if isinstance(order.rollout, int | float) else "what its plan says"
        rows = [("published", f"{what}, {sent}"), ("offered to", audience and f"{audience} of the clients")]
        rows += feed_rows(feeds)
        print_rows([row for row in rows if row[1]])


def _document(plan: Plan, work: Work, order: Order, status: str, published: Mapping[str, Any] | None) -> dict[str, Any]:
    sent = {(step.file.place, target) for step in work.steps for target in step.targets}
    files = [
        {
            "name": file.name,
            "path": str(file.path),
            "targets": [str(target) for target in file.targets],
            "primary_of": [str(target) for target in file.primary_of],
            "kind": file.kind,
            "size_bytes": file.size_bytes,
            "sha256": file.sha256,
            "signatures": sorted(file.signatures),
            "delta_from": file.delta_from,
            "there": not any((file.place, target) in sent for target in file.targets),
        }
        for file in plan.files
    ]
    return {
        "application": order.app_id,
        "version": plan.version,
        "channel": plan.channel,
        "status": status,
        "published_at": (published or {}).get("published_at"),
        "files": files,
        "sent_files": 0 if status == "planned" else len(work.steps),
        "sent_bytes": 0 if status == "planned" else work.size_bytes,
        "left_out": [{"place": each.place, "why": str(each)} for each in plan.left_out],
        "remarks": list(map(str, plan.remarks)),
        "feeds": (published or {}).get("feeds") or {},
    }
