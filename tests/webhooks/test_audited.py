"""Each change of a webhook leaves its row, which holds neither the secret nor more of the address than its host."""

from __future__ import annotations

from tests.conftest import Service
from tests.webhooks.receiving import receiving
from updater.audit.model import Filter

API = "/api/v1"


async def test_rows_of_webhooks(delivering: Service) -> None:
    async with receiving() as receiver:
        body = {"url": f"{receiver.url}/hidden-token"}
        made = await delivering.call("POST", f"{API}/webhooks", key="admin", json=body, status=201)
        own = await delivering.call("POST", f"{API}/applications/my-app/webhooks", key="admin", json=body, status=201)
        path = f"{API}/webhooks/{made['id']}"
        await delivering.call("PATCH", path, key="admin", json={"name": "chat", "form": "slack"}, status=200)
        for verb in ("test", "replay", "secret"):
            await delivering.call("POST", f"{path}/{verb}", key="admin", status=200)
        await delivering.call("DELETE", path, key="admin", status=204)
        await delivering.call("DELETE", path, key="admin", status=404)
    rows, _ = await delivering.services.audit.list_rows(Filter(actions=("webhook.",)))
    assert [(each.action, each.actor.name, each.application_id) for each in reversed(rows)] == [
        ("webhook.created", "admin key", None),
        ("webhook.created", "admin key", "my-app"),
        ("webhook.changed", "admin key", None),
        ("webhook.tested", "admin key", None),
        ("webhook.replayed", "admin key", None),
        ("webhook.secret_rotated", "admin key", None),
        ("webhook.deleted", "admin key", None),
    ]
    assert not any(text in str(rows) for text in ("hidden-token", "whsec_", own["secret"]))


async def test_a_key_of_one_application_sees_its_own(delivering: Service) -> None:
    body = {"url": "https://hooks.example.com/x", "enabled": False}
    server = await delivering.call("POST", f"{API}/webhooks", key="admin", json=body, status=201)
    own = await delivering.call("POST", f"{API}/applications/my-app/webhooks", key="admin", json=body, status=201)
    from tests.actors import TESTER

    _, key = await delivering.services.access.create_key("own", "admin", application="my-app", actor=TESTER)
    await delivering.call("GET", f"{API}/webhooks/{own['id']}", key=key, status=200)
    await delivering.call("GET", f"{API}/webhooks/{server['id']}", key=key, status=404)
    await delivering.call("POST", f"{API}/webhooks/{server['id']}/test", key=key, status=404)
