"""Applications: created, ensured, changed and deleted, each with its audit row, and at once in the snapshots.

Controls: `config` replaced instead of merged, `if after:` left out, `_require_config` left out of either use: found.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from tests.actors import TESTER
from tests.builds import LINUX, publish_bytes, register
from tests.stored import everything, last_row, rows_since, told
from updater.audit.model import SYSTEM
from updater.catalog.model import CONFIG_DEFAULTS, ApplicationStats, Page
from updater.catalog.platforms import Target
from updater.catalog.versions import Scheme
from updater.errors import Conflict, Invalid, NotFound

WINDOWS = Target("windows", "amd64")
ONE_PAGE = Page(limit=100)


@pytest.fixture
async def started(start_service: Any) -> Any:
    """Return a service without applications."""
    return await start_service()


async def create(service: Any, application_id: str = "my-app", **extra: Any) -> Any:
    catalog = service.services.catalog
    return await catalog.create_application(
        application_id, name="My App", platforms=("linux", "windows"), extra=extra, actor=TESTER
    )


async def change(service: Any, application_id: str = "my-app", **changes: Any) -> Any:
    return await service.services.catalog.update_application(application_id, changes, actor=TESTER)


async def unchanged(service: Any, work: Any, error: type[Exception]) -> Any:
    """Await work that is refused; nothing stored differs afterwards. Return the failure."""
    before = await everything(service)
    with pytest.raises(error) as caught:
        await work
    assert await everything(service) == before
    return caught.value


async def test_who_is_told_that_an_application_is_there_may_use_it(started: Any) -> None:
    """Of two build machines that create it at once, one is told while the other's answer is still on its way."""

    async def create_and_look(application_id: str) -> bool:
        try:
            await create(started, application_id)
        except Conflict:
            assert started.services.offers.get_application(application_id) is not None
            return False
        return True

    for number in range(20):
        made = await asyncio.gather(*(create_and_look(f"app-{number}") for _ in range(3)))
        assert sorted(made) == [False, False, True]


async def test_a_new_application_has_the_defaults(started: Any) -> None:
    made = await create(started)
    assert (made.id, made.name, made.description) == ("my-app", "My App", "")
    assert (made.platforms, made.scheme, made.config) == (("linux", "windows"), Scheme.SEMVER, CONFIG_DEFAULTS)
    assert made.created_at == made.updated_at
    assert started.services.offers.get_application("my-app") == made, "clients see it at once"
    (row,) = await rows_since(started, 0)
    action, subject, before, after = told(row)
    assert (action, subject, before) == ("application.created", "my-app", None)
    assert after == {
        "name": "My App",
        "platforms": ["linux", "windows"],
        "version_scheme": "semver",
        "private": False,
        "config": {**CONFIG_DEFAULTS, "custom_fields": []},
    }
    assert (row.actor, row.application_id, row.version) == (TESTER, "my-app", None)


async def test_what_is_given_lies_over_the_defaults(started: Any) -> None:
    config = {"min_version": "1.0", "max_version": "2.0rc1", "custom_fields": {"token": "hunter2"}}
    made = await create(started, description="Text", config=config, scheme="pep440")
    assert (made.description, made.scheme, made.config) == ("Text", Scheme.PEP440, {**CONFIG_DEFAULTS, **config})
    assert started.services.offers.get_application("my-app") == made
    (row,) = await rows_since(started, 0)
    assert "hunter2" not in str(told(row))


async def test_a_platform_named_twice_is_listed_once(started: Any) -> None:
    catalog = started.services.catalog
    given = ("windows", "linux", "windows")
    made = await catalog.create_application("my-app", name="x", platforms=given, extra={}, actor=TESTER)
    assert made.platforms == ("windows", "linux")
    assert (await change(started, platforms=["ios", "android", "ios"])).platforms == ("ios", "android")


async def test_an_id_is_taken_once(started: Any) -> None:
    await create(started)
    failure = await unchanged(started, create(started, description="Other"), Conflict)
    assert "my-app" in failure.message
    ends = await asyncio.gather(*(create(started, "second") for _ in range(4)), return_exceptions=True)
    assert sorted(type(each).__name__ for each in ends) == ["Application", "Conflict", "Conflict", "Conflict"]


