"""A small server in memory that answers as the documented API does; enough to exercise the client."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from aiohttp import web

NOW = "2026-02-16T10:00:00Z"
KEY = "standin-key"


def _error(status: int, code: str, message: str, **more: Any) -> web.Response:
    body = {"error": "error", "message": message, "code": code, "details": {}, "timestamp": NOW}
    return web.json_response({**body, "request_id": "req_1", **more}, status=status)


@web.middleware
async def _sign_in(request: web.Request, handler: Any) -> web.StreamResponse:
    public = request.path.split("/")[-1] in ("check", "latest", "status") or "/download/" in request.path
    if not public and request.headers.get("Authorization") != f"Bearer {KEY}":
        return _error(401, "UNAUTHORIZED", "no valid key")
    return await handler(request)


class StandIn:
    def __init__(self) -> None:
        self.apps: dict[str, dict[str, Any]] = {}
        self.builds: dict[tuple[str, ...], dict[str, Any]] = {}
        self.files: dict[tuple[str, ...], bytes] = {}
        self.reports: dict[str, dict[str, Any]] = {}

    def build(self) -> web.Application:
        app = web.Application(middlewares=[_sign_in], client_max_size=1 << 26)
        one = "/api/v1/updates/{app}"
        app.add_routes([
            web.get(one + "/check", self.check), web.get(one + "/latest", self.latest),
            web.get(one + "/releases", self.releases), web.post(one + "/upload", self.upload),
            web.post(one + "/register", self.register), web.post(one + "/status", self.status),
            web.get(one + "/download/{version}/{platform}/{arch}", self.download),
            web.delete(one + "/releases/{version}/{platform}/{arch}", self.delete),
            web.get("/api/v1/applications", self.applications), web.post("/api/v1/applications", self.create),
            web.get("/api/v1/applications/{app}", self.application),
            web.put("/api/v1/applications/{app}", self.change),
            web.delete("/api/v1/applications/{app}", self.remove),
        ])  # fmt: skip
        return app

    def _newest(self, request: web.Request) -> dict[str, Any] | None:
        q = request.query
        wanted = (request.match_info["app"], q["platform"], q["architecture"])
        found = [b for (a, _, p, r), b in self.builds.items() if (a, p, r) == wanted]
        return max(found, key=lambda b: [int(n) for n in b["version"].split(".")], default=None)

    async def check(self, request: web.Request) -> web.Response:
        newest, current = self._newest(request), request.query["current_version"]
        if newest is None or newest["version"] == current:
            body = {"update_available": False, "current_version": current, "required": False}
            return web.json_response(body)
        body = {**newest, "update_available": True, "latest_version": newest["version"]}
        return web.json_response({**body, "current_version": current})

    async def latest(self, request: web.Request) -> web.Response:
        newest = self._newest(request)
        return web.json_response(newest) if newest else _error(404, "NOT_FOUND", "no release")

    async def releases(self, request: web.Request) -> web.Response:
        keep = [k for k in ("version", "platform", "architecture") if k in request.query]
        found = [
            b
            for k, b in self.builds.items()
            if k[0] == request.match_info["app"] and all(b[f] == request.query[f] for f in keep)
        ]
        return web.json_response({"releases": found, "total_count": len(found), "has_more": False})

    def _store(self, app: str, fields: dict[str, Any]) -> web.Response:
        if app not in self.apps:
            return _error(404, "APPLICATION_NOT_FOUND", f"no application {app}")
        key = (app, fields["version"], fields["platform"], fields["architecture"])
        if key in self.builds:
            return _error(409, "CONFLICT", "exists already")
        build = {"id": f"rel-{len(self.builds)}", "release_date": NOW, "created_at": NOW, "message": "stored"}
        self.builds[key] = {"release_notes": "", "required": False, **fields, **build}
        return web.json_response(self.builds[key], status=201)

    async def upload(self, request: web.Request) -> web.Response:
        app, fields, data = request.match_info["app"], {}, b""
        async for part in await request.multipart():
            if part.name == "file":
                data = bytes(await part.read())
            else:
                fields[part.name] = await part.text()
        digest = hashlib.sha256(data).hexdigest()
        if fields.pop("checksum", digest) != digest:
            text = {"checksum": "does not fit the file"}
            return _error(422, "VALIDATION_ERROR", "invalid", error="validation_error", errors=text)
        path = f"{fields['version']}/{fields['platform']}/{fields['architecture']}"
        fields["metadata"] = json.loads(fields.get("metadata", "{}"))
        fields["required"] = fields.get("required") == "true"
        url = f"{request.url.origin()}/api/v1/updates/{app}/download/{path}"
        answer = self._store(
            app,
            {
                **fields,
                "checksum": digest,
                "checksum_type": "sha256",
                "file_size": len(data),
                "download_url": url,
            },
        )
        if answer.status == 201:
            self.files[(app, *path.split("/"))] = data
        return answer

    async def register(self, request: web.Request) -> web.Response:
        return self._store(request.match_info["app"], await request.json())

    async def download(self, request: web.Request) -> web.Response:
        m = request.match_info
        data = self.files.get((m["app"], m["version"], m["platform"], m["arch"]))
        if data is None:
            return _error(404, "NOT_FOUND", "no release")
        tag = f'"{hashlib.sha256(data).hexdigest()}"'
        headers = {"ETag": tag, "Content-Disposition": f'attachment; filename="{m["app"]}.bin"'}
        wanted = request.headers.get("Range")
        if wanted is None or request.headers.get("If-Range", tag) != tag:
            return web.Response(body=data, headers=headers)
        start = int(wanted.removeprefix("bytes=").rstrip("-"))
        if start >= len(data):
            return web.Response(status=416, headers={"Content-Range": f"bytes */{len(data)}"})
        headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        return web.Response(status=206, body=data[start:], headers=headers)

    async def status(self, request: web.Request) -> web.Response:
        report = await request.json()
        self.reports[report["report_id"]] = report
        return web.json_response({"recorded": True, "message": "ok"})

    async def delete(self, request: web.Request) -> web.Response:
        key = tuple(request.match_info[k] for k in ("app", "version", "platform", "arch"))
        if self.builds.pop(key, None) is None:
            return _error(404, "NOT_FOUND", "no release")
        return web.json_response({"id": "rel", "message": "deleted"})

    async def applications(self, request: web.Request) -> web.Response:
        found = list(self.apps.values())
        return web.json_response({"applications": found, "total_count": len(found), "has_more": False})

    async def create(self, request: web.Request) -> web.Response:
        app = await request.json()
        if app["id"] in self.apps:
            return _error(409, "CONFLICT", "exists already")
        self.apps[app["id"]] = {"config": {}, "stats": {}, "created_at": NOW, "updated_at": NOW, **app}
        return web.json_response({"id": app["id"], "message": "created", "created_at": NOW}, status=201)

    async def application(self, request: web.Request) -> web.Response:
        app = self.apps.get(request.match_info["app"])
        return web.json_response(app) if app else _error(404, "APPLICATION_NOT_FOUND", "no application")

    async def change(self, request: web.Request) -> web.Response:
        self.apps[request.match_info["app"]].update(await request.json())
        return web.json_response({"id": request.match_info["app"], "message": "ok", "updated_at": NOW})

    async def remove(self, request: web.Request) -> web.Response:
        if self.apps.pop(request.match_info["app"], None) is None:
            return _error(404, "APPLICATION_NOT_FOUND", "no application")
        return web.Response(status=204)
