"""The blocking client: each call is the asynchronous one, waited for. Signatures are taken from there, not copied."""

from __future__ import annotations

import ssl
from types import TracebackType

from updater_client.blocking import Facade, Runner, blocking, told_where_it_waits
from updater_client.client import UpdateClient
from updater_client.folders import Folders
from updater_client.releases import Releases
from updater_client.retry import RetryPolicy, Waiting
from updater_client.rollouts import Rollouts
from updater_client.transport import SILENCE_S
from updater_client.webhooks import Webhooks


class SyncReleases(Facade[Releases]):
    """The calls about files of builds, drafts and feeds, blocking; `client.releases` has one."""

    list_builds = blocking(Releases.list_builds)
    add_build = blocking(Releases.add_build)
    add_file = blocking(Releases.add_file)
    sign = blocking(Releases.sign)
    publish = blocking(Releases.publish)
    delete = blocking(Releases.delete)
    delete_file = blocking(Releases.delete_file)
    list_feeds = blocking(Releases.list_feeds)


class SyncRollouts(Facade[Rollouts]):
    """The calls about channels and rollouts, blocking; `client.rollouts` has one."""

    list_open = blocking(Rollouts.list_open)
    get = blocking(Rollouts.get)
    set_plan = blocking(Rollouts.set_plan)
    pause = blocking(Rollouts.pause)
    resume = blocking(Rollouts.resume)
    advance = blocking(Rollouts.advance)
    complete = blocking(Rollouts.complete)
    get_release = blocking(Rollouts.get_release)
    promote = blocking(Rollouts.promote)
    withdraw = blocking(Rollouts.withdraw)
    restore = blocking(Rollouts.restore)
    history = blocking(Rollouts.history)
    explain = blocking(Rollouts.explain)


class SyncWebhooks(Facade[Webhooks]):
    """The calls about webhooks, blocking; `client.webhooks` has one."""

    list_all = blocking(Webhooks.list_all)
    create = blocking(Webhooks.create)
    test = blocking(Webhooks.test)
    replay = blocking(Webhooks.replay)
    delete = blocking(Webhooks.delete)


class SyncFolders(Facade[Folders]):
    """The calls about folders that build tools leave, blocking; `client.folders` has one."""

    read = blocking(Folders.read)
    send = blocking(Folders.send)
    publish = blocking(Folders.publish)


class SyncUpdateClient(Facade[UpdateClient]):
    """`UpdateClient` for code without an event loop: the same calls with the same arguments, each waited for.

        with SyncUpdateClient("https://updates.example.com", client_id=client_id) as client:
            result = client.check("my-app", "2.0.0")

    Use it in a `with` block, or call `close` when done; a call after that is a RuntimeError. Several threads may share
    it. In a desktop application call it in a thread beside the one of the windows, since each call waits.

    `progress`, `watch` and `waiting` are called in the thread that made the call, and values that come faster than they
    return are left out, never the last. An exception raised in one, or Ctrl-C, stops the transfer and comes out of the
    call; what a fetch has received stays for the next time.
    """

    def __init__(
        self,
        server: str,
        key: str | None = None,
        client_id: str | None = None,
        channel: str | None = None,
        *,
        retry: RetryPolicy | None = None,
        proxy: str | None = None,
        waiting: Waiting | None = None,
        timeout_s: float = SILENCE_S,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        client = UpdateClient(
            server,
            key,
            client_id,
            channel,
            retry=retry,
            proxy=proxy,
            waiting=None if waiting is None else told_where_it_waits(waiting),
            timeout_s=timeout_s,
            ssl_context=ssl_context,
        )
        super().__init__(Runner(client), client)
        self.rollouts = SyncRollouts(self._runner, client.rollouts)
        self.webhooks = SyncWebhooks(self._runner, client.webhooks)
        self.releases = SyncReleases(self._runner, client.releases)
        self.folders = SyncFolders(self._runner, client.folders)

    def __enter__(self) -> SyncUpdateClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections, and end calls that other threads wait for. May be called again."""
        self._runner.close()

    check = blocking(UpdateClient.check)
    latest = blocking(UpdateClient.latest)
    fetch = blocking(UpdateClient.fetch)
    find_file_name = blocking(UpdateClient.find_file_name)
    report = blocking(UpdateClient.report)
    publish = blocking(UpdateClient.publish)
    register = blocking(UpdateClient.register)
    get_release = blocking(UpdateClient.get_release)
    list_releases = blocking(UpdateClient.list_releases)
    delete_release = blocking(UpdateClient.delete_release)
    list_applications = blocking(UpdateClient.list_applications)
    get_application = blocking(UpdateClient.get_application)
    get_figures = blocking(UpdateClient.get_figures)
    create_application = blocking(UpdateClient.create_application)
    update_application = blocking(UpdateClient.update_application)
    delete_application = blocking(UpdateClient.delete_application)
    create_unless_there = blocking(UpdateClient.create_unless_there)
