"""Retention removes nothing that a client could be offered, and nothing that a rule keeps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.actors import TESTER
from updater.catalog.model import ReleaseStatus
from updater.catalog.platforms import Target
from updater.catalog.retention import Candidate, RetentionPolicy, select_removable
from updater.catalog.versions import parse_version

NOW = datetime(2026, 6, 1, tzinfo=UTC)
STATUSES = {True: ReleaseStatus.ACTIVE, False: ReleaseStatus.WITHDRAWN}
LINUX, WINDOWS = Target("linux", "amd64"), Target("windows", "amd64")


def candidate(
    number: int, *, minimum: int | None = None, active: bool = True, age_days: int = 0, pre: bool = False
) -> Candidate:
    version = parse_version(f"1.{number}.0" + ("-rc.1" if pre else ""))
    key = "" if minimum is None else parse_version(f"1.{minimum}.0").sort_key
    return Candidate(number, version, STATUSES[active], True, NOW - timedelta(days=age_days), ((LINUX, key),))


async def retire(service: Any, application_id: str, policy: RetentionPolicy, **more: Any) -> list[str]:
    services = service.services
    removed: list[str] = await services.catalog.retire(
        application_id, policy, services.offers.still_offered, actor=TESTER, **more
    )
    return removed


def gone(candidates: list[Candidate], keep_releases: int | None = None, keep_days: int | None = None) -> list[str]:
    policy = RetentionPolicy(keep_releases, keep_days)
    return [each.version.text for each in select_removable(candidates, (), policy, NOW)]


def test_without_a_rule_everything_stays() -> None:
    assert gone([candidate(number, age_days=9_999) for number in range(9)]) == []


def test_the_newest_stay() -> None:
    assert gone([candidate(number) for number in range(5)], keep_releases=2) == ["1.0.0", "1.1.0", "1.2.0"]


def test_the_young_stay() -> None:
    releases = [candidate(number, age_days=40 - number) for number in range(5)]
    assert gone(releases, keep_days=37) == ["1.0.0", "1.1.0", "1.2.0"]
    assert gone(releases, keep_days=38) == ["1.0.0", "1.1.0"]


def test_with_both_rules_each_keeps_its_own() -> None:
    old_but_newest = [candidate(number, age_days=100) for number in range(4)]
    assert gone(old_but_newest, keep_releases=2, keep_days=10) == ["1.0.0", "1.1.0"]
    assert gone([candidate(number) for number in range(4)], keep_releases=2, keep_days=10) == []


def test_a_stepping_stone_stays() -> None:
    releases = [candidate(0), candidate(1), candidate(2), candidate(3, minimum=2), candidate(4, minimum=3)]
    assert gone(releases, keep_releases=1) == ["1.0.0", "1.1.0"]


def test_the_latest_of_a_forgotten_platform_stays() -> None:
    windows = Candidate(0, parse_version("1.0.0"), ReleaseStatus.ACTIVE, True, NOW, ((WINDOWS, ""),))
    assert gone([windows, candidate(1), candidate(2), candidate(3)], keep_releases=1) == ["1.1.0", "1.2.0"]


def test_deactivated_releases_do_not_count_as_the_newest() -> None:
    releases = [candidate(0), candidate(1), candidate(2), candidate(3, active=False), candidate(4, active=False)]
    assert gone(releases, keep_releases=2) == ["1.0.0"]
    assert gone([candidate(0, active=False), candidate(1)], keep_releases=1) == ["1.0.0"]


def test_nightly_builds_do_not_push_stable_ones_out() -> None:
    releases = [candidate(0), candidate(1), *(candidate(number, pre=True) for number in range(2, 6))]
    assert gone(releases, keep_releases=2) == ["1.2.0-rc.1", "1.3.0-rc.1"]


candidates = st.lists(
    st.tuples(
        st.booleans(),
        st.integers(0, 60),
        st.booleans(),
        st.dictionaries(st.sampled_from((LINUX, WINDOWS)), st.one_of(st.none(), st.integers(0, 14)), min_size=1),
    ),
    max_size=12,
)


@given(candidates, st.sets(st.integers(0, 12)), st.integers(1, 4) | st.none(), st.integers(1, 40) | st.none())
def test_no_client_notices(drawn: list[Any], offered: set[int], releases: int | None, days: int | None) -> None:
    all_of_them = []
    for number, (active, age_days, pre, minimums) in enumerate(drawn):
        version = parse_version(f"1.{number}.0" + ("-rc.1" if pre else ""))
        keys = tuple((t, "" if m is None else parse_version(f"1.{m}.0").sort_key) for t, m in minimums.items())
        all_of_them.append(Candidate(number, version, STATUSES[active], True, NOW - timedelta(days=age_days), keys))
    removed = select_removable(all_of_them, offered, RetentionPolicy(releases, days), NOW)
    left = [each for each in all_of_them if each not in removed]
    assert not offered & {each.release_id for each in removed}
    for target in (LINUX, WINDOWS):
        for prereleases in (False, True):
            assert offer(all_of_them, target, "", prereleases) == offer(left, target, "", prereleases)
            for number in range(-1, 14):
                current = parse_version(f"1.{max(number, 0)}.0" + ("-a" if number < 0 else "")).sort_key
                before = offer(all_of_them, target, current, prereleases)
                assert offer(left, target, current, prereleases) == before


def offer(candidates: list[Candidate], target: Target, current: str, prereleases: bool) -> str | None:
    """Choose by the rules alone, over all builds; without a current version the highest one."""
    best = None
    for each in candidates:
        minimums = dict(each.minimum_keys)
        if (
            each.status is not ReleaseStatus.ACTIVE
            or target not in minimums
            or (each.version.prerelease and not prereleases)
        ):
            continue
        if current and (each.version.sort_key <= current or minimums[target] > current):
            continue
        if best is None or each.version.sort_key > best.version.sort_key:
            best = each
    return best.version.text if best else None


async def publish(service: Any, version: str, **more: Any) -> None:
    await service.publish(f"bytes of {version}".encode(), version, **more)


async def test_releases_go_with_their_bytes_and_checks_answer_as_before(start_service: Any) -> None:
    service = await start_service(retention={"keep_releases": 1})
    await service.application()
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        await publish(service, version)
    await publish(service, "1.3.0", minimum_version="1.2.0")
    await publish(service, "1.4.0", minimum_version="1.2.0")
    artifacts = service.services.artifacts
    policy = RetentionPolicy(keep_releases=1)
    assert await retire(service, "my-app", policy, dry_run=True) == ["1.0.0", "1.1.0", "1.3.0"]
    assert (await service.call("GET", "/api/v1/updates/my-app/releases", key="read"))["total_count"] == 5
    assert await retire(service, "my-app", policy) == ["1.0.0", "1.1.0", "1.3.0"]
    assert await retire(service, "my-app", policy) == []
    asked = {"platform": "linux", "architecture": "amd64"}
    for current, offered in (("1.0.0", "1.2.0"), ("1.2.0", "1.4.0")):
        answer = await service.call("GET", "/api/v1/updates/my-app/check", params={**asked, "current_version": current})
        assert answer["latest_version"] == offered
    assert len([digest async for digest in artifacts.collect(actor=TESTER, grace_s=0)]) == 3
    await service.call("GET", "/api/v1/updates/my-app/download/1.1.0/linux/amd64", status=404)
    await service.exchange("GET", "/api/v1/updates/my-app/download/1.2.0/linux/amd64", status=200)


async def test_what_the_index_offers_for_reasons_of_its_own_stays(service: Any) -> None:
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        await publish(service, version)
    path = "/api/v1/applications/my-app"
    await service.call("PUT", path, key="admin", json={"config": {"max_version": "1.1.0"}}, status=200)
    assert await retire(service, "my-app", RetentionPolicy(keep_releases=1)) == ["1.0.0"]


async def test_unknown_applications_are_not_found(service: Any) -> None:
    from updater.errors import NotFound

    with pytest.raises(NotFound):
        await retire(service, "unknown", RetentionPolicy(keep_releases=1))
