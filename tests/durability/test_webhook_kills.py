"""A service that is killed between sending an event and writing down that it was taken.

The same id comes again after the next start, none is missing, and the order holds. Control: a cursor that is written
down before the request loses the event that was on its way.
"""

from __future__ import annotations

import asyncio
import json
import random

from tests.conftest import KEYS
from tests.durability.conftest import Place, Warm
from tests.webhooks.receiving import receiving

KILLS, A_ROUND = 5, 4
SETTINGS = {"webhooks": {"allow_private": ["127.0.0.0/8"]}}


async def test_killed_between_sending_and_the_mark(warm: Warm, place: Place) -> None:
    dice, sent = random.Random(7), 0
    async with receiving() as receiver:
        for kill in range(KILLS):
            server = await asyncio.to_thread(warm.start, place, **SETTINGS)
            if not kill:
                await asyncio.to_thread(server.create_application)
                _, _, body = await asyncio.to_thread(
                    server.call, "POST", "/webhooks", {"url": receiver.url}, key=KEYS["admin"]
                )
                assert "secret" in json.loads(body)
            # One is on its way, or was just answered, when the service is gone.
            receiver.answers = [*[204] * dice.randrange(A_ROUND), "hang" if kill % 2 else 204]
            reached = len(receiver.got) + len(receiver.answers)
            for _ in range(A_ROUND):
                sent += 1
                assert await asyncio.to_thread(server.publish, b"bytes", f"{sent}.0.0") == 201
            await receiver.wait(reached)
            await asyncio.to_thread(server.kill)
            receiver.answers = []
        server = await asyncio.to_thread(warm.start, place, **SETTINGS)
        async with asyncio.timeout(30):
            while len({each.id for each in receiver.got}) < sent:
                await asyncio.sleep(0.05)
        await asyncio.to_thread(server.stop)
    versions = [each.tree["data"]["version"] for each in receiver.got]
    # What comes twice comes twice in a row, under the same id.
    in_a_row = [each for number, each in enumerate(versions) if versions[number - 1 : number] != [each]]
    assert in_a_row == [f"{number}.0.0" for number in range(1, sent + 1)]
    assert len({(each.id, each.tree["data"]["version"]) for each in receiver.got}) == sent
    assert len(versions) > sent, "none was on its way when the service was killed"
