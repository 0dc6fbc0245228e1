"""Who makes the changes that tests make without a request."""

from updater.audit.model import Actor, ActorKind

TESTER = Actor(ActorKind.OPERATOR, "tester")
