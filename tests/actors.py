"""Who makes the changes that tests make without a request."""

from updater.audit.model import Actor, ActorKind
from updater.audit.service import AuditService
from updater.audit.store import AuditStore
from updater.database.engine import Database

TESTER = Actor(ActorKind.OPERATOR, "tester")


def audit_of(database: Database) -> AuditService:
    """Return the audit of a database, for services that tests build themselves."""
    return AuditService(AuditStore(database), database)
