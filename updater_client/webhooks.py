"""What administrators do with webhooks.

Answers are the server's documents as they are: its interface describes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from updater_client.transport import Transport, json_body, segment

Json = Mapping[str, Any]


class Webhooks:
    """The calls about webhooks; `client.webhooks` has one. All need `admin`.

    Every method raises `UpdateError` or one of its kinds when it fails for good: 401 or 403 without such a key, 404 for
    an unknown application or webhook, 422 for what does not fit.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def list_all(self, app_id: str | None = None) -> Json:
        """Return `webhooks` of an application; None: of the whole server."""
        return await self._transport.call("GET", _all(app_id))

    async def create(self, app_id: str | None, fields: Json) -> Json:
        """Add a webhook of what happens from now on; the answer has its `secret`, this once."""
        return await self._transport.call("POST", _all(app_id), body=json_body(fields))

    async def test(self, webhook_id: str) -> Json:
        """Send one event now; return how it went."""
        return await self._transport.call("POST", f"{_one(webhook_id)}/test")

    async def replay(self, webhook_id: str, *, event: str | None = None, since: str | None = None) -> Json:
        """Send everything again from an event or a time on, or go on where it is parked; return the webhook."""
        fields = {name: value for name, value in (("event", event), ("since", since)) if value is not None}
        return await self._transport.call("POST", f"{_one(webhook_id)}/replay", body=json_body(fields))

    async def delete(self, webhook_id: str) -> None:
        """Delete a webhook."""
        await self._transport.call("DELETE", _one(webhook_id))


def _all(app_id: str | None) -> str:
    return "/webhooks" if app_id is None else f"/applications/{segment('app_id', app_id)}/webhooks"


def _one(webhook_id: str) -> str:
    return f"/webhooks/{segment('webhook_id', webhook_id)}"
