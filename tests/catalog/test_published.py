"""What publishing makes: the rows of external and hosted builds, the audit, and repaired files.

Controls: `_following_first` that takes one of its three fields from the request, `list_applications` replaced by the
one that publishes, `is_new` always true: each is found.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

import updater.database.tables as tables
from tests.actors import TESTER
from tests.builds import FILE, LINUX, publish_bytes, register
from tests.catalog.test_publishing import publish, refused
from tests.stored import damage, database_of, everything, last_row, path_of, rows_since, told
from updater.catalog.files import FileKind
from updater.catalog.model import Build, Checksum, ExternalFile, ReleaseStatus
from updater.catalog.platforms import Target
from updater.catalog.requests import PublishRequest
from updater.catalog.versions import parse_version
from updater.errors import Conflict, Unavailable
from updater.offers.decision import NoUpdate, Offer, UpdateQuery

WINDOWS = Target("windows", "amd64")
ONE, OTHER = b"the bytes", b"other bytes"


def offered(service: Any, application_id: str = "my-app", current: str = "0.1.0") -> str | None:
    """Return what a client for linux/amd64 is offered."""
    decided = service.services.offers.check(application_id, UpdateQuery(parse_version(current), LINUX))
    assert isinstance(decided, Offer | NoUpdate)
    return decided.build.version.text if isinstance(decided, Offer) else None


async def hosted(service: Any, content: bytes, version: str, application_id: str = "my-app", **more: Any) -> Build:
    services = service.services
    return await publish_bytes(services.publishing, services.artifacts, content, version, application_id, **more)


# -- rows


async def test_an_external_build_is_as_it_was_announced(service: Any) -> None:
    file = ExternalFile("https://files.example.com/x?a=b", Checksum("md5", "any text"), 17)
    request = PublishRequest(
        "my-app", "1.1.0", WINDOWS, "Notes", required=True, minimum_version="1.0.0", metadata={"a": [1, None]}
    )
    made = (await service.services.publishing.publish(request, file, TESTER)).build
    assert (made.url, made.checksum, made.size_bytes, made.file) == (file.url, file.checksum, 17, None)
    assert (made.notes, made.required, made.minimum.text, made.metadata) == ("Notes", True, "1.0.0", {"a": [1, None]})
    assert (made.version, made.target, made.application_id) == (parse_version("1.1.0"), WINDOWS, "my-app")
    assert (made.status, made.complete, made.quarantined) == (ReleaseStatus.ACTIVE, True, False)
    stored = await everything(service)
    assert not stored["file"] and not stored["blob"] and not stored["pinned_digest"] and not stored["blobs"]
    assert (await service.services.catalog._store.find_build("my-app", parse_version("1.1.0"), WINDOWS)) == made


async def test_a_hosted_build_is_its_bytes(service: Any) -> None:
    made = await hosted(service, ONE, "1.1.0")
    assert made.file is not None
    assert (made.url, made.size_bytes, made.file.size_bytes) == (None, len(ONE), len(ONE))
    assert made.checksum == Checksum("sha256", made.file.digest)
    assert path_of(service, made).read_bytes() == ONE
    stored = await everything(service)
    assert len(stored["blobs"]) == 1 and not stored["incoming"]
    pin, named = stored["pinned_digest"]
    assert named == {**pin, "name_key": "my-app-1.1.0-linux-amd64"}
    assert pin == {
        "application_id": "my-app",
        "version": "1.1.0",
        "platform": "linux",
        "architecture": "amd64",
        "name_key": "",
        "digest": made.file.digest,
    }
    (row,) = stored["blob"]
    assert (row["digest"], row["size_bytes"], row["quarantined_at"]) == (made.file.digest, len(ONE), None)
    assert row["verified_at"] == made.created_at


NAMES = [
    ("App Setup 1.0.EXE", "App Setup 1.0.EXE", FileKind.INSTALLER),
    ("my.AppImage", "my.AppImage", FileKind.INSTALLER),
    (r"C:\build\App.zip", "my-app-1.1.0-windows-amd64.zip", FileKind.ARCHIVE),
    ("app.7z", "app.7z", FileKind.ARCHIVE),
    ("App.exe.blockmap", "App.exe.blockmap", FileKind.BLOCKMAP),
    ("App.zsync", "App.zsync", FileKind.ZSYNC),
    ("1.0-to-1.1.delta", "1.0-to-1.1.delta", FileKind.DELTA),
    ("notes.txt", "notes.txt", FileKind.OTHER),
    ("../../etc/pass wd", "my-app-1.1.0-windows-amd64", FileKind.OTHER),
    ("App.e\r\nx", "my-app-1.1.0-windows-amd64", FileKind.OTHER),
    ("", "my-app-1.1.0-windows-amd64", FileKind.OTHER),
]


async def test_the_primary_file_has_its_own_or_a_generated_name_and_the_kind_that_it_tells(service: Any) -> None:
    for uploaded, name, kind in NAMES:
        made = await publish(service, PublishRequest("my-app", "1.1.0", WINDOWS), ONE, uploaded_name=uploaded)
        assert (made.file.name, made.file.kind) == (name, kind), uploaded
        (row,) = (await everything(service))["file"]
        assert (row["name"], row["name_key"], row["kind"]) == (name, name.lower(), kind.value)
        assert (row["build_id"], row["is_primary"], row["made_by"]) == (made.id, True, "developer")
        await service.services.catalog.delete_build("my-app", "1.1.0", WINDOWS, actor=TESTER)


async def test_a_release_is_published_with_its_first_build(service: Any) -> None:
    before = await last_row(service)
    first = await hosted(service, ONE, "1.1.0")
    second = await register(service.services.publishing, "1.1.0", WINDOWS)
    assert first.release_id == second.release_id
    rows = await rows_since(service, before)
    assert [told(each) for each in rows] == [
        ("release.published", "my-app 1.1.0", None, {"channel": "stable", "percent": 100.0}),
        ("build.published", "my-app 1.1.0 linux/amd64", None, describe(first)),
        ("build.published", "my-app 1.1.0 windows/amd64", None, describe(second)),
    ]
    assert {(each.actor, each.application_id, each.version) for each in rows} == {(TESTER, "my-app", "1.1.0")}


def describe(build: Build) -> dict[str, str]:
    platform, architecture = build.target
    return {"platform": platform, "architecture": architecture, "checksum": build.checksum.value}


async def test_equal_bytes_are_stored_once(service: Any) -> None:
    made = [await hosted(service, ONE, f"1.{number}.0") for number in range(3)]
    assert {path_of(service, each) for each in made} == {path_of(service, made[0])}
    stored = await everything(service)
    assert (len(stored["blob"]), len(stored["blobs"]), len(stored["file"]), len(stored["pinned_digest"])) == (
        1,
        1,
        3,
        6,
    )


async def test_a_build_that_follows_the_first_says_what_the_first_says(service: Any) -> None:
    publishing = service.services.publishing
    first: dict[str, Any] = {"notes": "First", "required": True, "minimum_version": "0.5.0"}
    own: dict[str, Any] = {"notes": "Own", "required": False, "minimum_version": "0.9.0", "metadata": {"own": 1}}
    alone = await register(publishing, "1.0.0", follows_first=True, **own)
    assert (alone.notes, alone.required, alone.minimum) == ("Own", False, parse_version("0.9.0"))
    await register(publishing, "1.1.0", **first)
    for target, file in ((WINDOWS, FILE), (Target("darwin", "arm64"), ONE)):
        made = await publish(service, PublishRequest("my-app", "1.1.0", target, follows_first=True, **own), file)
        assert (made.notes, made.required, made.minimum) == ("First", True, parse_version("0.5.0"))
        assert made.metadata == {"own": 1}, "metadata is each build's own"
    apart = await register(publishing, "1.1.0", Target("linux", "arm64"), **own)
    assert (apart.notes, apart.required, apart.minimum) == ("Own", False, parse_version("0.9.0"))


async def test_a_build_that_follows_the_first_is_held_to_its_own_words_all_the_same(service: Any) -> None:
    await register(service.services.publishing, "1.1.0")
    request = PublishRequest("my-app", "1.1.0", WINDOWS, minimum_version="x", follows_first=True)
    await refused(service, request, FILE)


# -- the very bytes of a damaged file repair it


@pytest.fixture
async def shared(service: Any) -> Any:
    """Return a service with `my-app` and `other`, which share the damaged bytes of 1.0.0."""
    await service.application("other")
    for application_id in ("my-app", "other"):
        build = await hosted(service, ONE, "1.0.0", application_id)
    assert (offered(service), offered(service, "other")) == ("1.0.0", "1.0.0")
    await damage(service, build)
    assert (offered(service), offered(service, "other")) == (None, None)
    with pytest.raises(Unavailable):
        await service.services.downloads.get_build("my-app", "1.0.0", LINUX)
    return service


async def test_the_very_bytes_repair_every_build_that_has_them(shared: Any) -> None:
    before, last = await everything(shared), await last_row(shared)
    request = PublishRequest("my-app", "1.0.0", LINUX, notes="New", required=True, metadata={"a": 1})
    made = await publish(shared, request, ONE, uploaded_name="New.exe")
    assert (offered(shared), offered(shared, "other")) == ("1.0.0", "1.0.0"), "both at once"
    for application_id in ("my-app", "other"):
        assert not (await shared.services.downloads.get_build(application_id, "1.0.0", LINUX)).quarantined
    assert made == await shared.services.catalog._store.find_build("my-app", parse_version("1.0.0"), LINUX)
    assert path_of(shared, made).read_bytes() == ONE
    (row,) = await rows_since(shared, last)
    assert told(row) == ("blob.recovered", f"sha256:{made.checksum.value}", None, None)
    assert row.actor == TESTER
    after = await everything(shared)
    for table in ("application", "release", "build", "file", "pinned_digest"):
        assert after[table] == before[table], "the build stays as it was published"


@pytest.mark.parametrize(
    ("application_id", "version"), [("my-app", "1.1.0"), ("third", "1.0.0")], ids=["the same", "another"]
)
async def test_a_new_build_of_the_very_bytes_repairs_them_too(shared: Any, application_id: str, version: str) -> None:
    """Of whatever application: all that share the bytes are offered again, and the audit tells of it."""
    await shared.application("third")
    last = await last_row(shared)
    made = await hosted(shared, ONE, version, application_id)
    assert offered(shared, application_id) == version
    assert (offered(shared, "other"), offered(shared, current="0.9.0")) == ("1.0.0", offered(shared))
    assert offered(shared) == (version if application_id == "my-app" else "1.0.0")
    actions = [each.action for each in await rows_since(shared, last)]
    assert actions == ["blob.recovered", "release.published", "build.published"]
    assert path_of(shared, made).read_bytes() == ONE


async def test_nothing_else_repairs_them(shared: Any) -> None:
    for file in (OTHER, FILE):
        assert isinstance(await refused(shared, PublishRequest("my-app", "1.0.0", LINUX), file), Conflict)
    assert (offered(shared), offered(shared, "other")) == (None, None)


async def test_whole_bytes_have_nothing_to_repair(service: Any) -> None:
    await hosted(service, ONE, "1.0.0")
    assert isinstance(await refused(service, PublishRequest("my-app", "1.0.0", LINUX), ONE), Conflict)


# -- twice at the same time


@pytest.mark.parametrize("second", [ONE, OTHER, FILE], ids=["the same bytes", "other bytes", "external"])
async def test_one_of_two_publishers_wins(service: Any, second: bytes | ExternalFile) -> None:
    for number in range(4):
        last = await last_row(service)
        request = PublishRequest("my-app", f"1.{number}.0", LINUX)
        contents = (ONE + bytes([number]), second if isinstance(second, ExternalFile) else second + bytes([number]))
        ends = await asyncio.gather(*(publish(service, request, each) for each in contents), return_exceptions=True)
        (won,) = [each for each in ends if isinstance(each, Build)]
        (lost,) = [each for each in ends if isinstance(each, Exception)]
        assert isinstance(lost, Conflict)
        assert "exists already" in lost.message
        assert await service.services.catalog._store.find_build("my-app", parse_version(request.version), LINUX) == won
        assert [each.action for each in await rows_since(service, last)] == ["release.published", "build.published"]
    stored = await everything(service)
    assert (len(stored["release"]), len(stored["build"])) == (4, 4)
    hosted_builds = [each for each in stored["build"] if each["url"] is None]
    assert len(stored["pinned_digest"]) == 2 * len(stored["file"]) == 2 * len(hosted_builds), "address and name"
    assert len(stored["blob"]) == len(stored["blobs"]) == len(hosted_builds), "the loser's bytes are not there"
    assert not stored["incoming"]


async def test_targets_of_one_release_published_at_once_share_it(service: Any) -> None:
    targets = [Target(platform, "amd64") for platform in ("windows", "linux", "darwin")]
    last = await last_row(service)
    made = await asyncio.gather(*(publish(service, PublishRequest("my-app", "1.0.0", each), ONE) for each in targets))
    assert len({each.release_id for each in made}) == 1
    actions = [each.action for each in await rows_since(service, last)]
    assert sorted(actions) == ["build.published"] * 3 + ["release.published"]
    assert actions[0] == "release.published"
    async with database_of(service).read() as connection:
        assert len((await connection.execute(select(tables.blob))).all()) == 1
