"""Listings of builds and releases, against a naive look at all of them: filters, order, pages.

Controls: the id left out of `order_by`, `sort_key` replaced by the text, `limit` before the filters, a family that
forgets its numbers: each is found.
"""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.actors import TESTER
from tests.builds import FILE, LINUX, publish_bytes
from tests.stored import damage
from updater.catalog.model import Build, BuildQuery, Page, Release, ReleaseFamily, ReleaseStatus
from updater.catalog.platforms import Target
from updater.catalog.requests import PublishRequest
from updater.catalog.versions import parse_version
from updater.errors import Invalid

WINDOWS, ARM = Target("windows", "amd64"), Target("linux", "arm64")
VERSIONS = ("1.2.0", "1.10.0", "1.9.0", "2.0.0-rc.2", "2.0.0-rc.10", "2.0.0", "0.1.0")
TARGETS = (LINUX, WINDOWS, ARM)
FAMILY = ReleaseFamily(frozenset({LINUX, WINDOWS}), numbers=3)
START = datetime(2026, 3, 1, tzinfo=UTC)
EVERYTHING = Page(limit=1000)


@pytest.fixture
async def shelf(service: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a service whose `my-app` has 21 builds, three of each moment; `other` has the first few too."""
    chance = random.Random(11)
    services = service.services
    await service.application("other")
    coordinates = list(itertools.product(VERSIONS, TARGETS))
    chance.shuffle(coordinates)
    for number, (version, target) in enumerate(coordinates):
        now = START + timedelta(minutes=number // 3)
        monkeypatch.setattr(services.publishing._changes, "_clock", lambda now=now: now)
        required = chance.random() < 0.3
        for application_id in ("my-app", "other") if number < 4 else ("my-app",):
            request = PublishRequest(application_id, version, target, f"Notes {number}", required)
            await services.publishing.publish(request, FILE, TESTER)
    await services.releases.withdraw("my-app", "1.9.0", actor=TESTER)
    return service


async def list_builds(service: Any, **asked: Any) -> tuple[list[Build], int]:
    services = service.services
    asked.setdefault("page", EVERYTHING)
    found: tuple[list[Build], int] = await services.catalog.list_builds(
        services.offers.get_application("my-app"), BuildQuery(**asked)
    )
    return found


KEYS = {
    "version": lambda build: build.version.sort_key,
    "release_date": lambda build: build.created_at,
    "created_at": lambda build: build.created_at,
    "platform": lambda build: build.target.platform,
    "architecture": lambda build: build.target.architecture,
}


async def test_every_order_and_filter_as_a_naive_look_would(shelf: Any) -> None:
    every, total = await list_builds(shelf)
    assert total == len(every) == len(VERSIONS) * len(TARGETS)
    assert {each.application_id for each in every} == {"my-app"}
    assert [each.id for each in every] == sorted((each.id for each in every), reverse=True), "newest first unless asked"
    assert BuildQuery().page == Page(50, 0)
    filters: list[dict[str, Any]] = [
        {},
        {"platform": "linux"},
        {"architecture": "amd64"},
        {"platform": "linux", "architecture": "amd64"},
        {"version": "1.9.0"},
        {"version": "2.0.0-rc.10", "platform": "windows"},
        {"required": True},
        {"required": False, "platform": "linux"},
        {"platform": "ios"},
        {"version": "7.0.0"},
    ]
    for (sort_by, key), descending, wanted in itertools.product(KEYS.items(), (False, True), filters):
        fitting = [
            each
            for each in every
            if wanted.get("platform") in (None, each.target.platform)
            and wanted.get("architecture") in (None, each.target.architecture)
            and wanted.get("version") in (None, each.version.text)
            and wanted.get("required") in (None, each.required)
        ]
        fitting.sort(key=lambda build: (key(build), build.id), reverse=descending)
        found = await list_builds(shelf, sort_by=sort_by, descending=descending, **wanted)
        assert found == (fitting, len(fitting)), (sort_by, descending, wanted)


async def test_pages_never_overlap_and_leave_nothing_out(shelf: Any) -> None:
    """Also where many builds are alike in what they are sorted by."""
    for sort_by, descending in itertools.product(KEYS, (False, True)):
        whole, total = await list_builds(shelf, sort_by=sort_by, descending=descending, platform="linux")
        paged = []
        for offset in range(0, total + 4, 4):
            page = Page(limit=4, offset=offset)
            found, count = await list_builds(shelf, sort_by=sort_by, descending=descending, platform="linux", page=page)
            assert count == total
            assert len(found) == max(0, min(4, total - offset))
            paged += found
        assert paged == whole


async def test_a_version_to_filter_by_is_parsed(service: Any) -> None:
    with pytest.raises(Invalid) as caught:
        await list_builds(service, version="1.9")
    assert list(caught.value.fields) == ["version"]
    await service.application("py-app", version_scheme="pep440")
    services = service.services
    await services.publishing.publish(PublishRequest("py-app", "1.0.post1", LINUX), FILE, TESTER)
    application = services.offers.get_application("py-app")
    found, total = await services.catalog.list_builds(application, BuildQuery(version="v1.0-1"))
    assert (total, found[0].version.text) == (1, "1.0.post1")


async def test_a_listing_tells_the_state_of_each_build(service: Any) -> None:
    services = service.services
    good = await publish_bytes(services.publishing, services.artifacts, b"good", "1.0.0")
    bad = await publish_bytes(services.publishing, services.artifacts, b"bad", "1.1.0")
    gone = await publish_bytes(services.publishing, services.artifacts, b"good", "1.2.0")
    await services.releases.withdraw("my-app", "1.2.0", actor=TESTER)
    await damage(service, bad)
    found, _ = await list_builds(service)
    states = {each.id: (each.status, each.quarantined) for each in found}
    assert states == {
        good.id: (ReleaseStatus.ACTIVE, False),
        bad.id: (ReleaseStatus.ACTIVE, True),
        gone.id: (ReleaseStatus.WITHDRAWN, False),
    }


# -- releases of a family


async def list_releases(
    service: Any, page: Page = EVERYTHING, family: ReleaseFamily = FAMILY
) -> tuple[list[Release], int]:
    found: tuple[list[Release], int] = await service.services.catalog.list_releases("my-app", family, page)
    return found


async def test_releases_of_a_family_are_highest_first_whatever_their_status(shelf: Any) -> None:
    releases, total = await list_releases(shelf)
    assert [each.version.text for each in releases] == ["2.0.0", "1.10.0", "1.9.0", "1.2.0", "0.1.0"]
    assert total == 5
    assert {each.version.text for each in releases if each.status is ReleaseStatus.WITHDRAWN} == {"1.9.0"}
    builds, _ = await list_builds(shelf)
    for each in releases:
        mine = sorted(
            (build for build in builds if build.version == each.version and build.target in FAMILY.targets),
            key=lambda build: build.id,
        )
        assert each.builds == {build.target: build for build in mine}
        assert (each.notes, each.created_at) == (mine[0].notes, mine[0].created_at)
        assert each.required == any(build.required for build in mine)


async def test_pages_of_releases(shelf: Any) -> None:
    whole, _ = await list_releases(shelf)
    paged = []
    for offset in range(0, 8, 2):
        found, total = await list_releases(shelf, Page(limit=2, offset=offset))
        assert total == 5
        paged += found
    assert paged == whole


async def test_only_releases_with_a_build_of_the_family_count(service: Any) -> None:
    publishing = service.services.publishing
    for version, target in (("1.0.0", ARM), ("1.1.0", ARM), ("1.1.0", LINUX), ("1.2.0-rc.1", LINUX)):
        await publishing.publish(PublishRequest("my-app", version, target), FILE, TESTER)
    (release,), total = await list_releases(service)
    assert (release.version.text, list(release.builds), total) == ("1.1.0", [LINUX], 1)
    arms, total = await list_releases(service, family=ReleaseFamily(frozenset({ARM}), 3))
    assert ([each.version.text for each in arms], total) == (["1.1.0", "1.0.0"], 2)
    assert await list_releases(service, family=ReleaseFamily(frozenset({LINUX}), 4)) == ([], 0)
    assert await service.services.catalog.list_releases("nope", FAMILY, EVERYTHING) == ([], 0)


async def test_a_release_has_the_highest_minimum_of_its_builds(service: Any) -> None:
    """A client that names no platform must not be led across any platform's gap."""
    publishing = service.services.publishing
    for target, minimum in ((LINUX, "0.9.0"), (WINDOWS, "0.10.0"), (ARM, "0.99.0")):
        request = PublishRequest("my-app", "1.0.0", target, minimum_version=minimum, required=target == ARM)
        await publishing.publish(request, FILE, TESTER)
    (release,), _ = await list_releases(service)
    assert release.minimum is not None
    assert (release.minimum.text, release.minimum.sort_key) == ("0.10.0", parse_version("0.10.0").sort_key)
    assert not release.required, "a build beside the family does not count"
