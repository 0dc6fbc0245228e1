"""What publishers do with releases as a whole and with their rollouts, and why a client gets what it gets.

Answers are the server's documents as they are: its interface describes them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from updater_client.errors import UpdateError
from updater_client.listing import application_path, release_path
from updater_client.model import RolloutPlan, Target
from updater_client.transport import Transport, json_body
from updater_client.words import known_platforms

Json = Mapping[str, Any]


class Rollouts:
    """The calls about channels and rollouts; `client.rollouts` has one.

    Every method raises `UpdateError` or one of its kinds when it fails for good: 401 or 403 without a key of the
    level, 404 for an unknown application or release, or one without a rollout, 409 for a state that does not allow it.
    """

    def __init__(self, transport: Transport, client_id: str | None, channel: str | None) -> None:
        self._transport = transport
        self._client_id = client_id
        self._channel = channel

    async def list_open(self, app_id: str) -> Json:
        """Return `rollouts`: those that are not complete, highest version first. Needs `read`."""
        return await self._transport.call("GET", f"{application_path(app_id)}/rollouts")

    async def get(self, app_id: str, version: str) -> Json:
        """Return the rollout of a release. Needs `read`."""
        return await self._transport.call("GET", f"{release_path(app_id, version)}/rollout")

    async def set_plan(self, app_id: str, version: str, plan: RolloutPlan, *, reason: str | None = None) -> Json:
        """Give a release a plan, whole, and return its rollout. Needs `write`.

        Raises:
            UpdateError: 422 for a plan that does not fit.
        """
        fields: dict[str, Any] = dict(plan) if isinstance(plan, Mapping) else {"percent": plan}
        if reason is not None:
            fields["reason"] = reason
        return await self._transport.call("PUT", f"{release_path(app_id, version)}/rollout", body=json_body(fields))

    async def pause(self, app_id: str, version: str, *, reason: str | None = None) -> Json:
        """Stop offers and stages; return the rollout. Needs `write`."""
        return await self._post(f"{release_path(app_id, version)}/rollout/pause", reason=reason)

    async def resume(
        self,
        app_id: str,
        version: str,
        *,
        accept: bool = False,
        platforms: Collection[str] = (),
        reason: str | None = None,
    ) -> Json:
        """End a pause; with `accept` also lift the halts of `platforms` (none named: all). Needs `write`.

        Returns:
            The rollout.

        Raises:
            UpdateError: 409 when there is nothing to resume, unless an unanswered attempt of this call has done it.
        """
        platforms = known_platforms(platforms)
        fields = {"accept": accept or None, "platforms": platforms or None, "reason": reason}
        try:
            return await self._post(f"{release_path(app_id, version)}/rollout/resume", **fields)
        except UpdateError as error:
            if not error.uncertain or error.status not in (409, 422):
                raise
            found = await self.get(app_id, version)
            halted = {each["platform"] for each in found["platforms"] if each["state"] == "halted"}
            left = halted & set(platforms) if platforms else halted
            if found["state"] == "paused" or (accept and left):
                raise
            return found

    async def advance(self, app_id: str, version: str, *, reason: str | None = None) -> Json:
        """Begin the next stage before its time. Needs `write`. Returns the rollout."""
        stage = (await self.get(app_id, version))["stage"]
        # Named, so that a request that is repeated skips no stage.
        number = 1 if stage is None else stage["number"] + 1
        return await self._post(f"{release_path(app_id, version)}/rollout/advance", stage=number, reason=reason)

    async def complete(self, app_id: str, version: str, *, accept: bool = False, reason: str | None = None) -> Json:
        """Give the release to everybody; with `accept` halted platforms too. Needs `write`. Returns the rollout."""
        return await self._post(
            f"{release_path(app_id, version)}/rollout/complete", accept=accept or None, reason=reason
        )

    async def get_release(self, app_id: str, version: str) -> Json:
        """Return a release, whatever its status, with its builds and its rollout. Needs `read`."""
        return await self._transport.call("GET", release_path(app_id, version))

    async def promote(
        self,
        app_id: str,
        version: str,
        channel: str,
        *,
        rollout: RolloutPlan | None = None,
        reason: str | None = None,
    ) -> Json:
        """Move a release to a more stable channel; with `rollout` it has that plan from then on. Needs `write`.

        Returns:
            The release.

        Raises:
            UpdateError: 409 for a less stable channel, or its own with `rollout`, unless an unanswered attempt of
                this call has moved it there.
        """
        path = f"{release_path(app_id, version)}/promote"
        try:
            return await self._post(path, channel=channel, rollout=as_plan(rollout), reason=reason)
        except UpdateError as error:
            return await self._if_done(app_id, version, error, "channel", channel)

    async def withdraw(self, app_id: str, version: str, *, reason: str | None = None) -> Json:
        """Take a release back, at once and for everybody; return it. Needs `write`."""
        return await self._post(f"{release_path(app_id, version)}/withdraw", reason=reason)

    async def restore(
        self, app_id: str, version: str, *, rollout: RolloutPlan | None = None, reason: str | None = None
    ) -> Json:
        """Offer a withdrawn release again, with `rollout` or with what it had. Needs `admin`.

        Returns:
            The release.

        Raises:
            UpdateError: 409 for an active one with `rollout`, unless an unanswered attempt of this call restored it.
        """
        path = f"{release_path(app_id, version)}/restore"
        try:
            return await self._post(path, rollout=as_plan(rollout), reason=reason)
        except UpdateError as error:
            return await self._if_done(app_id, version, error, "status", "active")

    async def history(self, app_id: str, *, version: str | None = None, limit: int = 50, offset: int = 0) -> Json:
        """Return one page of who changed what, newest first; `version` may be spelt in any way. Needs `read`."""
        query = {"version": version, "limit": limit, "offset": offset}
        return await self._transport.call("GET", f"{application_path(app_id)}/history", query=query)

    async def explain(
        self,
        app_id: str,
        current_version: str,
        target: Target | None = None,
        *,
        allow_prerelease: bool = False,
        manual: bool = False,
        client_id: str | None = None,
        channel: str | None = None,
        address: str | None = None,
    ) -> Json:
        """Return what a client gets, and why; `client_id` and `channel` default to those of this client. Needs `read`.

        `address` stands for the client's address, which counts when there is no id.

        Raises:
            UpdateError: 422 for a value that does not fit.
        """
        target = target or Target.this()
        query = {
            "current_version": current_version,
            "platform": target.platform,
            "architecture": target.architecture,
            "allow_prerelease": allow_prerelease,
            "manual": manual,
            "client_id": self._client_id if client_id is None else client_id,
            "channel": self._channel if channel is None else channel,
            "address": address,
        }
        return await self._transport.call("GET", f"{application_path(app_id)}/explain", query=query)

    async def _post(self, path: str, **fields: Any) -> Json:
        return await self._transport.call("POST", path, body=json_body(fields))

    async def _if_done(self, app_id: str, version: str, error: UpdateError, name: str, wanted: str) -> Json:
        """Return the release when an attempt without an answer has brought it where it should be. Raises `error`."""
        if error.status != 409 or not error.uncertain:
            raise error
        found = await self.get_release(app_id, version)
        if found.get(name) != wanted:
            raise error
        return found


def as_plan(rollout: RolloutPlan | None) -> Json | None:
    """Return a plan as bodies of publish, promote and restore take it."""
    return {"percent": rollout} if isinstance(rollout, int | float) else rollout
