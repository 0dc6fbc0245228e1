"""Builds deleted, releases withdrawn and retired: what goes, what stays, and the audit of it.

Controls: `delete_build` that leaves its release, a second row for a second withdrawal, a dry run that removes, a
decision that is not repeated in the transaction that removes: each is found. What stays beside a rollout is kept by
`stepping_stones` and by what is still offered; the pure tests find each alone.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import pytest

from tests.actors import TESTER
from tests.builds import LINUX, publish_bytes, register
from tests.stored import everything, last_row, rows_since, set_release, settle, told
from updater.audit.model import RETENTION
from updater.catalog.model import Build
from updater.catalog.platforms import Target
from updater.catalog.retention import RetentionPolicy
from updater.catalog.versions import parse_version
from updater.errors import Invalid, NotFound
from updater.offers.decision import Offer, UpdateQuery

WINDOWS = Target("windows", "amd64")
KEEP_ONE = RetentionPolicy(keep_releases=1)


async def hosted(service: Any, version: str, target: Target = LINUX) -> Build:
    services = service.services
    return await publish_bytes(services.publishing, services.artifacts, version.encode(), version, target=target)


async def delete(service: Any, version: str, target: Target = LINUX) -> Build:
    build: Build = await service.services.catalog.delete_build("my-app", version, target, actor=TESTER)
    return build


async def withdraw(service: Any, version: str) -> None:
    await service.services.releases.withdraw("my-app", version, actor=TESTER)


async def retire(service: Any, policy: RetentionPolicy = KEEP_ONE, **more: Any) -> list[str]:
    services = service.services
    gone: list[str] = await services.catalog.retire(
        "my-app", policy, services.offers.still_offered, actor=RETENTION, **more
    )
    return gone


async def versions(service: Any) -> list[str]:
    return sorted(each["version"] for each in (await everything(service))["release"])


def offer(service: Any, current: str, cohort: frozenset[int] = frozenset()) -> str | None:
    query = UpdateQuery(parse_version(current), LINUX, allow_prerelease=True)
    decided = service.services.offers.check("my-app", query, cohort)
    return decided.build.version.text if isinstance(decided, Offer) else None


async def refused(service: Any, work: Awaitable[Any], error: type[Exception]) -> Any:
    """Await work that is refused; nothing stored differs afterwards. Return the failure."""
    before = await everything(service)
    with pytest.raises(error) as caught:
        await work
    assert await everything(service) == before
    return caught.value


# -- deletion


async def test_a_release_goes_with_its_last_build(service: Any) -> None:
    first, second = await hosted(service, "1.0.0"), await register(service.services.publishing, "1.0.0", WINDOWS)
    older = await hosted(service, "0.9.0")
    last = await last_row(service)
    assert await delete(service, "1.0.0") == first
    assert (await versions(service), offer(service, "0.1.0")) == (["0.9.0", "1.0.0"], "0.9.0")
    (row,) = await rows_since(service, last)
    described = {"platform": "linux", "architecture": "amd64", "checksum": first.checksum.value}
    assert told(row) == ("build.deleted", "my-app 1.0.0 linux/amd64", described, None)
    last = row.id
    assert await delete(service, "1.0.0", WINDOWS) == second
    assert await versions(service) == ["0.9.0"]
    rows = await rows_since(service, last)
    assert [each.action for each in rows] == ["build.deleted", "release.deleted"]
    assert told(rows[1]) == ("release.deleted", "my-app 1.0.0", {"channel": "stable", "status": "active"}, None)
    assert {(each.actor, each.application_id, each.version) for each in rows} == {(TESTER, "my-app", "1.0.0")}
    left = await everything(service)
    assert [each["id"] for each in left["build"]] == [older.id]
    assert len(left["file"]) == 1, "its file goes with a build"
    assert len(left["pinned_digest"]) == 4, "each address stays bound to its bytes"
    assert len(left["blobs"]) == 2, "the bytes stay for the next collection"


async def test_what_is_not_there_cannot_be_deleted(service: Any) -> None:
    await hosted(service, "1.0.0")
    assert (await refused(service, delete(service, "1.0.0", WINDOWS), NotFound)).kind == "release"
    assert (await refused(service, delete(service, "1.0.1"), NotFound)).kind == "release"
    assert list((await refused(service, delete(service, "1.0"), Invalid)).fields) == ["version"]
    await delete(service, "1.0.0")
    await refused(service, delete(service, "1.0.0"), NotFound)


async def test_a_version_of_another_spelling_is_found(service: Any) -> None:
    """PEP 440 has many spellings of one version."""
    await service.application("py-app", version_scheme="pep440")
    services = service.services
    for version in ("1.0.post1", "1.1rc1"):
        await register(services.publishing, version, application_id="py-app")
    await services.releases.withdraw("py-app", "v1.1-RC.1", actor=TESTER)
    made = await services.catalog.delete_build("py-app", "1.0-1", LINUX, actor=TESTER)
    assert made.version.text == "1.0.post1"
    *_, withdrawn, _, _ = await rows_since(service, 0)
    assert told(withdrawn)[:2] == ("release.withdrawn", "py-app 1.1rc1")


# -- withdrawal


async def test_a_withdrawn_release_is_not_offered_and_keeps_what_it_has(service: Any) -> None:
    for version in ("1.0.0", "1.1.0"):
        await hosted(service, version)
        await register(service.services.publishing, version, WINDOWS)
    before, last = await everything(service), await last_row(service)
    await withdraw(service, "1.1.0")
    assert offer(service, "0.1.0") == "1.0.0"
    (row,) = await rows_since(service, last)
    assert told(row) == ("release.withdrawn", "my-app 1.1.0", {"status": "active"}, {"status": "withdrawn"})
    after = await everything(service)
    for table in ("build", "file", "blob", "pinned_digest", "blobs"):
        assert after[table] == before[table]


async def test_a_withdrawn_release_stays_as_it_is(service: Any) -> None:
    await hosted(service, "1.0.0")
    await withdraw(service, "1.0.0")
    before = await everything(service)
    await withdraw(service, "1.0.0")
    assert await everything(service) == before
    last = await last_row(service)
    await delete(service, "1.0.0")
    *_, row = await rows_since(service, last)
    assert told(row) == ("release.deleted", "my-app 1.0.0", {"channel": "stable", "status": "withdrawn"}, None)


async def test_what_is_not_there_cannot_be_withdrawn(service: Any) -> None:
    await hosted(service, "1.0.0")
    assert (await refused(service, withdraw(service, "1.0.1"), NotFound)).kind == "release"
    assert list((await refused(service, withdraw(service, "one"), Invalid)).fields) == ["version"]


# -- retention


async def test_a_dry_run_says_what_would_go_and_changes_nothing(service: Any) -> None:
    for version in ("1.0.0", "1.2.0", "1.10.0", "1.3.0"):
        await hosted(service, version)
    await settle(service)
    before = await everything(service)
    present = service.services.offers.present("my-app")
    assert await retire(service, dry_run=True) == ["1.0.0", "1.2.0", "1.3.0"]
    assert await everything(service) == before
    assert service.services.offers.present("my-app") is present
    assert await retire(service) == ["1.0.0", "1.2.0", "1.3.0"]
    assert await versions(service) == ["1.10.0"]


async def test_each_release_that_goes_is_in_the_audit(service: Any) -> None:
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        await hosted(service, version)
        await register(service.services.publishing, version, WINDOWS)
    await withdraw(service, "1.1.0")
    before, last = await everything(service), await last_row(service)
    assert await retire(service) == ["1.0.0", "1.1.0"]
    rows = await rows_since(service, last)
    assert [told(each)[:3] for each in rows] == [
        ("release.deleted", "my-app 1.0.0", {"channel": "stable", "status": "active"}),
        ("release.deleted", "my-app 1.1.0", {"channel": "stable", "status": "withdrawn"}),
    ]
    assert {(each.actor, each.application_id) for each in rows} == {(RETENTION, "my-app")}
    after = await everything(service)
    assert (len(after["build"]), len(after["file"])) == (2, 1)
    assert (after["pinned_digest"], after["blobs"]) == (before["pinned_digest"], before["blobs"])
    assert await retire(service) == []
    assert await last_row(service) == rows[-1].id, "nothing went, so nothing is told"


async def test_without_a_rule_nothing_goes(service: Any) -> None:
    for version in ("1.0.0", "1.1.0"):
        await hosted(service, version)
    assert await retire(service, RetentionPolicy()) == []
    assert await versions(service) == ["1.0.0", "1.1.0"]


@pytest.mark.parametrize("keep", [0, 1, 2])
async def test_what_other_clients_get_beside_a_rollout_stays(service: Any, keep: int) -> None:
    """1.4.0 is for some clients: it stays, and 1.3.0, the last good release for all others. What is below goes."""
    made = {version: await hosted(service, version) for version in ("1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0")}
    await set_release(service, made["1.4.0"], complete=False)
    cohort = frozenset({made["1.4.0"].release_id})
    assert await retire(service, RetentionPolicy(keep_releases=keep)) == ["1.0.0", "1.1.0", "1.2.0"]
    assert (offer(service, "0.1.0"), offer(service, "0.1.0", cohort)) == ("1.3.0", "1.4.0")


async def test_rollouts_on_top_of_each_other_all_stay(service: Any) -> None:
    """And one below the last good release, which some client on an old version may be offered still."""
    made = {version: await hosted(service, version) for version in ("1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0")}
    for version in ("1.1.0", "1.3.0", "1.4.0"):
        await set_release(service, made[version], complete=False)
    assert await retire(service) == ["1.0.0"]
    for seen, wanted in (((), "1.2.0"), (("1.3.0",), "1.3.0"), (("1.3.0", "1.4.0"), "1.4.0"), (("1.1.0",), "1.2.0")):
        assert offer(service, "0.1.0", frozenset(made[each].release_id for each in seen)) == wanted


async def test_a_stepping_stone_below_a_rollout_stays(service: Any) -> None:
    """The rollout takes any version, the last good release does not: other clients need the stone."""
    for version in ("1.0.0", "1.1.0"):
        await hosted(service, version)
    await register(service.services.publishing, "1.2.0", minimum_version="1.1.0")
    await set_release(service, await hosted(service, "1.3.0"), complete=False)
    assert await retire(service) == ["1.0.0"]
    assert (offer(service, "0.1.0"), offer(service, "1.1.0")) == ("1.1.0", "1.2.0")


async def test_a_rollout_that_was_withdrawn_stays(service: Any) -> None:
    """Restored it has that rollout again; once it is complete it goes."""
    made = {version: await hosted(service, version) for version in ("1.0.0", "1.1.0", "1.2.0")}
    await set_release(service, made["1.1.0"], complete=False)
    await withdraw(service, "1.1.0")
    assert await retire(service) == ["1.0.0"]
    await set_release(service, made["1.1.0"], complete=True)
    assert await retire(service) == ["1.1.0"]


async def test_what_became_the_latest_meanwhile_stays(service: Any) -> None:
    """The decision is repeated in the transaction that removes."""
    for version in ("1.0.0", "1.1.0"):
        await hosted(service, version)
    services, asked = service.services, 0

    async def withdrawn_between(connection: Any, application_id: str) -> set[int]:
        nonlocal asked
        asked += 1
        found: set[int] = await services.offers.still_offered(connection, application_id)
        if asked == 1:
            await withdraw(service, "1.1.0")
        return found

    gone = await services.catalog.retire("my-app", RetentionPolicy(keep_releases=0), withdrawn_between, actor=RETENTION)
    assert asked == 2
    assert gone == ["1.1.0"], "withdrawn itself, while 1.0.0 is the latest now"
    assert (await versions(service), offer(service, "0.1.0")) == (["1.0.0"], "1.0.0")
