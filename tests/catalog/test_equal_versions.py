"""Versions that are equal are one: in publishing, in every look-up, and in what is bound to its bytes for ever.

Control: releases, builds and pins that are found by their text alone are each found.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import insert

from tests.actors import TESTER
from tests.builds import FILE, LINUX
from tests.catalog.test_publishing import ONE, OTHER, WINDOWS, publish, refused
from updater.catalog.requests import PublishRequest
from updater.catalog.versions import Scheme, parse_version, spelling_patterns
from updater.clock import utc_now
from updater.database.tables import release
from updater.errors import Conflict, Invalid

EQUAL = {
    Scheme.PEP440: [
        ("1.0", "1.0.0"),
        ("1.0.0", "1.0.0.0"),
        ("1.0", "v1.0"),
        ("1.0-1", "1.0.post1"),
        ("1.0.post1", "1.0.0.post1"),
        ("0!1.0", "1.0"),
        ("2!1", "2!1.0.0"),
        ("1.0rc1", "1.0.0.RC.1"),
        ("1.0+local.1", "1.0.0+local-1"),
        ("1.0.dev3", "1.0.0.dev3"),
    ],
    Scheme.SEMVER: [("1.0.0+1", "1.0.0+2"), ("1.0.0", "1.0.0+2"), ("1.0.0-rc.1+a", "1.0.0-rc.1+b")],
}
PAIRS = [(scheme, *pair) for scheme, pairs in EQUAL.items() for pair in (*pairs, *(each[::-1] for each in pairs))]
DIFFERENT = {
    Scheme.PEP440: [("1.0", "1.0.1"), ("1.0", "1.0.post1"), ("1.0+a", "1.0+b"), ("1.0", "1!1.0"), ("1", "10")],
    Scheme.SEMVER: [("1.0.0", "1.0.0-1"), ("1.0.0", "1.0.1"), ("1.0.0-a", "1.0.0-A"), ("1.0.0-rc.1", "1.0.0-rc.10")],
}


@pytest.fixture
async def service(service: Any) -> Any:
    for scheme in Scheme:
        await service.application(scheme.value, version_scheme=scheme.value)
    return service


def normalised(text: str, scheme: Scheme) -> str:
    return parse_version(text, scheme).text


@pytest.mark.parametrize(("scheme", "first", "second"), PAIRS)
async def test_an_equal_version_is_there_already(service: Any, scheme: Scheme, first: str, second: str) -> None:
    made = await publish(service, PublishRequest(scheme.value, first, LINUX), ONE)
    failure = await refused(service, PublishRequest(scheme.value, second, LINUX), OTHER)
    assert isinstance(failure, Conflict)
    assert f"Version {normalised(first, scheme)} for linux/amd64 exists" in failure.message, "named as it is there"
    assert failure.details["version"] == normalised(first, scheme)
    assert failure.details["checksum"] == made.checksum.value


@pytest.mark.parametrize(("scheme", "first", "second"), PAIRS)
async def test_every_look_up_takes_either_spelling(service: Any, scheme: Scheme, first: str, second: str) -> None:
    services, application = service.services, scheme.value
    made = await publish(service, PublishRequest(application, first, LINUX), ONE)
    beside = await publish(service, PublishRequest(application, second, WINDOWS), OTHER)
    assert (beside.release_id, beside.version) == (made.release_id, made.version), "one release, as it was spelt first"
    assert await services.downloads.get_build(application, second, LINUX) == made
    path = f"/api/v1/updates/{application}/releases"
    found = await service.call("GET", path, key="read", params={"version": second}, status=200)
    assert found["total_count"] == 2
    await service.exchange(
        "GET", f"/api/v1/updates/{application}/download/{second.replace('+', '%2B')}/linux/amd64", status=200
    )
    await services.catalog.delete_build(application, second, WINDOWS, actor=TESTER)
    await services.releases.withdraw(application, second, actor=TESTER)
    assert isinstance(await refused(service, PublishRequest(application, second, WINDOWS), ONE), Conflict)


@pytest.mark.parametrize(("scheme", "first", "second"), PAIRS)
async def test_bytes_stay_bound_whatever_the_spelling(service: Any, scheme: Scheme, first: str, second: str) -> None:
    services, application = service.services, scheme.value
    await publish(service, PublishRequest(application, first, LINUX), ONE)
    await services.catalog.delete_build(application, first, LINUX, actor=TESTER)
    failure = await refused(service, PublishRequest(application, second, LINUX), OTHER)
    assert "published before with other bytes" in failure.message
    made = await publish(service, PublishRequest(application, second, LINUX), ONE)
    assert made.version.text == normalised(second, scheme)


@pytest.mark.parametrize(("scheme", "pair"), [(scheme, pair) for scheme, pairs in DIFFERENT.items() for pair in pairs])
async def test_other_versions_are_others(service: Any, scheme: Scheme, pair: tuple[str, str]) -> None:
    made = [await publish(service, PublishRequest(scheme.value, each, LINUX), each.encode()) for each in pair]
    assert made[0].release_id != made[1].release_id


async def test_a_client_on_one_build_number_is_not_offered_another(service: Any) -> None:
    await publish(service, PublishRequest("semver", "1.0.0+2", LINUX), ONE)
    asked = {"platform": "linux", "architecture": "amd64", "current_version": "1.0.0+1"}
    found = await service.call("GET", "/api/v1/updates/semver/check", params=asked, status=200)
    assert found == {"update_available": False, "current_version": "1.0.0+1", "required": False}


async def test_equal_releases_of_an_older_server_stay_as_they_are(service: Any) -> None:
    """Each is found by its own text; neither takes a build that the other one has."""
    services = service.services
    made = await publish(service, PublishRequest("pep440", "1.0", LINUX), ONE)
    version = parse_version("1.0.0", Scheme.PEP440)
    values = {
        "application_id": "pep440",
        "version": "1.0.0",
        "sort_key": version.sort_key,
        "prerelease": False,
        "numbers": 3,
        "status": "active",
        "complete": True,
        "created_at": utc_now(),
    }
    async with services.catalog._database.write() as connection:
        await connection.execute(insert(release).values(values))
    beside = await publish(service, PublishRequest("pep440", "1.0.0", WINDOWS), OTHER)
    assert beside.version.text == "1.0.0"
    assert beside.release_id != made.release_id
    assert (await services.downloads.get_build("pep440", "1.0.0", LINUX)).id == made.id, "the only one for this target"
    assert isinstance(await refused(service, PublishRequest("pep440", "1.0", WINDOWS), FILE), Conflict)
    await services.releases.withdraw("pep440", "1.0", actor=TESTER)
    assert (await services.downloads.get_build("pep440", "1.0.0", WINDOWS)).id == beside.id


@pytest.mark.parametrize(
    ("scheme", "version", "minimum"), [("semver", "1.0.0", "1.0.1"), ("pep440", "1.0", "1.0.post1")]
)
async def test_a_minimum_above_the_version_is_refused(service: Any, scheme: str, version: str, minimum: str) -> None:
    for file in (ONE, FILE):
        failure = await refused(service, PublishRequest(scheme, version, LINUX, minimum_version=minimum), file)
        assert isinstance(failure, Invalid)
        assert list(failure.fields) == ["minimum_version"]
    await publish(service, PublishRequest(scheme, version, LINUX, minimum_version=version), ONE)


_NUMBERS = st.lists(st.integers(0, 12), min_size=1, max_size=4)
_TAILS = st.sampled_from(["", "rc1", ".post1", ".dev2", "+a.1"])


@given(_NUMBERS, st.integers(0, 3), _TAILS, st.sampled_from(["", "1!"]))
@settings(deadline=None)
def test_the_pattern_covers_every_spelling_of_pep_440(numbers: list[int], zeros: int, tail: str, epoch: str) -> None:
    text = epoch + ".".join(map(str, numbers))
    one = parse_version(text + tail, Scheme.PEP440)
    two = parse_version(text + ".0" * zeros + tail, Scheme.PEP440)
    assert one.sort_key == two.sort_key
    for each, other in ((one, two), (two, one)):
        exact, pattern = spelling_patterns(each, Scheme.PEP440)
        head, _, end = pattern.partition("%")
        assert other.text == exact or (other.text.startswith(head) and other.text.endswith(end))
