"""The addresses of pages that other surfaces and services' words lead to."""

from __future__ import annotations

from urllib.parse import quote

from updater.overview.model import Item, Kind

_OF_DEPLOYMENTS = frozenset({Kind.DEPLOYMENT_BEHIND, Kind.DEPLOYMENT_BROKEN})
_OF_KEYS = frozenset({Kind.KEY_EXPIRES, Kind.KEY_EXPIRED})
_OF_RELEASES = frozenset({Kind.ROLLOUT_HALTED, Kind.RELEASE_FAILING, Kind.FILE_DAMAGED})


def page_of(item: Item) -> str | None:
    """Return the address of the page that helps with an item; None where no page does."""
    if item.kind in _OF_KEYS:
        return "/admin/keys/"
    if item.kind in _OF_DEPLOYMENTS:
        return f"/admin/deployments/{quote(item.subject or '', safe='')}/"
    if item.kind is Kind.WEBHOOK_PARKED and item.application is None:
        return f"/admin/webhooks/{item.subject}/"
    if item.application is None:
        return None
    application = f"/admin/applications/{quote(item.application, safe='')}/"
    if item.kind is Kind.WEBHOOK_PARKED:
        return f"{application}webhooks/{item.subject}/"
    if item.kind in _OF_RELEASES and item.version is not None:
        return f"{application}releases/{quote(item.version, safe='')}/"
    return f"{application}feeds/" if item.kind is Kind.FEED_PASSES_OVER else application
