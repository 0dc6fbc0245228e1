"""The pages of webhooks, over plain HTTP: what they show and do is what the REST interface shows and does."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Any

import pytest
from aiohttp import ClientSession
from standardwebhooks import Webhook

import updater.webhooks.schedule as schedule
from tests.conftest import Service
from tests.web.dashboard.payloads import PAYLOADS
from tests.web.dashboard.shop import Desk
from tests.web.people import cookie_of
from tests.webhooks.conftest import delivering  # noqa: F401 - a fixture
from tests.webhooks.happening import happen
from tests.webhooks.receiving import receiving
from updater.audit.model import Filter

SERVER, OWN = "/admin/webhooks/", "/admin/applications/my-app/webhooks/"


@pytest.fixture
async def desk(delivering: Service) -> AsyncIterator[Desk]:  # noqa: F811
    async with ClientSession(headers=await cookie_of(delivering, "admin")) as session:
        yield Desk(delivering.url, session)


async def make(desk: Desk, url: str, place: str = SERVER, **fields: str) -> tuple[str, str]:
    """Make a webhook by its form; return the address of its page, and its secret."""
    page = await desk.send(place, status=201, url=url, **fields)
    found = re.search(rf'class="button" href="({place}[0-9a-f]{{16}}/)"', page)
    secret = re.search(r"<code>(whsec_[^<]+)</code>", page)
    assert found is not None and secret is not None
    return found[1], unescape(secret[1])


async def press(desk: Desk, address: str, verb: str) -> str:
    return await desk.send(address, do=verb)


async def shown(desk: Desk, address: str, text: str) -> str:
    async with asyncio.timeout(20):
        while text not in (page := await desk.get(address)):
            await asyncio.sleep(0.05)
    return page


@pytest.mark.parametrize("place", [SERVER, OWN])
async def test_each_form_leaves_its_row(desk: Desk, delivering: Service, place: str) -> None:  # noqa: F811
    async with receiving() as receiver:
        fields = {"name": "chat", "event-release.published": "yes"}
        address, secret = await make(desk, f"{receiver.url}/hidden-token", place, **fields)
        listed = await desk.get(place)
        assert f'<a href="{address}">chat</a>' in listed and "hidden-token" not in listed
        page = await desk.get(address)
        assert "hidden-token" in page, "who may change it sees its address"
        assert secret not in listed + page
        led = await press(desk, address, "test")
        assert "The test was delivered: answered 204" in await desk.get(led)
        assert Webhook(secret).verify(receiver.got[0].body, receiver.got[0].headers)["type"] == "webhook.test"
        await press(desk, address, "disable")
        await press(desk, address, "enable")
        await press(desk, address, "resume")
        await desk.send(f"{address}replay/", since="2020-01-01")
        again = await desk.send(f"{address}secret/", status=200, overlap_hours="3")
        assert "whsec_" in again and secret not in again and "signs as well until" in again
        assert "two: the one before signs as well until" in await desk.get(address)
        values = await desk.get(address)
        form = dict(re.findall(r'type="hidden" name="([a-z_]+)" value="([^"]+)"', values))
        change = {**form, "do": "change", "url": receiver.url, "name": "room", "form": "slack"}
        await desk.post(address, change)
        assert "Somebody changed this webhook" in await desk.post(address, change, status=409)
        assert await desk.send(f"{address}delete/") == f"{place}?said=webhook-deleted"
        assert "The webhook is deleted." in await desk.get(f"{place}?said=webhook-deleted")
        await desk.get(address, status=404)
    rows, _ = await delivering.services.audit.list_rows(Filter(actions=("webhook.",)))
    application = None if place == SERVER else "my-app"
    verbs = "created tested changed changed replayed replayed secret_rotated changed deleted"
    assert [(each.action, each.actor.kind.value, each.application_id) for each in reversed(rows)] == [
        (f"webhook.{verb}", "user", application) for verb in verbs.split()
    ]
    assert "hidden-token" not in str(rows) and "whsec_" not in str(rows)


async def test_an_outage_is_seen_and_ended(
    desk: Desk,
    delivering: Service,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is retried, then parked; goes on where it stopped; and everything is sent again from a delivery on."""
    monkeypatch.setattr(schedule, "PAUSES_S", (0.05, 30.0))
    async with receiving(500, "reset", 410) as receiver:
        address, _ = await make(desk, receiver.url, name="hook")
        await happen(delivering, 2)
        page = await shown(desk, address, "2 tries so far, the next <time")
        assert "the connection broke; 2 tries" in page and "answered 500" in page
        assert '<span class="badge warn">retrying</span>' in await desk.get(SERVER)
        assert "resume" not in page
        await press(desk, address, "resume")
        page = await shown(desk, address, '<span class="badge bad">parked</span> answered 410, after 1 try')
        overview = await shown(desk, "/admin/dashboard/", "The webhook hook is parked")
        assert f'<a href="{address}">The webhook hook is parked: 127.0.0.1 answered 410</a>' in overview
        await press(desk, address, "resume")
        got = await receiver.wait(5)
        assert [each.tree["data"]["version"] for each in got] == ["0.0.0"] * 4 + ["1.0.0"]
        page = await shown(desk, address, '<span class="badge good">delivering</span> the last event')
        link = re.findall(r'href="([^"]+replay/\?event=[^"]+)"', page)[-1]
        assert f'value="{got[0].id}"' in await desk.get(unescape(link))
        await desk.send(unescape(link).partition("?")[0], event=got[0].id)
        assert [each.id for each in (await receiver.wait(7))[5:]] == [got[0].id, got[4].id]


