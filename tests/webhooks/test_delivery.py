"""Events reach a real receiver: in their order, with the same id on each try, signed, whatever the receiver does.

Controls: a cursor that moves before the answer loses what a failing receiver did not take; ids made for each try.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

import updater.webhooks.schedule as schedule
import updater.webhooks.sending as sending
from tests.actors import TESTER
from tests.conftest import Service
from tests.webhooks.happening import happen
from tests.webhooks.receiving import receiving
from updater.audit.model import Entry
from updater.clock import utc_now
from updater.webhooks.facts import expiring

API = "/api/v1"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "PAUSES_S", (0.05,) * 4)


async def make(service: Service, url: str, path: str = f"{API}/webhooks", **more: Any) -> Any:
    return await service.call("POST", path, key="admin", json={"url": url, **more}, status=201)


async def state(service: Service, webhook_id: str, wanted: str) -> Any:
    async with asyncio.timeout(20):
        while (found := await service.call("GET", f"{API}/webhooks/{webhook_id}", key="admin"))["state"] != wanted:
            await asyncio.sleep(0.05)
    return found


async def figure(service: Service, line: bytes) -> None:
    """Wait until the metrics say so; the delivery counts receivers each second."""
    async with asyncio.timeout(20):
        while line not in (await service.exchange("GET", "/metrics", status=200))[1].splitlines():
            await asyncio.sleep(0.05)


async def test_what_a_receiver_gets(delivering: Service) -> None:
    async with receiving() as receiver:
        made = await make(delivering, receiver.url)
        await delivering.publish(version="1.2.3")
        got = (await receiver.wait(1))[0]
        tree = Webhook(made["secret"]).verify(got.body, got.headers)
        assert (tree["type"], tree["data"]["application"], tree["data"]["version"]) == (
            "release.published",
            "my-app",
            "1.2.3",
        )
        with pytest.raises(WebhookVerificationError):
            Webhook(made["secret"]).verify(got.body + b" ", got.headers)
        listed = await delivering.call("GET", f"{API}/webhooks", key="admin")
        assert made["secret"] not in str(listed)


async def test_failures_keep_id_and_order(delivering: Service) -> None:
    """A receiver that answers 500, resets, redirects and dies after 200; what it took is not sent again."""
    async with receiving(500, "reset", 302, "die", 503, 204) as receiver:
        made = await make(delivering, receiver.url)
        await happen(delivering, 5)
        got = await receiver.wait(9)
        await asyncio.sleep(1.2)
        versions = [each.tree["data"]["version"] for each in got]
        assert versions == [f"{each}.0.0" for each in (0, 0, 0, 0, 1, 1, 2, 3, 4)]
        assert len({each.id for each in got[:4]}) == 1 and len({each.id for each in got}) == 5
        tries = (await delivering.call("GET", f"{API}/webhooks/{made['id']}/deliveries", key="admin"))["deliveries"]
        assert [each["error"] for each in reversed(tries)][:4] == [
            "answered 500",
            "the connection broke",
            "answered 302",
            None,
        ]
        assert [each["attempt"] for each in reversed(tries)] == [1, 2, 3, 4, 1, 2, 1, 1, 1]


async def test_what_is_not_answered_in_time_comes_again(delivering: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "TIMEOUT_S", 0.5)
    async with receiving("hang", "hang", 204) as receiver:
        made = await make(delivering, receiver.url)
        await happen(delivering, 2)
        got = await receiver.wait(4)
        assert [each.tree["data"]["version"] for each in got] == ["0.0.0"] * 3 + ["1.0.0"]
        assert len({each.id for each in got[:3]}) == 1
        tries = (await delivering.call("GET", f"{API}/webhooks/{made['id']}/deliveries", key="admin"))["deliveries"]
        assert "did not answer within" in tries[-1]["error"]


async def test_nothing_is_sent_while_it_may_not(start_service: Any) -> None:
    """A process that stood still for longer than its lease holds what it has in hand, until it asked again."""
    service: Service = await start_service(webhooks={"allow_private": ["127.0.0.0/8"]})
    await service.application()
    allowed: list[bool] = []
    async with receiving() as receiver:
        await make(service, receiver.url)
        task = asyncio.create_task(service.services.webhooks.delivery.run(lambda: bool(allowed)))
        await happen(service, 2)
        await asyncio.sleep(1.5)
        assert receiver.got == []
        allowed.append(True)
        await receiver.wait(2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_slow_receiver_delays_nobody(delivering: Service) -> None:
    async with receiving(*["hang"] * 9) as slow, receiving() as quick:
        await make(delivering, slow.url)
        await make(delivering, quick.url)
        await happen(delivering, 20)
        got = await quick.wait(20)
        assert [each.tree["data"]["version"] for each in got] == [f"{each}.0.0" for each in range(20)]
        assert len(slow.got) == 1


async def test_parked_shown_and_replayed(delivering: Service) -> None:
    async with receiving(*[500] * 5) as receiver:
        made = await make(delivering, receiver.url)
        await happen(delivering, 3)
        parked = await state(delivering, made["id"], "parked")
        assert (parked["attempts"], parked["last_error"]) == (5, "answered 500")
        path = f"{API}/webhooks/{made['id']}/replay"
        await delivering.call("POST", path, key="admin", status=200)
        got = await receiver.wait(8)
        assert [each.tree["data"]["version"] for each in got[5:]] == ["0.0.0", "1.0.0", "2.0.0"]
        second = got[6].id
        await delivering.call("POST", path, key="admin", json={"event": second}, status=200)
        again = (await receiver.wait(10))[8:]
        assert [each.id for each in again] == [second, got[7].id]
        for wrong in ("evt_999999", f"{second[:-1]}{'0' if second[-1] != '0' else '1'}", "evt_", "0", "-1", "1_2"):
            await delivering.call("POST", path, key="admin", json={"event": wrong}, status=422)
        await delivering.call("POST", path, key="admin", json={"since": "2999-01-01"}, status=422)
        await delivering.call("POST", path, key="admin", json={"since": "2020-01-01T00:00:00Z"}, status=200)
        assert {each.id for each in (await receiver.wait(13))[10:]} == {each.id for each in got[5:8]}


async def test_410_parks_at_once(delivering: Service) -> None:
    async with receiving(410) as receiver:
        made = await make(delivering, receiver.url)
        await happen(delivering, 1)
        assert (await state(delivering, made["id"], "parked"))["attempts"] == 1
        await figure(delivering, b"updater_webhooks_parked 1.0")
        await figure(delivering, b"updater_webhooks_retried 0.0")


async def test_retry_after(delivering: Service) -> None:
    async with receiving((429, {"Retry-After": "7200"})) as receiver:
        made = await make(delivering, receiver.url)
        await happen(delivering, 1)
        await state(delivering, made["id"], "retrying")
        await figure(delivering, b"updater_webhooks_retried 1.0")
        found = await delivering.services.webhooks.get(made["id"])
        assert found.next_at is not None and timedelta(hours=1.9) < found.next_at - utc_now() < timedelta(hours=2.1)


async def test_two_secrets_while_one_is_exchanged(delivering: Service) -> None:
    async with receiving() as receiver:
        made = await make(delivering, receiver.url)
        path = f"{API}/webhooks/{made['id']}"
        new = await delivering.call("POST", f"{path}/secret", key="admin", status=200)
        tried = await delivering.call("POST", f"{path}/test", key="admin", status=200)
        assert tried["error"] is None
        for secret in (made["secret"], new["secret"]):
            assert Webhook(secret).verify(receiver.got[0].body, receiver.got[0].headers)["type"] == "webhook.test"
        await delivering.call("POST", f"{path}/secret", key="admin", json={"overlap_hours": 0}, status=200)
        await delivering.call("POST", f"{path}/test", key="admin", status=200)
        with pytest.raises(WebhookVerificationError):
            Webhook(new["secret"]).verify(receiver.got[1].body, receiver.got[1].headers)


async def test_an_application_hears_of_itself(delivering: Service) -> None:
    await delivering.application("other")
    async with receiving() as receiver:
        await make(delivering, receiver.url, f"{API}/applications/other/webhooks", events=["release.published"])
        await happen(delivering, 1)
        async with delivering.services.audit._database.write() as connection:
            for action in ("release.withdrawn", "release.published"):
                entry = Entry(action, "other", application_id="other")
                await delivering.services.audit.record(connection, TESTER, entry)
        got = await receiver.wait(1)
        await asyncio.sleep(1.2)
        assert [(each.tree["type"], each.tree["data"]["application"]) for each in got] == [
            ("release.published", "other")
        ]
        assert "actor" not in got[0].tree["data"]


async def test_the_address_of_notifications_is_a_receiver(delivering: Service) -> None:
    """It hears of what came after the change that named it, also when the delivery learns of it later."""
    async with receiving() as receiver:
        path = f"{API}/applications/my-app"
        await happen(delivering, 1)
        body = {"config": {"notification_url": receiver.url}}
        await delivering.call("PUT", path, key="admin", json=body, status=200)
        await happen(delivering, 1, first=7)
        assert (await receiver.wait(1))[0].tree["data"]["version"] == "7.0.0"
        listed = (await delivering.call("GET", f"{path}/webhooks", key="admin"))["webhooks"]
        assert [each["configured"] for each in listed] == [True]
        await delivering.call("DELETE", f"{API}/webhooks/{listed[0]['id']}", key="admin", status=409)
        await delivering.call("PUT", path, key="admin", json={"config": {"notification_url": ""}}, status=200)
        async with asyncio.timeout(20):
            while (await delivering.call("GET", f"{path}/webhooks", key="admin"))["webhooks"]:
                await asyncio.sleep(0.05)


async def test_an_expiring_key_is_told_once(delivering: Service) -> None:
    access = delivering.services.access
    await access.create_key("soon", "read", expires_at=utc_now() + timedelta(days=13), actor=TESTER)
    await access.create_key("later", "read", expires_at=utc_now() + timedelta(days=15), actor=TESTER)
    facts = delivering.services.webhooks.facts
    assert [await facts.tell(expiring(access.keys(), utc_now())) for _ in range(3)] == [1, 0, 0]


async def test_addresses_that_are_not_public_are_refused_at_the_door(start_service: Any) -> None:
    service = await start_service()
    for host in ("127.0.0.1", "0x7f.1", "0", "localhost", "[::ffff:10.0.0.1]"):
        body = {"url": f"http://{host}/x"}
        answer = await service.call("POST", f"{API}/webhooks", key="admin", json=body, status=422)
        assert "allow_private" in str(answer)