async def test_versions_in_the_settings_must_parse(started: Any) -> None:
    """By the scheme of the application; every field that does not is named."""
    bad = {"min_version": "1.0", "max_version": "1.0.0-SNAPSHOT"}
    failure = await unchanged(started, create(started, config=bad), Invalid)
    assert list(failure.fields) == ["config.min_version"]
    failure = await unchanged(started, create(started, config=bad, scheme="pep440"), Invalid)
    assert list(failure.fields) == ["config.max_version"]
    await create(started)
    failure = await unchanged(started, change(started, config={"min_version": "x", "max_version": "y"}), Invalid)
    assert list(failure.fields) == ["config.min_version", "config.max_version"]
    assert (await change(started, config={"min_version": "", "max_version": "2.0.0"})).config["max_version"] == "2.0.0"
    assert (await change(started, config={"max_version": ""})).config["max_version"] == ""


async def test_ensuring_adds_an_application_once(started: Any) -> None:
    catalog = started.services.catalog

    async def ensure(name: str) -> bool:
        done: bool = await catalog.ensure_application(
            "my-app", name=name, platforms=("linux",), private=False, actor=SYSTEM
        )
        return done

    ends = await asyncio.gather(*(ensure(f"name {number}") for number in range(4)))
    assert sorted(ends) == [False, False, False, True]
    before = await everything(started)
    assert await ensure("another name") is False
    assert await everything(started) == before, "one that is there stays as it is"
    (row,) = await rows_since(started, 0)
    assert (row.action, row.actor) == ("application.created", SYSTEM)


async def test_ensuring_leaves_other_settings_alone(started: Any) -> None:
    await create(started, config={"auto_update": True})
    before = await everything(started)
    catalog = started.services.catalog
    assert not await catalog.ensure_application("my-app", name="x", platforms=("ios",), private=True, actor=SYSTEM)
    assert await everything(started) == before


# -- changes


async def test_only_the_given_fields_change_and_config_is_merged(started: Any) -> None:
    made = await create(started, description="Text", config={"update_interval": 60, "custom_fields": {"a": 1}})
    changed = await change(started, name="New", config={"auto_update": True, "custom_fields": {"b": 2}})
    assert (changed.name, changed.description, changed.platforms) == ("New", "Text", made.platforms)
    own = {"update_interval": 60, "auto_update": True, "custom_fields": {"b": 2}}
    assert changed.config == {**CONFIG_DEFAULTS, **own}
    assert (changed.created_at, changed.scheme) == (made.created_at, made.scheme)
    assert changed.updated_at - made.updated_at > timedelta(0)
    assert started.services.offers.get_application("my-app") == changed
    *_, row = await rows_since(started, 0)
    assert told(row) == (
        "application.updated",
        "my-app",
        {"name": "My App", "config.auto_update": False, "config.custom_fields": ["a"]},
        {"name": "New", "config.auto_update": True, "config.custom_fields": ["b"]},
    )


async def test_a_change_to_the_same_is_in_no_row(started: Any) -> None:
    config = {"update_check_url": "https://a.example/secret", "custom_fields": {"token": "hunter2"}}
    made = await create(started, description="Text", config=config)
    last = await last_row(started)
    described = {"name": made.name, "description": made.description, "platforms": list(made.platforms)}
    repeated: list[dict[str, Any]] = [{}, {"config": {}}, {"config": dict(made.config)}, described]
    for same in repeated:
        changed = await change(started, **same)
        assert (changed.name, changed.description, changed.platforms) == (made.name, made.description, made.platforms)
        assert changed.config == made.config
    assert await rows_since(started, last) == []


async def test_a_secret_that_changes_is_named_and_not_kept(started: Any) -> None:
    await create(started, config={"update_check_url": "https://a.example/hunter2"})
    last = await last_row(started)
    await change(started, config={"update_check_url": "https://a.example/hunter3"})
    await change(started, config={"custom_fields": {"token": "hunter4"}})
    named, shown = await rows_since(started, last)
    assert told(named)[2:] == ({}, {"changed": ["update_check_url"]})
    assert told(shown)[2:] == ({"config.custom_fields": []}, {"config.custom_fields": ["token"]})
    assert "hunter" not in str([told(each) for each in await rows_since(started, 0)])


