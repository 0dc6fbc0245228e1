"""Releases: list, register, delete. Numbers of decisions are those of updater/web/api/README.md."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.api.test_checks import TARGET, latest, register, registration

LIST = "/api/v1/updates/my-app/releases"
REGISTER = "/api/v1/updates/my-app/register"
ONE = f"{LIST}/1.0.0/linux/amd64"


async def listed(service: Any, **query: Any) -> Any:
    return await service.call("GET", LIST, key="read", params=query, status=200)


async def versions(service: Any, **query: Any) -> list[str]:
    return [each["version"] for each in (await listed(service, **query))["releases"]]


async def test_registered(service: Any) -> None:
    answer = await register(service, "1.0.0")
    assert list(answer) == ["id", "message", "created_at"]
    assert (answer["id"], answer["message"]) == ("rel-001", "Release registered successfully")


async def test_a_listed_release_has_exactly_the_documented_keys(service: Any) -> None:
    await register(service, "1.0.0", minimum_version="0.9.0", file_size=7, required=True)
    page = await listed(service)
    (release,) = page.pop("releases")
    assert page == {"total_count": 1, "page": 1, "page_size": 50, "has_more": False}
    release.pop("release_date")
    assert release == {
        "id": "rel-001",
        "version": "1.0.0",
        **TARGET,
        "download_url": "https://releases.example.com/1.0.0",
        "checksum": registration()["checksum"],
        "checksum_type": "sha256",
        "file_size": 7,
        "release_notes": "",
        "required": True,
        "minimum_version": "0.9.0",
        "channel": "stable",
        "status": "active",
        "percent": 100.0,
        "feeds": {},
        "files": [],
    }


async def test_filters(service: Any) -> None:
    await register(service, "1.0.0", required=True)
    await register(service, "1.1.0")
    await register(service, "1.1.0", platform="windows", architecture="arm64")
    assert len(await versions(service, platform="linux")) == 2
    assert await versions(service, architecture="arm64") == ["1.1.0"]
    assert len(await versions(service, version="1.1.0")) == 2
    assert await versions(service, required="true") == ["1.0.0"]
    assert len(await versions(service, required="false")) == 2
    assert await versions(service, platform="linux", version="1.1.0", required="false") == ["1.1.0"]
    assert await versions(service, platform="darwin") == []


async def test_the_version_filter_takes_versions_only(service: Any) -> None:
    """A version that is none is 422, as everywhere; PEP 440 finds every spelling."""
    answer = await service.call("GET", LIST, key="read", params={"version": "v1"}, status=422)
    assert list(answer["errors"]) == ["version"]
    await service.application("snake", version_scheme="pep440")
    body = {**registration("1.0.0-1"), "application_id": "snake"}
    await service.call("POST", "/api/v1/updates/snake/register", key="write", json=body, status=201)
    path = "/api/v1/updates/snake/releases"
    found = await service.call("GET", path, key="read", params={"version": "1.0.0-1"}, status=200)
    assert found["total_count"] == 1


async def test_sorting(service: Any) -> None:
    """Versions sort as versions, not as text; the newest registration comes first by default."""
    for version, more in (
        ("1.10.0", {}),
        ("1.9.0", {"platform": "windows"}),
        ("1.10.0-rc.1", {"architecture": "arm64"}),
    ):
        await register(service, version, **more)
    assert await versions(service) == ["1.10.0-rc.1", "1.9.0", "1.10.0"]
    assert await versions(service, sort_by="version") == ["1.10.0", "1.10.0-rc.1", "1.9.0"]
    assert await versions(service, sort_by="version", sort_order="asc") == ["1.9.0", "1.10.0-rc.1", "1.10.0"]
    assert await versions(service, sort_by="platform", sort_order="desc") == ["1.9.0", "1.10.0-rc.1", "1.10.0"]
    assert (await versions(service, sort_by="architecture"))[0] == "1.10.0-rc.1"
    for each in ("release_date", "created_at"):
        assert await versions(service, sort_by=each, sort_order="asc") == ["1.10.0", "1.9.0", "1.10.0-rc.1"]


async def test_paging(service: Any) -> None:
    """Decision 23: `page = offset // limit + 1`."""
    for number in range(5):
        await register(service, f"1.{number}.0")
    seen = []
    for offset, page_number, has_more in ((0, 1, True), (2, 2, True), (4, 3, False), (6, 4, False)):
        page = await listed(service, limit=2, offset=offset, sort_by="version", sort_order="asc")
        seen += [each["version"] for each in page.pop("releases")]
        assert page == {"total_count": 5, "page": page_number, "page_size": 2, "has_more": has_more}
    assert seen == [f"1.{number}.0" for number in range(5)]
    assert (await listed(service, limit=3, offset=1))["page"] == 1
    assert (await listed(service, limit=1000))["page_size"] == 1000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("limit", text) for text in ("0", "-1", "1001", "x", "", "1.5", "1e2", "\u0661", "9" * 30, "0x10", "1_0")],
        *[("offset", text) for text in ("-1", "x", "", "9" * 18, "NaN")],
        ("platform", "bsd"),
        ("architecture", "x86"),
        ("required", "yes"),
        ("sort_by", "id"),
        ("sort_by", "version;drop table build"),
        ("sort_order", "DESC"),
    ],
)
async def test_parameters_out_of_bounds(service: Any, name: str, value: str) -> None:
    """Decisions 10 and 23: 422 and the parameter's name."""
    answer = await service.call("GET", LIST, key="read", params={name: value}, status=422)
    assert list(answer["errors"]) == [name]


