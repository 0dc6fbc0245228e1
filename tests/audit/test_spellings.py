"""The audit is asked for a version in any spelling: equal versions are one version there too."""

from __future__ import annotations

from typing import Any

import pytest

from tests.actors import TESTER
from tests.conftest import Service, StartService
from tests.web.api.rollouts.releasing import release
from updater.operations import OPERATIONS

HISTORY = "/api/v1/updates/my-app/history"


async def told(service: Service, version: str) -> list[tuple[str, str]]:
    page = await service.call("GET", HISTORY, key="read", params={"version": version}, status=200)
    return [(each["action"], each["version"]) for each in page["entries"]]


async def audited(service: Service, **wanted: Any) -> set[str]:
    events = [event async for event in OPERATIONS["audit.list"](service.services, TESTER, **wanted)]
    return {row["version"] for row in events[-1]["result"]["rows"]}


async def test_pep440_versions_are_found_in_every_spelling(start_service: StartService) -> None:
    service = await start_service()
    await service.application(version_scheme="pep440")
    for version in ("1.0", "1.0.1", "1.0rc1", "10.0", "1.0+local.1"):
        await release(service, version)
    for spelling in ("1.0", "1.0.0", "v1.0", "1", "1.0.0.0"):
        assert await told(service, spelling) == [("build.published", "1.0"), ("release.published", "1.0")], spelling
        assert await audited(service, application="my-app", version=spelling) == {"1.0"}, spelling
    assert await told(service, "1.0.0-rc.1") == [("build.published", "1.0rc1"), ("release.published", "1.0rc1")]


async def test_a_release_that_came_again_in_another_spelling_has_one_history(service: Service) -> None:
    for version in ("1.0.0+1", "1.0.0+2"):
        await release(service, version)
        await service.call("DELETE", f"/api/v1/updates/my-app/releases/{version}/linux/amd64", key="admin", status=200)
    await release(service, "1.0.1")
    for spelling in ("1.0.0", "1.0.0+1", "1.0.0+7"):
        assert {version for _, version in await told(service, spelling)} == {"1.0.0+1", "1.0.0+2"}
        assert await audited(service, version=spelling) == {"1.0.0+1", "1.0.0+2"}


async def test_other_versions_are_not_found(service: Service) -> None:
    await release(service, "1.0.0")
    for other in ("1.0.0-rc.1", "1.0.1", "11.0.0"):
        assert await told(service, other) == []
        assert await audited(service, application="my-app", version=other) == set()
    assert await audited(service, version="no version") == set()


@pytest.mark.parametrize("text", ["1.0", "latest"])
async def test_what_is_no_version_is_refused_by_the_history(service: Service, text: str) -> None:
    refused = await service.call("GET", HISTORY, key="read", params={"version": text}, status=422)
    assert set(refused["errors"]) == {"version"}


async def test_the_history_of_an_unknown_application_is_not_found(service: Service) -> None:
    refused = await service.call("GET", "/api/v1/updates/missing/history", key="read", status=404)
    assert refused["code"] == "APPLICATION_NOT_FOUND"


async def test_versions_of_an_application_that_had_another_scheme_are_no_error(start_service: StartService) -> None:
    service = await start_service()
    await service.application()
    await release(service, "1.0.0-foo")
    await service.call("DELETE", "/api/v1/applications/my-app", key="admin", status=204)
    await service.application(version_scheme="pep440")
    await release(service, "1.0")
    assert await told(service, "1.0.0") == [("build.published", "1.0"), ("release.published", "1.0")]
    assert await audited(service, application="my-app", version="1.0.0") == {"1.0"}
