"""Companions: files beside the primary one, under their own names, as a build machine and a client see them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import FormData

from tests.stored import everything, rows_since
from updater.database.tables import build

U = "/api/v1/updates/my-app"
TWO_SIGNATURES = json.dumps(
    {
        name: {"ed25519": base64.b64encode(each * 64).decode()}
        for name, each in (("Setup.exe", b"a"), ("setup.EXE", b"b"))
    }
)
ONE, OTHER = b"the bytes of a companion" * 50, b"other bytes" * 70


def at(name: str, version: str = "1.0.0", target: str = "linux/amd64") -> str:
    return f"{U}/builds/{version}/{target}/files/{quote(name)}"


def down(name: str, version: str = "1.0.0", target: str = "linux/amd64") -> str:
    return f"{U}/download/{version}/{target}/{quote(name)}"


async def add(service: Any, name: str, content: bytes = ONE, status: int = 201, **query: Any) -> Any:
    version, target = query.pop("version", "1.0.0"), query.pop("target", "linux/amd64")
    path = at(name, version, target)
    return await service.call("PUT", path, key="write", data=content, params=query, status=status)


async def listed(service: Any, version: str = "1.0.0") -> list[dict[str, Any]]:
    found = await service.call("GET", f"{U}/releases", key="read", params={"version": version}, status=200)
    files: list[dict[str, Any]] = found["releases"][0]["files"]
    return files


async def test_a_companion_is_there_under_its_name(service: Any) -> None:
    await service.publish(b"primary", file_name="App.AppImage")
    made = await add(service, "App 1.0 (x64)+b.AppImage.zsync")
    assert {key: made[key] for key in made if key not in ("created_at", "id", "message", "download_url")} == {
        "version": "1.0.0",
        "platform": "linux",
        "architecture": "amd64",
        "file_name": "App 1.0 (x64)+b.AppImage.zsync",
        "kind": "zsync",
        "checksum": hashlib.sha256(ONE).hexdigest(),
        "checksum_type": "sha256",
        "file_size": len(ONE),
        "status": "active",
    }
    assert made["id"].startswith("file-")
    assert made["download_url"].endswith("/download/1.0.0/linux/amd64/App%201.0%20%28x64%29+b.AppImage.zsync")
    response, body = await service.exchange("GET", made["download_url"].removeprefix(service.url), status=200)
    assert body == ONE
    assert "immutable" in response.headers["Cache-Control"]
    assert response.headers["ETag"] == f'"{made["checksum"]}"'
    response, body = await service.exchange(
        "GET", down("app 1.0 (X64)+B.appimage.zsync") + "?noCache=1", headers={"Range": "bytes=4-8"}, status=206
    )
    assert body == ONE[4:9]
    _, body = await service.exchange("GET", down("App.AppImage"), status=200)
    assert body == b"primary", "the primary file has a name as well"
    await service.exchange("HEAD", down("App.AppImage"), status=200)
    await service.exchange("GET", down("nothing.zip"), status=404)


async def test_composed_and_decomposed_letters_are_one_name(service: Any) -> None:
    """Disks of Macs give names decomposed, whatever was asked of them."""
    await service.publish(b"primary")
    composed, decomposed = "Pr\u00fcfung.zip", "Pru\u0308fung.zip"
    assert (await add(service, decomposed))["file_name"] == composed
    await add(service, composed, status=200)
    for name in (composed, decomposed, composed.upper()):
        _, body = await service.exchange("GET", down(name), status=200)
        assert body == ONE
    await add(service, decomposed, OTHER, status=409)


async def test_what_a_release_lists_of_its_files(service: Any) -> None:
    await service.publish(b"primary", file_name="Setup.exe", platform="windows")
    await add(service, "b.zip", target="windows/amd64")
    await add(service, "App-1.0.0-full.nupkg", OTHER, target="windows/amd64")
    files = await listed(service)
    assert [(each["name"], each["kind"], each["primary"], each["made_by"]) for each in files] == [
        ("Setup.exe", "installer", True, "developer"),
        ("App-1.0.0-full.nupkg", "package", False, "developer"),
        ("b.zip", "archive", False, "developer"),
    ]
    setup, package, archive = files
    assert setup["sha512"] == base64.b64encode(hashlib.sha512(b"primary").digest()).decode()
    assert (package["sha1"], package["sha512"]) == (hashlib.sha1(OTHER).hexdigest(), None)
    assert archive["sha512"] == base64.b64encode(hashlib.sha512(ONE).digest()).decode()
    assert [each["sha256"] for each in files] == [hashlib.sha256(each).hexdigest() for each in (b"primary", OTHER, ONE)]


async def test_the_same_again_is_success_and_other_bytes_are_not(service: Any) -> None:
    await service.publish(b"primary")
    made = await add(service, "a.zip")
    before = await everything(service)
    assert await add(service, "A.ZIP", status=200) == made, "names that differ in case are the same name"
    after = await everything(service)
    assert [after[name] for name in ("file", "audit", "blobs")] == [before[name] for name in ("file", "audit", "blobs")]
    refused = await add(service, "A.zip", OTHER, status=409)
    assert refused["details"]["checksum"] == hashlib.sha256(ONE).hexdigest()
    await service.call("DELETE", at("a.zip"), key="admin", status=200)
    assert "published before with other bytes" in (await add(service, "a.zip", OTHER, status=409))["message"]
    await add(service, "a.zip", ONE, status=201)
    await service.call("DELETE", f"{U}/releases/1.0.0", key="admin", status=200)
    await service.publish(b"primary")
    assert (await add(service, "a.zip", OTHER, status=409))["message"], "after the deletion of the release, too"
    await service.call("DELETE", "/api/v1/applications/my-app", key="admin", status=204)
    await service.application()
    await service.publish(b"primary")
    await add(service, "a.zip", OTHER, status=409)
    assert len((await everything(service))["blobs"]) == 2, "what was refused is not there"


@pytest.mark.parametrize(
    "name",
    [
        "con.txt",
        "CONIN$",
        "AUX",
        ".hidden",
        "-rf",
        " a",
        "a ",
        "a.",
        'a"b',
        "a|b",
        "a*b",
        "a%b",
        "a\u202eb",
        "a\u2028b",
        "x" * 181,
    ],
)
async def test_names_that_no_system_could_keep(service: Any, name: str) -> None:
    await service.publish(b"primary")
    refused = await add(service, name, status=422)
    assert "file_name" in refused["errors"]
    assert not [each for each in (await everything(service))["file"] if not each["is_primary"]]


@pytest.mark.parametrize("name", ["a/b", "a\\b", "../x", "a:b", "a?b"])
async def test_names_with_a_separator(service: Any, name: str) -> None:
    await service.publish(b"primary")
    path = f"{U}/builds/1.0.0/linux/amd64/files/" + quote(name, safe="")
    answer, _ = await service.exchange("PUT", path, key="write", data=ONE)
    assert answer.status in (404, 422)
    assert len((await everything(service))["file"]) == 1


async def test_a_build_has_at_most_32_files(service: Any) -> None:
    await service.publish(b"primary")
    for number in range(31):
        await add(service, f"{number}.bin", bytes([number]))
    assert "32" in (await add(service, "one more.bin", status=422))["errors"]["file_name"]
    await add(service, "3.bin", bytes([3]), status=200)
    assert len(await listed(service)) == 32


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("App-1.0.0-full.nupkg", 201),
        ("My.App-1.0.0-win-full.nupkg", 201),
        ("App-1.0.0-delta.nupkg", 201),
        ("App-1.0.1-full.nupkg", 422),
        ("App-full.nupkg", 422),
        ("App-1.0.0-beta.1-full.nupkg", 422),
        ("-1.0.0-full.nupkg", 422),
        ("app.delta", 201),
        ("App.nupkg", 201),
    ],
)
async def test_packages_tell_their_version(service: Any, name: str, status: int) -> None:
    await service.publish(b"primary")
    await add(service, name, status=status)


async def test_a_package_name_belongs_to_one_version_for_each_target(service: Any) -> None:
    await service.application("other")
    await service.publish(b"primary", "1.0.0")
    await service.publish(b"primary arm", "1.0.0", arch="arm64")
    await service.publish(b"primary", "1.0.0-beta")
    await add(service, "App-1.0.0-beta-full.nupkg", version="1.0.0-beta")
    refused = await add(service, "App-1.0.0-beta-full.nupkg", status=409)
    assert refused["details"]["version"] == "1.0.0-beta"
    await add(service, "App-1.0.0-beta-full.nupkg", target="linux/arm64", status=201)


async def test_kind_checksum_and_delta_from(service: Any) -> None:
    await service.publish(b"primary", "2.0.0")
    made = await add(service, "notes.bin", version="2.0.0", kind="archive", checksum=hashlib.sha256(ONE).hexdigest())
    assert made["kind"] == "archive"
    delta = await add(service, "App.delta", OTHER, version="2.0.0", delta_from="1.0.0")
    assert delta["kind"] == "delta"
    assert [each["delta_from"] for each in await listed(service, "2.0.0")] == [None, "1.0.0", None]
    refused = await add(service, "x.bin", version="2.0.0", checksum="0" * 64, status=422)
    assert "checksum" in refused["errors"]
    assert "kind" in (await add(service, "x.bin", version="2.0.0", kind="program", status=422))["errors"]
    assert "colour" in (await add(service, "x.bin", version="2.0.0", colour="red", status=422))["errors"]


async def test_one_file_for_several_architectures(service: Any) -> None:
    await service.call(
        "PUT",
        f"{U}/builds/1.0.0/darwin/amd64",
        key="write",
        data=b"universal",
        params={"also": "arm64", "file_name": "App.zip"},
        status=201,
    )
    await add(service, "App.dmg", target="darwin/amd64", also="arm64")
    found = await service.call("GET", f"{U}/releases", key="read", params={"sort_by": "architecture"}, status=200)
    assert [(each["architecture"], [file["name"] for file in each["files"]]) for each in found["releases"]] == [
        ("arm64", ["App.zip", "App.dmg"]),
        ("amd64", ["App.zip", "App.dmg"]),
    ]
    stored = await everything(service)
    assert len(stored["blobs"]) == 2, "stored once"
    assert "also" in (await add(service, "x", target="darwin/amd64", also="arm64,sparc", status=422))["errors"]
    await add(service, "x.bin", target="darwin/amd64", also="arm64,386", status=404)
    assert await everything(service) == stored, "one build that is not there refuses all of it"


async def test_a_form_takes_companions_and_their_signatures(service: Any) -> None:
    form = FormData()
    for name, value in {"version": "1.0.0", "platform": "windows", "architecture": "amd64"}.items():
        form.add_field(name, value)
    form.add_field("files", b"a map", filename="Setup.exe.blockmap")
    form.add_field("file", b"setup", filename="Setup.exe")
    form.add_field("files", b"zipped", filename="App.zip")
    form.add_field("signatures", '{"App.zip": {"ed25519": "' + base64.b64encode(bytes(64)).decode() + '"}}')
    made = await service.call("POST", f"{U}/upload", key="write", data=form, status=201)
    assert (made["status"], made["file_size"]) == ("active", 5)
    assert [(each["name"], each["signatures"]) for each in await listed(service)] == [
        ("Setup.exe", []),
        ("App.zip", ["ed25519"]),
        ("Setup.exe.blockmap", []),
    ]


@pytest.mark.parametrize(
    ("spoilt", "field"),
    [
        (("files", b"x", "con"), "file_name"),
        (("files", b"x", "Setup.exe"), "Setup.exe"),
        (("signatures", '{"nothing.zip": {"ed25519": "x"}}', None), "signatures"),
        (("signatures", TWO_SIGNATURES, None), "signatures"),
        (("also", "arm64,arm9", None), "also"),
        (("draft", "perhaps", None), "draft"),
    ],
)
async def test_a_form_is_all_or_nothing(service: Any, spoilt: tuple[str, Any, str | None], field: str) -> None:
    before = await everything(service)
    form = FormData()
    for name, value in {"version": "1.0.0", "platform": "windows", "architecture": "amd64"}.items():
        form.add_field(name, value)
    form.add_field("file", b"setup", filename="Setup.exe")
    form.add_field("files", b"fine", filename="fine.zip")
    form.add_field(spoilt[0], spoilt[1], filename=spoilt[2])
    refused = await service.call("POST", f"{U}/upload", key="write", data=form)
    assert field in str(refused.get("errors", refused["message"]))
    assert await everything(service) == before


async def test_the_65th_part_and_the_33rd_file(service: Any) -> None:
    before = await everything(service)
    many = FormData()
    for name, value in {"version": "1.0.0", "platform": "linux", "architecture": "amd64"}.items():
        many.add_field(name, value)
    many.add_field("file", b"primary", filename="App.bin")
    for number in range(32):
        many.add_field("files", bytes([number]), filename=f"{number}.bin")
    refused = await service.call("POST", f"{U}/upload", key="write", data=many, status=422)
    assert "file_name" in refused["errors"]
    parts = FormData()
    for number in range(65):
        parts.add_field("release_notes" if number == 0 else f"x{number}", "x")
    await service.exchange("POST", f"{U}/upload", key="write", data=parts)
    assert await everything(service) == before


async def test_where_companions_do_not_go(service: Any) -> None:
    await add(service, "a.zip", status=404)
    await service.publish(b"primary")
    await add(service, "a.zip", target="linux/arm64", status=404)
    await add(service, "a.zip", target="android/amd64", status=400)
    await add(service, "a.zip", target="solaris/amd64", status=422)
    await add(service, "a.zip", draft="true", status=409)
    external = {
        "application_id": "my-app",
        "version": "3.0.0",
        "platform": "linux",
        "architecture": "amd64",
        "download_url": "https://files.example.com/x",
        "checksum": "x",
        "checksum_type": "md5",
    }
    await service.call("POST", f"{U}/register", key="write", json=external, status=201)
    assert "another host" in (await add(service, "a.zip", version="3.0.0", status=409))["message"]
    await service.call("POST", f"{U}/releases/1.0.0/withdraw", key="write", json={}, status=200)
    await add(service, "a.zip", status=409)


async def test_deleting_a_companion(service: Any) -> None:
    await service.publish(b"primary", file_name="App.bin")
    await add(service, "a.zip")
    await service.call("DELETE", at("a.zip"), key="write", status=403)
    assert "delete the build" in (await service.call("DELETE", at("App.bin"), key="admin", status=409))["message"]
    await service.call("DELETE", at("b.zip"), key="admin", status=404)
    gone = await service.call("DELETE", at("A.ZIP"), key="admin", status=200)
    assert set(gone) == {"id", "message"}
    await service.exchange("GET", down("a.zip"), status=404)
    assert [each["name"] for each in await listed(service)] == ["App.bin"]


async def test_withdrawn_and_deleted_files_are_gone_and_damaged_ones_wait(service: Any) -> None:
    await service.publish(b"primary")
    made = await add(service, "a.zip")
    await service.exchange("GET", down("a.zip"), status=200)
    await service.call("POST", f"{U}/releases/1.0.0/withdraw", key="write", json={}, status=200)
    await service.exchange("GET", down("a.zip"), status=404)
    await service.call("POST", f"{U}/releases/1.0.0/restore", key="admin", json={}, status=200)
    await service.exchange("GET", down("a.zip"), status=200)
    path = service.services.artifacts.blobs.locate(made["checksum"])
    path.write_bytes(b"damaged")
    from tests.actors import TESTER

    assert [each.good async for each in service.services.artifacts.verify(actor=TESTER)].count(False) == 1
    await service.exchange("GET", down("a.zip"), status=503)
    check = {"current_version": "0.1.0", "platform": "linux", "architecture": "amd64"}
    answer = await service.call("GET", f"{U}/check", params=check, status=200)
    assert answer["update_available"], "the build itself is whole"
    await add(service, "a.zip", status=200)
    _, body = await service.exchange("GET", down("a.zip"), status=200)
    assert body == ONE, "the same bytes repair it"


async def test_every_change_leaves_its_row(service: Any) -> None:
    await service.publish(b"primary")
    before = (await everything(service))["audit"][-1]["id"]
    await add(service, "a.zip")
    await add(service, "a.zip", status=200)
    await service.call("DELETE", at("a.zip"), key="admin", status=200)
    rows = await rows_since(service, before)
    assert [each.action for each in rows] == ["file.published", "file.deleted"]
    history = await service.call("GET", f"{U}/history", key="read", status=200)
    assert [each["action"] for each in history["entries"]][:2] == ["file.deleted", "file.published"]


async def test_who_asks_by_date_hears_of_a_file_that_took_another_ones_place(service: Any) -> None:
    """A companion, such as one that the server made, may be replaced long after its build was published."""
    await service.publish(b"primary")
    async with service.services.catalog._database.write() as connection:
        await connection.execute(build.update().values(created_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)))
    await add(service, "a.zip")
    made = datetime.fromisoformat((await listed(service))[1]["created_at"])
    response, _ = await service.exchange("GET", down("a.zip"), status=200)
    assert parsedate_to_datetime(response.headers["Last-Modified"]) == made
    before = {"If-Modified-Since": format_datetime(made - timedelta(hours=1), usegmt=True)}
    await service.exchange("GET", down("a.zip"), headers=before, status=200)


async def test_signatures_by_name_are_a_field_of_forms_alone(service: Any) -> None:
    path, body = f"{U}/builds/1.0.0/linux/amd64", {"signatures": "{}"}
    refused = await service.call("PUT", path, key="write", data=b"x", params=body, status=422)
    assert set(refused["errors"]) == {"signatures"}


async def test_uploads_at_once(service: Any) -> None:
    """Twenty of one name with equal and other bytes: one wins, the others are told; all files stay consistent."""
    await service.publish(b"primary")
    contents = [ONE if number % 2 else OTHER for number in range(20)]
    answers = await asyncio.gather(
        *(service.exchange("PUT", at("a.zip"), key="write", data=content) for content in contents)
    )
    statuses = sorted(response.status for response, _ in answers)
    assert statuses.count(201) == 1
    assert set(statuses) == {200, 201, 409}
    _, body = await service.exchange("GET", down("a.zip"), status=200)
    assert body in (ONE, OTHER)
    stored = await everything(service)
    assert len(stored["blobs"]) == 2
    assert not stored["incoming"]


async def test_downloads_of_what_is_installed_count(service: Any) -> None:
    """The primary file and the archive do, each for itself; what only helps to install, and drafts, do not."""
    build_id = int((await service.publish(b"primary", file_name="app.bin"))["id"].removeprefix("rel-"))
    await add(service, "a.zip")
    await add(service, "a.zip.blockmap", OTHER)
    draft_id = int((await service.publish(b"later", "2.0.0", draft="true"))["id"].removeprefix("rel-"))
    await service.exchange("GET", f"{U}/download/2.0.0/linux/amd64", key="read", status=200)
    for name in ("a.zip.blockmap", "a.zip", "app.bin"):
        await service.exchange("GET", down(name), status=200)
    counts = service.services.telemetry.download_counts
    async with asyncio.timeout(30):  # a download is counted a moment after its body has left
        while (await counts(build_id))[1] < 2:
            await asyncio.sleep(0.05)
    assert (await counts(build_id), await counts(draft_id)) == ((2, 2), (0, 0))