async def test_what_does_not_fit_is_said_beside_its_field(desk: Desk) -> None:
    for url, words in (("ftp://x", "expected an absolute http or https URL"), ("http://10.0.0.1/", "is not public")):
        page = await desk.send(SERVER, status=422, url=url, name="kept")
        assert words in page and f'value="{url}"' in page and 'value="kept"' in page
    address, _ = await make(desk, "https://hooks.example.com/x")
    for fields in (
        {},
        {"event": "nonsense"},
        {"event": "evt_999999"},
        {"since": "soon"},
        {"event": "1", "since": "2020-01-01"},
    ):
        assert "wrong" in await desk.send(f"{address}replay/", status=422, **fields)
    for hours in ("", "-1", "721", "1.5", "9" * 20):
        assert 'id="overlap_hours-wrong"' in await desk.send(f"{address}secret/", status=422, overlap_hours=hours)
    assert "does not say what to do" in await desk.send(address, status=400, do="")


async def test_pages_of_one_place_know_no_webhook_of_another(desk: Desk) -> None:
    own, _ = await make(desk, "https://hooks.example.com/x", OWN)
    server, _ = await make(desk, "https://hooks.example.com/x")
    for address, other in ((own, SERVER), (server, OWN)):
        webhook_id = address.split("/")[-2]
        assert webhook_id not in await desk.get(other)
        for page in ("", "replay/", "secret/", "delete/"):
            await desk.get(f"{other}{webhook_id}/{page}", status=404)
    await desk.get("/admin/applications/none/webhooks/", status=404)


async def test_they_are_for_administrators(delivering: Service) -> None:  # noqa: F811
    async with ClientSession(headers=await cookie_of(delivering, "staff")) as session:
        staff = Desk(delivering.url, session)
        for place in (SERVER, OWN):
            await staff.get(place, status=403)
        page = await staff.get("/admin/applications/my-app/")
        assert "webhooks/" not in page


async def test_the_address_of_notifications_is_not_changed_here(desk: Desk, delivering: Service) -> None:  # noqa: F811
    body = {"config": {"notification_url": "https://hooks.example.com/own"}}
    await delivering.call("PUT", "/api/v1/applications/my-app", key="admin", json=body, status=200)
    page = await shown(desk, OWN, "notification_url")
    address = re.findall(rf'href="({OWN}[0-9a-f]{{16}}/)"', page)[0]
    page = await desk.get(address)
    assert 'readonly="readonly"' in page and "delete/" not in page
    assert "empty it there" in await desk.send(f"{address}delete/", status=409)


async def test_texts_of_strangers_stay_texts(desk: Desk, delivering: Service) -> None:  # noqa: F811
    """Names that administrators give, and addresses; of what a receiver answers nothing is shown at all."""
    names = [each for each in PAYLOADS if each.isprintable() and len(each.encode()) <= 100][:60]
    for name in names:
        body: dict[str, Any] = {"url": "https://hooks.example.com/'onx=alert(1)?a=1&lt;img", "name": name}
        answer = await delivering.call("POST", "/api/v1/webhooks", key="admin", json=body, status=201)
    page = await desk.get(SERVER)
    one = await desk.get(f"{SERVER}{answer['id']}/")
    for text in (page, one):
        assert not re.search(r"<(script|img|svg|iframe|object|embed|style|base|form action=j)(?![^>]*/admin/)", text)
    async with receiving((500, {"X-Evil": "<script>alert(1)</script>", "Retry-After": "<b>"})) as receiver:
        address, _ = await make(desk, receiver.url)
        led = await press(desk, address, "test")
        assert "The test was not delivered: answered 500." in await desk.get(led)
    await desk.get(f"{address}?tried=<script>")
