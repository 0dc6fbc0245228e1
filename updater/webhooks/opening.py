"""Build what webhooks need over an open database."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

from updater.access.keys import load_secret
from updater.audit.service import AuditService
from updater.database.engine import Database
from updater.database.waking import Bell
from updater.settings import Settings
from updater.webhooks.delivery import Delivery
from updater.webhooks.facts import FactService
from updater.webhooks.following import Following
from updater.webhooks.sending import Sender
from updater.webhooks.service import WebhookService
from updater.webhooks.store import WebhookStore


def build_webhooks(database: Database, audit: AuditService, settings: Settings) -> WebhookService:
    """Return the service; nothing is delivered before `Delivery.run`. Raises ConfigurationError as `load_secret`."""
    store, installation = WebhookStore(database), load_secret(Path(settings.storage.root) / "secret")
    allowed = [ip_network(each) for each in settings.webhooks.allow_private]
    follow = Following(store, database).follow
    delivery = Delivery(store, Sender(allowed), Bell(database), follow, installation=installation)
    facts = FactService(store, audit, database)
    return WebhookService(store, delivery, facts, audit, database, installation=installation, allowed=allowed)