async def test_changes_made_at_once_are_all_kept(started: Any) -> None:
    """Each reads the application that the one before left."""
    await create(started)
    given: list[dict[str, Any]] = [{key: True} for key in ("auto_update", "required_update", "analytics_enabled")]
    given += [{"update_interval": 7}, {"min_version": "1.0.0"}]
    await asyncio.gather(*(change(started, config=each) for each in given))
    wanted = {key: value for each in given for key, value in each.items()}
    assert started.services.offers.get_application("my-app").config == {**CONFIG_DEFAULTS, **wanted}


async def test_unknown_applications_are_not_found(started: Any) -> None:
    catalog = started.services.catalog
    for work in (
        change(started, "nope", name="x"),
        catalog.delete_application("nope", actor=TESTER),
        catalog.delete_build("nope", "1.0.0", LINUX, actor=TESTER),
        started.services.releases.withdraw("nope", "1.0.0", actor=TESTER),
    ):
        assert (await unchanged(started, work, NotFound)).kind == "application"


# -- deletion


async def test_a_deleted_application_is_gone_with_all_it_has_but_its_pins(started: Any) -> None:
    services = started.services
    await create(started, config={"notification_url": "https://a.example/hunter2"})
    await create(started, "other")
    for application_id in ("my-app", "other"):
        await publish_bytes(services.publishing, services.artifacts, b"x", "1.0.0", application_id)
        await register(services.publishing, "1.1.0", WINDOWS, application_id)
    before, last = await everything(started), await last_row(started)
    await services.catalog.delete_application("my-app", actor=TESTER)
    with pytest.raises(NotFound):
        services.offers.present("my-app")
    assert services.offers.application_ids() == ["other"]
    after = await everything(started)
    for table, left in (("application", 1), ("release", 2), ("build", 2), ("file", 1)):
        assert len(before[table]) == 2 * left
        assert len(after[table]) == left
    assert (after["pinned_digest"], after["blob"], after["blobs"]) == (
        before["pinned_digest"],
        before["blob"],
        before["blobs"],
    )
    (row,) = await rows_since(started, last)
    action, subject, described, nothing = told(row)
    assert (action, subject, nothing) == ("application.deleted", "my-app", None)
    assert described["config"]["notification_url"] == "a.example"
    await unchanged(started, services.catalog.delete_application("my-app", actor=TESTER), NotFound)


# -- listings and counts


async def test_applications_are_listed_by_id_in_pages(started: Any) -> None:
    catalog = started.services.catalog
    assert await catalog.list_applications(ONE_PAGE) == ([], 0)
    ids = ["b", "Z", "a-1", "a_1", "10", "9"]
    made = {each: await create(started, each) for each in ids}
    everyone, total = await catalog.list_applications(ONE_PAGE)
    assert total == len(ids)
    assert everyone == [made[each.id] for each in everyone]
    assert [each.id for each in everyone] == sorted(ids)
    paged = []
    for offset in range(0, 8, 2):
        page, total = await catalog.list_applications(Page(limit=2, offset=offset))
        assert total == len(ids)
        paged += page
    assert paged == everyone
    assert await catalog.list_applications(ONE_PAGE, only="9") == ([made["9"]], 1)
    assert await catalog.list_applications(ONE_PAGE, only="nope") == ([], 0)


async def test_counts_over_builds(started: Any) -> None:
    catalog, publishing = started.services.catalog, started.services.publishing
    await create(started)
    await create(started, "other")
    assert await catalog.stats("my-app") == await catalog.stats("nope") == ApplicationStats(0, None, None, 0, 0)
    await register(publishing, "9.0.0", LINUX, "other", required=True)
    made = [
        await register(publishing, "1.0.0", required=True),
        await register(publishing, "1.10.0", WINDOWS),
        await register(publishing, "1.9.0", required=True),
        await register(publishing, "2.0.0-rc.1"),
    ]
    assert await catalog.stats("my-app") == ApplicationStats(4, "1.10.0", made[1].created_at, 2, 2)
    await started.services.releases.withdraw("my-app", "1.10.0", actor=TESTER)
    assert await catalog.stats("my-app") == ApplicationStats(4, "1.9.0", made[2].created_at, 2, 2)
    for version in ("1.0.0", "1.9.0"):
        await catalog.delete_build("my-app", version, LINUX, actor=TESTER)
    assert await catalog.stats("my-app") == ApplicationStats(2, "2.0.0-rc.1", made[3].created_at, 2, 0)
