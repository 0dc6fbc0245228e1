"""What a folder holds for clients, before anything of it is sent, and what release notes look like."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

import updater.web.api.plan_schemas as schemas
from updater.access.principals import Permission
from updater.feeds.notes import preview
from updater.services import Services
from updater.web.gate.routing import Contract, endpoint
from updater.web.messages.answers import json_answer
from updater.web.messages.bodies import BodyLimits

if TYPE_CHECKING:
    from updater_client.folder.given import GivenPlan
    from updater_client.folder.model import PlannedFile, Wishes
    from updater_client.model import Target

# The client's modules are imported with the first plan: a service that nobody asks for one does without their 3 MB.
_LIMITS: Final = BodyLimits(2 << 20, 30.0, gives_way=False)
_FAILURES: Final = (400, 404, 408, 413, 415, 422)


class Plans:
    """What publishers ask before they publish. Nothing is kept of it."""

    def __init__(self, services: Services) -> None:
        self._offers = services.offers
        # YAML takes seconds for what fits into a body: one thread at a time is enough for people.
        self._alone = asyncio.Semaphore(1)

    @endpoint(
        Contract(
            "Plan a folder",
            Permission.WRITE,
            body=schemas.FolderBody(),
            limits=_LIMITS,
            answers={200: schemas.PlanAnswer()},
            failures=_FAILURES,
        )
    )
    async def plan_folder(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        """Guess version, targets, kinds and signatures from names and feed files, as `updater publish` does.

        Give the files with their sizes first, and then once more with the bytes of those that `must_be_told` names.
        """
        from updater_client.folder.given import plan_given
        from updater_client.folder.model import Wishes

        channels = self._offers.get_application(request.match_info["app_id"]).channels
        sizes, contents = body["files"]
        wishes = Wishes(
            version=body["version"],
            channel=body["channel"],
            platform=body["platform"],
            architecture=body["architecture"],
            include=tuple(body["included"]),
            exclude=tuple(body["excluded"]),
        )
        async with self._alone:
            given = await asyncio.to_thread(plan_given, sizes, contents, wishes)
        return json_answer(_answer(given, wishes, channels))

    @endpoint(
        Contract(
            "Preview release notes",
            Permission.WRITE,
            body=schemas.PreviewBody(),
            answers={200: schemas.PreviewAnswer()},
            failures=_FAILURES,
        )
    )
    async def preview_notes(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        """Return release notes as HTML, as pages show them: raw HTML is text, and images are links."""
        return json_answer({"html": await asyncio.to_thread(preview, body["release_notes"])})


def _answer(given: GivenPlan, wishes: Wishes, channels: tuple[str, ...]) -> dict[str, Any]:
    from updater_client.folder.versions import chosen_channel

    plan = given.plan
    return {
        "version": plan.version or None,
        "channel": wishes.channel or chosen_channel(plan.version, plan.channel, channels),
        "release_notes": plan.notes,
        "metadata": plan.metadata,
        "files": [_file(each) for each in plan.files],
        "left_out": [{"path": each.place, "why": each.why} for each in plan.left_out],
        "remarks": [each.what for each in plan.remarks],
        "problems": [{"message": each.what, "field": each.wish, "path": each.place or None} for each in plan.problems],
        "must_be_told": list(given.must_be_told),
    }


def _file(file: PlannedFile) -> dict[str, Any]:
    return {
        "path": file.place,
        "name": file.name,
        "kind": file.kind,
        "size": file.size_bytes,
        "targets": _targets(file.targets),
        "primary_of": _targets(file.primary_of),
        "signatures": dict(file.signatures),
        "delta_from": file.delta_from,
        "checksums": [
            {"kind": kind, "value": _as_listed(kind, text), "said_by": place} for kind, text, place in file.checksums
        ],
    }


def _targets(targets: Iterable[Target]) -> list[dict[str, str]]:
    return [{"platform": each.platform, "architecture": each.architecture} for each in targets]


def _as_listed(kind: str, text: str) -> str | None:
    """Return a checksum as lists of files have it; None for a text that is none of its kind, so that no file has it."""
    from updater_client.checksums import find_checksum

    found = find_checksum(kind, text)
    if found is None:
        return None
    return b64encode(found).decode() if kind == "sha512" else found.hex()
