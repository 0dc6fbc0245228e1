"""A data folder as a team has it after two months: made by the services themselves, before anybody serves it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aiohttp import ClientSession

from tests.actors import TESTER
from tests.conftest import KEYS, settings_tree
from tests.deployments.site import Site
from tests.web.people import PASSWORD
from updater.catalog.platforms import Target
from updater.clock import utc_now
from updater.composition import open_services
from updater.config import load
from updater.processes.folder import claim_folder
from updater.services import Services
from updater.telemetry.model import ClientFacts, Report
from updater.telemetry.rollups import Tally
from updater.webhooks.model import Try
from updater.webhooks.service import new_receiver

PERSON = "maria"
LONG = "a-name-that-somebody-made-as-long-as-it-may-be-" * 4
NOTES = "## What is new\n\n- Opens files **twice** as fast\n- Mends a crash when the network is gone\n"
TARGETS = (Target("windows", "amd64"), Target("darwin", "arm64"), Target("linux", "amd64"))
_NAMES = {"windows": "Setup.exe", "darwin": "mac.zip", "linux": "x86_64.AppImage"}
_COUNTRIES = (("DE", 31), ("US", 27), ("FR", 14), ("BR", 9), ("JP", 6))
_DAYS = 60
_PLAN = json.dumps({"stages": [{"percent": 10, "for_s": 86_400}, {"percent": 50, "for_s": 86_400}, {"percent": 100}]})


@dataclass(frozen=True)
class Scene:
    """What a folder holds: applications with so many releases, in this order; none is an empty server."""

    name: str
    applications: Sequence[tuple[str, int]] = ()
    site: bool = False


SCENES = {
    each.name: each
    for each in (
        Scene("one", [("paintbox", 9)], site=True),
        Scene("few", [("paintbox", 9), ("notebook", 6), ("soundboard", 5)], site=True),
        Scene("many", [("paintbox", 9), *((f"tool-{number:02}", 2) for number in range(1, 40))], site=True),
        Scene("empty"),
        Scene("long", [(LONG[:100], 4)]),
    )
}


@contextmanager
def deployed(folder: Path, scene: Scene) -> Iterator[Site | None]:
    """Run the site that a scene looks after, for the block; None where it looks after none."""
    if not scene.site:
        yield None
        return
    site = Site(folder)
    site.start()
    yield site
    site.stop()


def environment_of(folder: Path, site: Site | None) -> dict[str, str]:
    """Return the settings of a scene, as variables of the environment."""
    return settings_tree(folder / "storage", **({} if site is None else {"deployments": [site.record()]}))


async def fill(scene: Scene, environment: dict[str, str]) -> None:
    """Make a data folder and what is in it: people, releases, a rollout, and the reports of two months."""
    settings = load(None, environment)
    with claim_folder(settings.storage):
        async with open_services(settings) as services:
            await services.people.create_user(PERSON, "admin", PASSWORD, actor=TESTER)
            await services.access.create_first_key()
            await services.access.create_key("build machine", "write", actor=TESTER)
            soon = utc_now() + timedelta(days=6)
            await services.access.create_key("old build machine", "write", expires_at=soon, actor=TESTER)
            await _webhooks(services, None, is_long=scene.name == "long")
            for application_id, releases in scene.applications:
                await _application(services, application_id, releases, is_long=scene.name == "long")


async def _application(services: Services, application_id: str, releases: int, *, is_long: bool) -> None:
    name = LONG[:180] if is_long else application_id.replace("-", " ").title()
    platforms = ("windows", "darwin", "linux")
    await services.catalog.create_application(
        application_id, name=name, platforms=platforms, extra={"channels": ("stable", "beta")}, actor=TESTER
    )
    await _webhooks(services, application_id, is_long=is_long)
    versions = versions_of(releases, is_long=is_long)
    await _reports(services, application_id, versions, now=utc_now())


async def _webhooks(services: Services, application_id: str | None, *, is_long: bool) -> None:
    """One webhook that is delivered to, one that is tried again, one that is parked; nothing is sent to them."""
    now, store = utc_now(), services.webhooks._store
    states: tuple[tuple[str, dict[str, Any]], ...] = (
        ("room", {"last_delivered_at": now - timedelta(hours=3), "old_until": now + timedelta(hours=20)}),
        ("build machine", {"attempts": 3, "next_at": now + timedelta(hours=2), "last_error": "answered 503"}),
        ("archive", {"attempts": 10, "parked": True, "last_error": "did not answer within 20 s"}),
    )
    for name, values in states:
        given = {"url": f"https://hooks.slack.com/services/T0123/B4567/{'x' * (1_900 if is_long else 24)}"}
        given |= {"name": LONG[:100] if is_long else name, "events": ("backup.failed", "blob.damaged")}
        made = replace(new_receiver(application_id, given, 0, now - timedelta(days=40)), **values)
        made = replace(made, id=webhook_of(application_id, name))
        async with store._database.write() as connection:
            await store.insert(connection, made)
            for attempt, error in ((1, "answered 503"), (2, "the connection broke"), (3, None)):
                status = {1: 503, 2: None, 3: 200}[attempt]
                at = now - timedelta(hours=6 - attempt)
                tried = Try("evt_812_0123456789ab", "rollout.advanced", attempt, at, 240, status, error)
                await store.add_try(connection, made.id, tried)


def webhook_of(application_id: str | None, name: str = "room") -> str:
    """Return the id of a webhook of an application, or of the server."""
    return hashlib.sha256(f"{application_id} {name}".encode()).hexdigest()[:16]


def versions_of(releases: int, *, is_long: bool) -> list[str]:
    """Return the versions of an application, oldest first."""
    return [_version(number, is_long=is_long) for number in range(releases)]


async def publish(url: str, scene: Scene) -> None:
    """Publish all releases of a scene through the interface, as a build machine does; the newest goes out in stages."""
    headers = {"Authorization": f"Bearer {KEYS['admin']}"}
    async with ClientSession(url, headers=headers, raise_for_status=True) as session:
        for application_id, releases in scene.applications:
            versions = versions_of(releases, is_long=scene.name == "long")
            for number, version in enumerate(versions):
                for target in TARGETS:
                    query = {"release_notes": NOTES}
                    if number == releases - 2:
                        query["channel"] = "beta"
                    if number == releases - 1 and releases > 3:
                        query["rollout"] = _PLAN
                    await _publish(session, application_id, version, target, query)
            if releases > 3:
                path = f"/api/v1/updates/{application_id}/releases/{quote(versions[1])}/withdraw"
                async with session.post(path, json={"reason": "It loses settings"}):
                    pass


async def deploy(url: str, site: Site) -> str:
    """Bring the site to a second version, and let a third one come in; return the name of the run."""
    site.push("two", "Import drawings of the older format")
    headers = {"Authorization": f"Bearer {KEYS['admin']}"}
    async with ClientSession(f"{url}/api/v1/deployments/web/", headers=headers, raise_for_status=True) as session:
        async with session.post("update") as answer:
            run: str = (await answer.json())["run"]
        outcome = "running"
        while outcome == "running":
            await asyncio.sleep(0.2)
            async with session.get(f"runs/{run}") as answer:
                outcome = (await answer.json())["outcome"]
        assert outcome == "succeeded", outcome
        site.push("three", "Show progress while a large drawing opens")
        async with session.post("check"):
            pass
    return run


async def _publish(
    session: ClientSession, application_id: str, version: str, target: Target, query: dict[str, str]
) -> None:
    content = f"{application_id} {version} {target}".encode() * 3_000
    name = f"{application_id[:40]}-{version}"[:150] + f"-{_NAMES[target.platform]}"
    path = f"/api/v1/updates/{application_id}/builds/{quote(version)}/{target.platform}/{target.architecture}"
    async with session.put(path, data=content, params={"file_name": name, **query}):
        pass


def _version(number: int, *, is_long: bool) -> str:
    text = f"2.{number // 3}.{number % 3}"
    return f"{text}+{LONG[:80]}" if is_long else text


async def _reports(services: Services, application_id: str, versions: Sequence[str], *, now: datetime) -> None:
    """Two months of installs: each version spreads over some days, and some of them fail."""
    dice = random.Random(application_id)
    store = services.telemetry._store
    for day in range(_DAYS):
        at = now - timedelta(days=_DAYS - 1 - day, minutes=dice.randrange(600))
        reached = min(len(versions), 1 + len(versions) * day // _DAYS)
        reports, tally = [], Tally()
        for number in range(max(0, reached - 3), reached):
            share = (0.55, 0.3, 0.15)[reached - 1 - number]
            for installed in range(int(share * (20 + day // 2))):
                target = TARGETS[(installed + day) % 3]
                failed = dice.random() < 0.04
                reports.append(_report(application_id, versions, number, target, at, failed=failed))
            for target in TARGETS:
                facts = ClientFacts(application_id, versions[number], f"{target.platform}/{target.architecture}")
                tally.add_checks(facts, at, int(share * (300 + 20 * day)))
        for country, amount in _COUNTRIES:
            tally.add_country(application_id, country, at, amount * (5 + day))
        await store.write(reports)
        await store.add_counts(tally)


def _report(
    application_id: str, versions: Sequence[str], number: int, target: Target, at: datetime, *, failed: bool
) -> Report:
    return Report(
        application_id=application_id,
        current_version=versions[max(0, number - 1)],
        target_version=versions[number],
        platform=target.platform,
        architecture=target.architecture,
        status="failed" if failed else "completed",
        received_at=at,
        error_message="The installer could not write to C:\\Program Files: access is denied" if failed else None,
        install_time_seconds=8 + number % 5 * 3,
    )
