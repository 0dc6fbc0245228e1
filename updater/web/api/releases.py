"""Releases of an application, as the REST document calls builds: list, register an external one, delete."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

from aiohttp import web

import updater.web.api.answer_schemas as answers
import updater.web.api.schemas as schemas
from updater.access.principals import Permission
from updater.catalog.model import BuildQuery, Checksum, ExternalFile, Page, ReleaseStatus
from updater.errors import Invalid
from updater.services import Services
from updater.times import rfc3339
from updater.web.api.rendering import page_keys, release_item
from updater.web.api.targets import target_in_path
from updater.web.gate.context import CONTEXT
from updater.web.gate.listings import list_answer
from updater.web.gate.routing import Contract, endpoint
from updater.web.messages.answers import json_answer
from updater.web.messages.links import Links
from updater.web.transfer.published import build_id
from updater.web.transfer.upload_fields import request_of


class Releases:
    """What publishers and administrators do with releases."""

    def __init__(self, services: Services, links: Links) -> None:
        self._catalog = services.catalog
        self._publishing = services.publishing
        self._offers = services.offers
        self._rollouts = services.rollouts
        self._links = links

    @endpoint(
        Contract(
            "List releases",
            Permission.READ,
            query=schemas.ReleasesQuery(),
            answers={200: answers.ReleasesAnswer()},
            failures=(404, 422),
        )
    )
    async def list_releases(self, request: web.Request, query: dict[str, Any]) -> web.StreamResponse:
        """Return one page of releases."""
        application = self._offers.get_application(request.match_info["app_id"])
        wanted = BuildQuery(
            platform=query.get("platform"),
            architecture=query.get("architecture"),
            version=query.get("version"),
            required=query.get("required"),
            channel=query.get("channel"),
            status=ReleaseStatus(query["status"]) if "status" in query else None,
            sort_by=query["sort_by"],
            descending=query["sort_order"] == "desc",
            page=Page(query["limit"], query["offset"]),
        )
        origin = self._links.download_origin(request)

        async def read(page: Page) -> tuple[list[dict[str, Any]], int]:
            builds, total = await self._catalog.list_builds(application, dataclasses.replace(wanted, page=page))
            limited = {build.release_id for build in builds if not build.complete}
            shares = await self._rollouts.list_shares(limited) if limited else {}
            files = await self._catalog.list_files(builds)
            return [
                release_item(
                    application,
                    build,
                    files.get(build.id, ()),
                    self._links,
                    origin,
                    shares.get(build.release_id, 100.0),
                )
                for build in builds
            ], total

        return await list_answer(request, "releases", wanted.page, read, partial(page_keys, wanted.page))

    @endpoint(
        Contract(
            "Register an external release",
            Permission.WRITE,
            body=schemas.RegisterBody(),
            answers={201: answers.Created()},
            failures=(400, 404, 409, 413, 415, 422),
        )
    )
    async def register_release(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        """Register a release whose file another host serves.

        Raises:
            Invalid: the body names another application than the path.
        """
        application_id = request.match_info["app_id"]
        if body["application_id"] != application_id:
            raise Invalid({"application_id": f"must equal the application in the path, {application_id}"})
        file = ExternalFile(
            body["download_url"], Checksum(body["checksum_type"], body["checksum"]), body.get("file_size")
        )
        wanted = request_of(application_id, body, self._rollouts)
        build, _ = await self._publishing.publish(wanted, file, request[CONTEXT].actor)
        answer = {
            "id": build_id(build),
            "message": "Release registered successfully",
            "created_at": rfc3339(build.created_at),
        }
        return json_answer(answer, 201)

    @endpoint(Contract("Delete a release", Permission.ADMIN, answers={200: answers.Deleted()}, failures=(404, 422)))
    async def delete_release(self, request: web.Request) -> web.Response:
        """Delete one release."""
        application_id, version = request.match_info["app_id"], request.match_info["version"]
        build = await self._catalog.delete_build(
            application_id, version, target_in_path(request), actor=request[CONTEXT].actor
        )
        return json_answer({"id": build_id(build), "message": "Release deleted successfully"})
