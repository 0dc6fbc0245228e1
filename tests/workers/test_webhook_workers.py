"""Webhooks of several workers on one PostgreSQL: the one that delivers is killed, and another goes on."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from tests.conftest import KEYS
from tests.servers.postgres import Postgres, name_of
from tests.webhooks.receiving import receiving
from tests.workers.processes import Started, serving

TAKEN_OVER_S = 15.0
A_ROUND = 8


def release(started: Started, version: str) -> None:
    body = {"application_id": "my-app", "version": version, "platform": "linux", "architecture": "amd64"}
    body |= {
        "download_url": f"https://releases.example.com/{version}",
        "checksum": "ab" * 32,
        "checksum_type": "sha256",
    }
    started.call("POST", "/api/v1/updates/my-app/register", body)


@pytest.mark.parametrize("kills", [1, pytest.param(4, marks=pytest.mark.long)])
async def test_another_worker_delivers_when_the_one_that_did_is_killed(
    postgres: Postgres, tmp_path: Path, kills: int
) -> None:
    """It begins with the event that was on its way: the same id, none missing, in order, signed with the same secret.

    Control: without the lease both workers deliver, and events come twice and out of order.
    """
    url = postgres.create_migrated()
    sections: dict[str, Any] = {
        "storage": {"root": str(tmp_path / "data"), "database_url": url},
        "server": {"workers": 2},
        "webhooks": {"allow_private": ["127.0.0.0/8"]},
    }
    async with receiving() as receiver:
        with serving(tmp_path / "data", **sections) as started:
            body = {"id": "my-app", "name": "My App", "platforms": ["linux"]}
            await asyncio.to_thread(started.call, "POST", "/api/v1/applications", body)
            said = await asyncio.to_thread(started.call, "POST", "/api/v1/webhooks", {"url": receiver.url}, "admin")
            secret, sent, took = json.loads(said)["secret"], 0, []
            await asyncio.sleep(1.5)  # each worker knows the application
            for kill in range(kills):
                # The last of the round is on its way when its sender is gone.
                receiver.answers = [*[204] * (A_ROUND - 1), "hang"] if kill % 2 == 0 else []
                reached = len(receiver.got) + A_ROUND
                for _ in range(A_ROUND):
                    sent += 1
                    await asyncio.to_thread(release, started, f"{sent}.0.0")
                await receiver.wait(reached)
                ((holder,),) = postgres.ask(name_of(url), "SELECT holder FROM lease WHERE name = 'webhooks'")
                pid = int(holder.rpartition(":")[2])
                assert pid in started.workers().values()
                os.kill(pid, signal.SIGKILL)
                killed_s, heard = time.monotonic(), len(receiver.got)
                if kill % 2:
                    await asyncio.sleep(0.5)
                    await asyncio.to_thread(release, started, f"{sent + 1}.0.0")
                    sent += 1
                async with asyncio.timeout(TAKEN_OVER_S):
                    while len(receiver.got) == heard:
                        await asyncio.sleep(0.05)
                took.append(time.monotonic() - killed_s)
            async with asyncio.timeout(20):
                while len({each.id for each in receiver.got}) < sent:
                    await asyncio.sleep(0.05)
            await asyncio.sleep(1.2)
    print(f"the next event came {', '.join(f'{each:.1f} s' for each in took)} after the kill")
    versions = [each.tree["data"]["version"] for each in receiver.got]
    in_a_row = [each for number, each in enumerate(versions) if versions[number - 1 : number] != [each]]
    assert in_a_row == [f"{number}.0.0" for number in range(1, sent + 1)]
    assert len({(each.id, each.tree["data"]["version"]) for each in receiver.got}) == sent
    assert sent < len(versions) <= sent + kills, "what was on its way comes once more, and nothing else"
    for each in receiver.got:
        assert Webhook(secret).verify(each.body, each.headers)
    assert KEYS["admin"] not in str(receiver.got)
