"""What is worth a warning at the start: settings that work, and that hardly anybody wants as they are. PURE."""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import NamedTuple

from updater.settings import Settings


class Advice(NamedTuple):
    """The setting that should be looked at, as it is written in the settings file, and why."""

    setting: str
    reason: str


def list_advice(settings: Settings, public: Container[str]) -> list[Advice]:
    """Return what is to be told at the start, in the order of the settings file.

    `public` holds the ids of the applications whose clients need no key at `/api/v1`.
    """
    return list(_advise(settings, public))


def _advise(settings: Settings, public: Container[str]) -> Iterator[Advice]:
    jwt = settings.access.jwt
    reads_tokens = jwt.secret is not None or jwt.public_key is not None
    if settings.deployments and reads_tokens and jwt.deploy_claim is None:
        yield Advice("access.jwt.deploy_claim", "every token that is valid may apply updates and roll them back")
    if settings.telemetry.country_header is not None and not settings.server.trusted_proxies:
        yield Advice("telemetry.country_header", "it is never read: server.trusted_proxies names no proxy to believe")
    for index, each in enumerate(settings.desktop):
        if each.application in public:
            yield Advice(
                f"desktop[{index}].application",
                f"{each.application} asks for a key there, and gives the same files without one at /api/v1; "
                f"`updater app update {each.application} --private` closes that",
            )