async def test_the_same_again_is_a_conflict(service: Any) -> None:
    """Decision 15: 409, and still one row."""
    await register(service, "1.0.0")
    answer = await service.call("POST", REGISTER, key="write", json=registration("1.0.0"), status=409)
    assert answer["code"] == "CONFLICT"
    assert (await service.stored())["build"] == 1


async def test_the_application_of_the_body_must_be_that_of_the_path(service: Any) -> None:
    """Decision 15: required and equal, else 422."""
    await service.application("other")
    for body in ({**registration(), "application_id": "other"}, _without("application_id")):
        answer = await service.call("POST", REGISTER, key="write", json=body, status=422)
        assert list(answer["errors"]) == ["application_id"]


async def test_a_platform_that_the_application_does_not_list(service: Any) -> None:
    """Decision 15: 400 INVALID_REQUEST; also for uploads."""
    answer = await service.call("POST", REGISTER, key="write", json=registration(platform="ios"), status=400)
    assert answer["code"] == "INVALID_REQUEST"
    path = "/api/v1/updates/my-app/builds/1.0.0/android/arm"
    assert (await service.call("PUT", path, key="write", data=b"x", status=400))["code"] == "INVALID_REQUEST"
    assert (await service.stored())["files"] == 0


@pytest.mark.parametrize("kind", ["sha256", "sha512", "sha1", "md5"])
async def test_checksum_kinds(service: Any, kind: str) -> None:
    """Decision 16: any non-empty text of four kinds."""
    await register(service, checksum="any text", checksum_type=kind)
    answer = await latest(service)
    assert (answer["checksum"], answer["checksum_type"]) == ("any text", kind)


def _without(name: str) -> dict[str, Any]:
    return {key: value for key, value in registration().items() if key != name}


@pytest.mark.parametrize(
    "name",
    ["application_id", "version", "platform", "architecture", "download_url", "checksum", "checksum_type"],
)
async def test_required_fields(service: Any, name: str) -> None:
    """Decision 10: 422 VALIDATION_ERROR, by name."""
    answer = await service.call("POST", REGISTER, key="write", json=_without(name), status=422)
    assert list(answer["errors"]) == [name]


async def test_deleted(service: Any) -> None:
    await register(service, "1.0.0")
    answer = await service.call("DELETE", ONE, key="admin", status=200)
    assert answer == {"id": "rel-001", "message": "Release deleted successfully"}
    assert await versions(service) == []
    gone = await service.call("DELETE", ONE, key="admin", status=404)
    assert gone["code"] == "NOT_FOUND", "decision 13"


async def test_deleting_one_platform_leaves_the_others(service: Any) -> None:
    await register(service, "1.0.0")
    await register(service, "1.0.0", platform="windows")
    await service.call("DELETE", ONE, key="admin", status=200)
    assert [each["platform"] for each in (await listed(service))["releases"]] == ["windows"]


async def test_an_external_and_a_hosted_build_live_side_by_side(service: Any) -> None:
    """Decision 7."""
    await register(service, "1.0.0", platform="windows")
    await service.publish(b"hosted", "1.0.0")
    urls = {each["platform"]: each["download_url"] for each in (await listed(service))["releases"]}
    assert urls["windows"] == "https://releases.example.com/1.0.0"
    assert urls["linux"].startswith(service.url)
    path = "/api/v1/updates/my-app/download/1.0.0/windows/amd64"
    response, _ = await service.exchange("GET", path, status=302)
    assert response.headers["Location"] == urls["windows"]
