"""Carry out a plan: see what the server has, send the rest into a draft, publish it as one step."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from updater_client.errors import UpdateError
from updater_client.files import NewFile
from updater_client.folder.model import Plan, PlannedFile
from updater_client.model import BuildFile, ListedBuild, NewBuild, Target
from updater_client.releases import Releases
from updater_client.upload import Snapshot

AT_ONCE = 4


class HasReleases(Protocol):
    """What sends files: an `UpdateClient`."""

    @property
    def releases(self) -> Releases:
        """Return the calls about files of builds."""


Watch = Callable[["Step", int, int | None], None]
"""Called with a step, its bytes done and its bytes in all."""


@dataclass(frozen=True)
class Step:
    """One upload: a file as primary or as companion of the builds of some targets."""

    file: PlannedFile
    targets: tuple[Target, ...]
    primary: bool

    @property
    def key(self) -> tuple[str, tuple[Target, ...]]:
        """Return what tells this step from the others of its plan."""
        return self.file.place, self.targets


@dataclass(frozen=True)
class Signing:
    """Signatures that a file lacks which is there already."""

    file: PlannedFile
    target: Target
    signatures: Mapping[str, str]


@dataclass(frozen=True)
class Work:
    """What is left to do of a plan.

    `status` is that of the release: `new`, `draft`, `active`. `others` are files of the same builds that the server has
    and the plan does not, as `windows/amd64/App.exe`.
    """

    status: str
    steps: tuple[Step, ...] = ()
    signings: tuple[Signing, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def size_bytes(self) -> int:
        """Return the number of bytes to send."""
        return sum(step.file.size_bytes for step in self.steps)


@dataclass(frozen=True)
class Details:
    """What goes with each build of a plan and stands in no folder."""

    channel: str | None = None
    required: bool = False
    minimum_version: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


def compare(plan: Plan, listed: Sequence[ListedBuild]) -> Work:
    """Compare a plan with the builds that the server has of its version.

    Raises:
        UpdateError: 409, for a withdrawn release, and for names of a live one that stand for other bytes; `BAD_ANSWER`
            when the server does not tell the files of a build.
    """
    status = next((each.status or "active" for each in listed), "new")
    if status == "withdrawn":
        message = f"version {plan.version} is withdrawn: restore it, or publish another version"
        raise UpdateError(message, status=409, code="CONFLICT")
    if any(each.files is None for each in listed):
        raise UpdateError("this server knows no files of builds: it is too old for folders", code="BAD_ANSWER")
    there = {each.target: {file.name.casefold(): file for file in each.files or ()} for each in listed}
    builds = {each.target for each in listed if each.files or each.checksum}
    comparing = _Comparing(plan, status, there)
    for file in plan.files:
        comparing.add(file)
    if comparing.conflicts:
        message = f"version {plan.version} is live, with other bytes for {', '.join(comparing.conflicts)}"
        raise UpdateError(f"{message}: publish another version", status=409, code="CONFLICT")
    names = {(target, file.name.casefold()) for file in plan.files for target in file.targets}
    others = tuple(
        f"{target}/{file.name}"
        for target in plan.targets
        if target in builds
        for key, file in there.get(target, {}).items()
        if (target, key) not in names and file.made_by != "server"
    )
    return Work(status, tuple(comparing.steps), tuple(comparing.signings), others)


class _Comparing:
    def __init__(self, plan: Plan, status: str, there: Mapping[Target, Mapping[str, BuildFile]]) -> None:
        self.steps: list[Step] = []
        self.signings: list[Signing] = []
        self.conflicts: list[str] = []
        self._is_live = status == "active"
        self._there = there
        self._primary = {
            target: next((file for file in there.get(target, {}).values() if file.primary), None)
            for target in plan.targets
        }
        self._names = {(target, file.name.casefold()) for file in plan.files for target in file.targets}

    def add(self, file: PlannedFile) -> None:
        """Decide for each target of a file; targets with the same to do share one upload."""
        ways: dict[bool, list[Target]] = {}
        for target in file.targets:
            primary = self._way(file, target)
            if primary is not None:
                ways.setdefault(primary, []).append(target)
        self.steps += [Step(file, tuple(targets), primary) for primary, targets in ways.items()]

    def _way(self, file: PlannedFile, target: Target) -> bool | None:
        """Say whether a file is to be sent for a target as its primary one or as a companion; None: not at all."""
        found = self._there.get(target, {}).get(file.name.casefold())
        if found is not None and found.made_by == "server":
            found = None
        wants_primary = self._wants_primary(file, target)
        if found is None:
            return wants_primary
        if found.sha256 != file.sha256:
            if self._is_live:
                self.conflicts.append(f"{target}/{file.name}")
                return None
            return found.primary or wants_primary
        if wants_primary and not found.primary:
            return True
        missing = {scheme: text for scheme, text in file.signatures.items() if scheme not in found.signatures}
        if missing:
            self.signings.append(Signing(file, target, missing))
        return None

    def _wants_primary(self, file: PlannedFile, target: Target) -> bool:
        """Say whether a file is to be the primary one: a live build keeps its own, so does a draft if it is planned."""
        there = self._primary[target]
        if target not in file.primary_of:
            return False
        if there is None:
            return True
        kept = self._is_live or (target, there.name.casefold()) in self._names
        return not kept or there.name.casefold() == file.name.casefold()


async def send(
    client: HasReleases, app_id: str, plan: Plan, work: Work, details: Details, watch: Watch | None = None
) -> None:
    """Send what is left of a plan, four files at once; into a draft, unless the release is live.

    When one fails the others end too. What has arrived stays, and is not sent again the next time.

    Raises:
        FileChanged: a file was written to since it was read. OSError: one cannot be read.
        UpdateError: the server refuses, or cannot be reached.
    """
    sender = _Sender(client, app_id, plan, work, details, watch)
    first = [step for step in work.steps if step.primary]
    rest = [step for step in work.steps if not step.primary]
    if work.status == "new" and first:
        # The channel of a release is told by the upload that makes it, which only a build's own file can.
        smallest = min(first, key=lambda step: step.file.size_bytes)
        await sender.upload(smallest)
        first.remove(smallest)
    if work.status == "active":
        await _at_once(partial(sender.upload, step) for step in first)
        await _at_once(partial(sender.upload, step) for step in rest)
    else:
        await _at_once(partial(sender.upload, step) for step in (*first, *rest))
    await _at_once(
        partial(client.releases.sign, app_id, plan.version, each.target, each.file.name, each.signatures)
        for each in work.signings
    )


class _Sender:
    def __init__(
        self, client: HasReleases, app_id: str, plan: Plan, work: Work, details: Details, watch: Watch | None
    ) -> None:
        self._client = client
        self._app_id = app_id
        self._plan = plan
        self._draft = work.status != "active"
        self._details = details
        self._watch = watch

    async def upload(self, step: Step) -> None:
        """Carry out one step."""
        file, (target, *further) = step.file, step.targets
        snapshot = Snapshot(file.path, file.size_bytes, file.modified_at_ns, file.sha256)
        also = tuple(each.architecture for each in further)
        watch = self._watch
        progress = None if watch is None else (lambda done, total: watch(step, done, total))
        if not step.primary:
            given = (file.path, file.name, self._plan.version, target, also, self._draft)
            new = NewFile(*given, delta_from=file.delta_from, signatures=file.signatures)
            await self._client.releases.add_file(self._app_id, new, progress, snapshot=snapshot)
            return
        details, metadata = self._details, self._plan.metadata.get(target.platform, {})
        build = NewBuild(
            file.path,
            self._plan.version,
            target,
            self._plan.notes,
            details.required,
            details.minimum_version,
            {**metadata, **details.metadata},
            details.channel,
            file_name=file.name,
            also=also,
            draft=self._draft,
            signatures=file.signatures,
        )
        await self._client.releases.add_build(self._app_id, build, progress, snapshot=snapshot)


async def _at_once(works: Iterable[Callable[[], Awaitable[object]]]) -> None:
    """Do some work, four at a time; the first failure ends all and is raised."""
    room = asyncio.Semaphore(AT_ONCE)

    async def do(work: Callable[[], Awaitable[object]]) -> None:
        async with room:
            await work()

    tasks = [asyncio.ensure_future(do(work)) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
