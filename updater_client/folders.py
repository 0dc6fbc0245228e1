"""What a build tool left in a folder, from the disk to a release, in as few calls as there are decisions."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

from updater_client.errors import UpdateError
from updater_client.model import Application, Progress, RolloutPlan
from updater_client.releases import Releases

if TYPE_CHECKING:  # most applications only check and fetch, so what reads folders is imported by who publishes one
    from updater_client.folder.model import Plan, Wishes
    from updater_client.folder.sending import Details, Watch, Work


class _Client(Protocol):
    @property
    def releases(self) -> Releases: ...

    async def get_application(self, app_id: str) -> Application: ...


class Folders:
    """The calls about folders that build tools leave; `client.folders` has one.

        plan = await client.folders.read(Path("dist"))
        await client.folders.publish("my-app", plan)

    `send` and `publish` raise `UpdateError` or one of its kinds when they fail for good: `FOLDER` for a plan with
    problems, 401 or 403 without a key that may write, 404 for an unknown application, 409 for a withdrawn release, or
    a live one with other bytes.
    """

    def __init__(self, client: _Client) -> None:
        self._client = client

    async def read(self, folder: Path | str, wishes: Wishes | None = None, progress: Progress | None = None) -> Plan:
        """Read a folder, and return what would be published; nothing is sent.

        `problems` of the plan say what stands in the way, and what settles it; with any the files are not hashed.

        Raises:
            OSError: the folder or a file cannot be read.
        """
        from updater_client.folder.digests import read_digests
        from updater_client.folder.model import Wishes
        from updater_client.folder.plan import make_plan
        from updater_client.folder.reading import read_folder

        asked = wishes or Wishes()
        plan = make_plan(await asyncio.to_thread(read_folder, Path(folder), asked), asked)
        if plan.problems:
            return plan
        if progress is None:
            return await read_digests(plan)
        total, done, lock = sum(file.size_bytes for file in plan.files), 0, Lock()

        def reading(count: int) -> None:
            nonlocal done
            with lock:  # two files are read at a time
                done += count
                progress(done, total)

        return await read_digests(plan, reading)

    async def send(
        self, app_id: str, plan: Plan, details: Details | None = None, *, watch: Watch | None = None
    ) -> Work:
        """Send what the server lacks of a plan, into a draft unless the release is live; return what that was.

        What has arrived before a failure stays: call it again to go on. The channel of a new release is that of
        `details`, else of the plan's feed files or version where the application has it.

        Raises:
            FileChanged: a file was written to since it was read. OSError: one cannot be read.
        """
        from updater_client.folder.sending import Details, compare, send
        from updater_client.folder.versions import chosen_channel

        if plan.problems:
            message = "the folder cannot be published: " + "; ".join(map(str, plan.problems))
            raise UpdateError(message, code="FOLDER")
        given = details or Details()
        application = await self._client.get_application(app_id)
        work = compare(plan, await self._client.releases.list_builds(app_id, plan.version))
        if given.channel is None and work.status == "new":
            given = replace(given, channel=chosen_channel(plan.version, plan.channel, application.channels))
        await send(self._client, app_id, plan, work, given, watch)
        return work

    async def publish(
        self,
        app_id: str,
        plan: Plan,
        details: Details | None = None,
        *,
        rollout: RolloutPlan | None = None,
        watch: Watch | None = None,
    ) -> Mapping[str, Any]:
        """Send what the server lacks of a plan, and make its release live with all its files, as one step.

        A release that is live keeps its rollout.

        Returns:
            As `client.releases.publish`.

        Raises:
            FileChanged: a file was written to since it was read. OSError: one cannot be read.
        """
        work = await self.send(app_id, plan, details, watch=watch)
        wanted = rollout if work.status != "active" else None
        return await self._client.releases.publish(app_id, plan.version, require=plan.require, rollout=wanted)
