"""What arises by itself, and is told of once."""

from __future__ import annotations

from updater.clock import utc_now
from updater.overview.model import Kind
from updater.services import Services
from updater.webhooks.facts import expiring, failing

_WAIT_S = 5.0


async def tell_facts(services: Services) -> int:
    """Leave a row of the audit for each key that expires soon and each release that fails, once; return how many.

    Raises:
        Unavailable: the database does not answer.
    """
    attention = await services.overview.attention.list_items(is_admin=True, wait_s=_WAIT_S)
    found = [
        failing(each.application, each.version, each.words)
        for each in attention.items
        if each.kind is Kind.RELEASE_FAILING and each.application and each.version
    ]
    return await services.webhooks.facts.tell([*expiring(services.access.keys(), utc_now()), *found])
