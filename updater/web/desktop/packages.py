"""Packages: upload one, download one."""

from __future__ import annotations

from typing import Any, ClassVar

from aiohttp import web

import updater.web.desktop.schemas as schemas
from updater.access.limits import Traffic
from updater.access.principals import Permission
from updater.catalog.requests import PublishRequest, ReceivedFile
from updater.services import Services
from updater.web.desktop.agents import agent_of
from updater.web.desktop.rendering import Names, package_hash
from updater.web.desktop.words import TARGETS
from updater.web.gate.context import CONTEXT
from updater.web.gate.metrics import Metrics
from updater.web.gate.routing import Contract, endpoint
from updater.web.messages.answers import json_answer
from updater.web.messages.parsing import load_values
from updater.web.transfer.downloads import send_build
from updater.web.transfer.uploads import receive_form

# A shared cache may keep the bytes, but asks each time, with the client's key: what was deactivated or is not
# for this client ends at once.
CACHE_CONTROL = "public, no-cache"
_FIELDS = schemas.UploadFields()


class Packages:
    """The way in, and the way out."""

    FORM_FIELDS: ClassVar[frozenset[str]] = frozenset(_FIELDS.fields)

    def __init__(self, services: Services, names: Names, metrics: Metrics) -> None:
        self._services = services
        self._offers = services.offers
        self._names = names
        self._count_received = metrics.received.inc

    @endpoint(
        Contract(
            "Download a package",
            Permission.FEED,
            traffic=Traffic.DOWNLOAD,
            path=schemas.PackagePath(),
            answers={200: None, 206: None, 302: None, 304: None},
            failures=(400, 404, 409, 412, 416, 503),
        )
    )
    async def download(self, request: web.Request, path: dict[str, Any]) -> web.StreamResponse:
        """Send a package, whole or in ranges; not to a client that would move down or across a gap."""
        application = self._names.application
        build = await self._services.downloads.get_build(application, path["version"], TARGETS[path["platform"]])
        current = agent_of(request).version
        if current is not None:
            self._offers.require_upgrade_path(build, self._offers.parse(application, current, "User-Agent"))
        return await send_build(
            request,
            self._services,
            build,
            file_name=self._names.file_name(build),
            cache_control=CACHE_CONTROL,
            headers={"X-File-Hash": package_hash(build)},
        )

    @endpoint(
        Contract(
            "Upload a package",
            Permission.ADMIN,
            raw_body={"multipart/form-data": schemas.UploadForm()},
            answers={201: schemas.Uploaded()},
            failures=(400, 404, 408, 409, 413, 507),
        )
    )
    async def upload(self, request: web.Request) -> web.Response:
        """Take a package; a further platform of a version keeps changelog, critical flag and minimum of the first."""
        application, artifacts = self._names.application, self._services.artifacts
        async with receive_form(request, artifacts, self.FORM_FIELDS, self._count_received) as form:
            given = load_values(_FIELDS, form.fields)
            wanted = PublishRequest(
                application_id=application,
                version=given["version"],
                target=TARGETS[given["platform"]],
                notes=given["changelog"],
                required=given["critical"],
                minimum_version=given["minimum_version"],
                follows_first=True,
                live=True,
            )
            file = ReceivedFile(*form.require_file())
            build, _ = await self._services.publishing.publish(wanted, file, request[CONTEXT].actor)
        request[CONTEXT].outcome = "published"
        origin = self._names.links.download_origin(request)
        answer = {
            "message": "Update package uploaded successfully",
            "update_id": build.release_id,
            "version": build.version.text,
            "platform": given["platform"],
            "file_hash": package_hash(build),
            "download_url": self._names.download_url(origin, build.version.text, given["platform"]),
        }
        return json_answer(answer, 201)
