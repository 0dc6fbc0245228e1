"""The questions that surfaces ask of what clients get: one build, the latest, and why there is none.

Controls: the status or the quarantine not looked at in `get_build`, the database asked for what the snapshot has, the
two comparisons of `find_upgrade_block` turned: each is found.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.actors import TESTER
from tests.builds import LINUX, publish_bytes, register
from tests.stored import damage, database_of, set_release
from updater.catalog.model import Build
from updater.catalog.platforms import Target
from updater.catalog.release_store import ReleaseStore
from updater.catalog.versions import parse_version
from updater.errors import Conflict, Invalid, NotFound, Unavailable
from updater.offers.decision import NoUpdate, Reason, UpdateQuery

WINDOWS = Target("windows", "amd64")


async def test_unknown_applications_are_not_found(service: Any) -> None:
    offers, version = service.services.offers, parse_version("1.0.0")
    questions: tuple[Callable[[], object], ...] = (
        lambda: offers.check("nope", UpdateQuery(version, LINUX)),
        lambda: offers.get_latest("nope", LINUX),
        lambda: offers.assess("nope", version),
        lambda: offers.get_newest_release("nope"),
        lambda: offers.get_application("nope"),
        lambda: offers.parse("nope", "nonsense", "version"),
    )
    for ask in questions:
        with pytest.raises(NotFound) as caught:
            ask()
        assert caught.value.kind == "application"
    with pytest.raises(NotFound):
        await service.services.downloads.get_build("nope", "nonsense", LINUX)


async def test_nothing_for_a_target_is_a_reason_or_not_found(service: Any) -> None:
    decided = service.services.offers.check("my-app", UpdateQuery(parse_version("0.1.0"), WINDOWS))
    assert decided == NoUpdate(Reason.NO_BUILDS)
    with pytest.raises(NotFound) as caught:
        service.services.offers.get_latest("my-app", WINDOWS)
    assert caught.value.kind == "release"
    with pytest.raises(NotFound) as caught:
        service.services.offers.get_newest_release("my-app")
    assert caught.value.kind == "release", "no family is read for this application"


async def test_there_is_no_update_for_a_reason(service: Any) -> None:
    offers, publishing = service.services.offers, service.services.publishing
    await register(publishing, "1.0.0", minimum_version="0.5.0")
    await register(publishing, "1.1.0-rc.1", minimum_version="1.0.0")

    def reason(current: str, *, allow_prerelease: bool = False) -> Reason | None:
        decided = offers.check("my-app", UpdateQuery(parse_version(current), LINUX, allow_prerelease))
        return decided.reason if isinstance(decided, NoUpdate) else None

    assert [reason(each) for each in ("0.4.0", "0.5.0", "1.0.0", "2.0.0")] == [
        Reason.BELOW_MINIMUM,
        None,
        Reason.CURRENT,
        Reason.CURRENT,
    ]
    assert (reason("1.0.0", allow_prerelease=True), reason("1.1.0", allow_prerelease=True)) == (None, Reason.CURRENT)
    assert offers.get_latest("my-app", LINUX)[0].version.text == "1.0.0"
    assert offers.get_latest("my-app", LINUX, allow_prerelease=True)[0].version.text == "1.1.0-rc.1"


async def test_a_download_is_held_to_what_its_client_may_install(service: Any) -> None:
    build = await register(service.services.publishing, "2.0.0", minimum_version="1.5.0")
    service.services.offers.require_upgrade_path(build, parse_version("1.5.0"))
    service.services.offers.require_upgrade_path(build, parse_version("2.0.0"))
    for current in ("1.4.9", "2.0.1"):
        with pytest.raises(Conflict) as caught:
            service.services.offers.require_upgrade_path(build, parse_version(current))
        told = {"version": "2.0.0", "current_version": current, "minimum_version": "1.5.0"}
        assert caught.value.details == told


# -- one build


async def hosted(service: Any, version: str) -> Build:
    services = service.services
    return await publish_bytes(services.publishing, services.artifacts, version.encode(), version)


async def test_a_build_is_found_in_the_snapshot_or_in_the_database(
    service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    offers = service.services.offers
    old, new = await hosted(service, "1.0.0"), await hosted(service, "1.1.0")
    assert await service.services.downloads.get_build("my-app", "1.0.0", LINUX) == old, (
        "no client is offered it, some may have its address"
    )

    async def never(*_: Any) -> Any:
        raise AssertionError("what is offered is found without the database")

    monkeypatch.setattr(offers._catalog, "find_build", never)
    assert await service.services.downloads.get_build("my-app", "1.1.0", LINUX) == new
    with pytest.raises(Invalid) as caught:
        await service.services.downloads.get_build("my-app", "1.1", LINUX)
    assert list(caught.value.fields) == ["version"]


async def test_builds_that_are_not_active_are_not_found(service: Any) -> None:
    builds = {version: await hosted(service, version) for version in ("1.0.0", "1.1.0", "1.2.0", "1.3.0")}
    for version in ("1.0.0", "1.3.0"):
        await service.services.releases.withdraw("my-app", version, actor=TESTER)
    await set_release(service, builds["1.2.0"], status="draft")
    for version in ("1.0.0", "1.2.0", "1.3.0", "1.4.0"):
        with pytest.raises(NotFound) as caught:
            await service.services.downloads.get_build("my-app", version, LINUX)
        assert caught.value.kind == "release"
    with pytest.raises(NotFound):
        await service.services.downloads.get_build("my-app", "1.1.0", WINDOWS)
    assert await service.services.downloads.get_build("my-app", "1.1.0", LINUX) == builds["1.1.0"]


async def test_damaged_builds_are_unavailable_and_withdrawn_ones_not_found_all_the_same(service: Any) -> None:
    for version in ("1.0.0", "1.1.0"):
        await damage(service, await hosted(service, version))
        with pytest.raises(Unavailable) as caught:
            await service.services.downloads.get_build("my-app", version, LINUX)
        assert caught.value.retry_after_s == 600
    await service.services.releases.withdraw("my-app", "1.1.0", actor=TESTER)
    with pytest.raises(NotFound):
        await service.services.downloads.get_build("my-app", "1.1.0", LINUX)


async def test_what_is_still_offered_is_seen_as_the_transaction_sees_it(service: Any) -> None:
    offers = service.services.offers
    old, new = await hosted(service, "1.0.0"), await hosted(service, "1.1.0")
    async with database_of(service).write() as connection:
        assert await offers.still_offered(connection, "my-app") == {new.release_id}
        await ReleaseStore(database_of(service)).delete_build(connection, new)
        assert await offers.still_offered(connection, "my-app") == {old.release_id}
    assert offers.get_latest("my-app", LINUX)[0] == new, "nothing was announced"
