"""Every call against a running server, as an application or a build machine makes them."""

from __future__ import annotations

import dataclasses

import pytest

from tests.actors import TESTER
from tests.conftest import KEYS, LINUX, QUICK
from updater_client import (
    ApplicationChanges,
    BuildQuery,
    ExternalBuild,
    InstallReport,
    NewApplication,
    NewBuild,
    Target,
    Unreachable,
    UpdateClient,
    UpdateError,
)


async def test_what_is_published_is_offered_with_everything_that_was_said(client, build) -> None:
    published = await client.publish("my-app", build)
    assert published.file_size_bytes == 5_000_000
    assert (published.version, published.target, published.repeated) == ("1.1.0", LINUX, False)

    result = await client.check("my-app", "1.0.0", LINUX, include_metadata=True)
    assert result.update_available and result.build is not None
    assert result.build.checksum == published.checksum
    assert result.build.release_notes == build.release_notes
    assert result.build.metadata == {"commit": "ab12"}
    assert result.build.release_date is not None and result.build.release_date.tzinfo is not None


async def test_an_empty_answer_is_no_update(client, build) -> None:
    await client.publish("my-app", build)
    result = await client.check("my-app", "1.1.0", LINUX)
    assert (result.update_available, result.build, result.current_version) == (False, None, "1.1.0")


async def test_progress_ends_at_the_size_of_the_file(client, build) -> None:
    seen = []
    await client.publish("my-app", build, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (5_000_000, 5_000_000)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


async def test_publishing_can_create_the_application_and_finds_it_there_the_next_time(client, build) -> None:
    new = NewApplication("other", "Other")
    await client.publish("other", build, create=new)
    await client.publish("other", dataclasses.replace(build, version="1.2.0"), create=new)
    assert (await client.get_application("other")).name == "Other"


async def test_the_same_bytes_twice_are_a_success_that_says_so(client, build) -> None:
    first = await client.publish("my-app", build)
    again = await client.publish("my-app", dataclasses.replace(build, release_notes="other notes"))
    assert (again.repeated, again.id, again.checksum) == (True, first.id, first.checksum)
    (listed,) = (await client.list_releases("my-app")).items
    assert listed.release_notes != "other notes"


async def test_other_bytes_are_a_conflict(client, build) -> None:
    await client.publish("my-app", build)
    build.path.write_bytes(b"other bytes")
    with pytest.raises(UpdateError) as caught:
        await client.publish("my-app", build)
    assert (caught.value.status, caught.value.code, caught.value.uncertain) == (409, "CONFLICT", False)


async def test_the_same_bytes_of_a_withdrawn_release_are_no_success(service, build) -> None:
    async with UpdateClient(service.url, KEYS["admin"], retry=QUICK) as client:
        await client.publish("my-app", build)
        await service.services.releases.withdraw("my-app", build.version, actor=TESTER)
        with pytest.raises(UpdateError, match="deactivated"):
            await client.publish("my-app", build)


@pytest.mark.parametrize("checksum", ["AB" * 64, "q" * 86 + "==", "sha512-" + "q" * 86 + "=="])
async def test_an_external_build_is_there_already_when_address_and_checksum_are_the_same(client, checksum) -> None:
    build = ExternalBuild("3.0.0", LINUX, "https://example.com/a.bin", checksum, "sha512")
    first = await client.register("my-app", build)
    assert (await client.register("my-app", build)) == dataclasses.replace(first, repeated=True)
    (listed,) = (await client.list_releases("my-app")).items
    assert listed.checksum == checksum, "in the case and the encoding of its publisher"
    for other in ({"download_url": "https://example.com/b.bin"}, {"checksum": "cd" * 64}):
        with pytest.raises(UpdateError) as caught:
            await client.register("my-app", dataclasses.replace(build, **other))
        assert caught.value.status == 409


async def test_latest_of_nothing_is_404(client) -> None:
    with pytest.raises(UpdateError) as caught:
        await client.latest("my-app", LINUX)
    assert (caught.value.status, caught.value.code) == (404, "NOT_FOUND")
    assert caught.value.request_id


async def test_no_key_is_401_with_the_servers_own_words(server) -> None:
    async with UpdateClient(server.url, retry=QUICK) as client:
        with pytest.raises(UpdateError) as caught:
            await client.list_applications()
    assert (caught.value.status, caught.value.code) == (401, "UNAUTHORIZED")


async def test_a_key_that_may_only_read_is_403(server, client, build) -> None:
    async with UpdateClient(server.url, KEYS["read"], retry=QUICK) as reader:
        with pytest.raises(UpdateError) as caught:
            await reader.publish("my-app", build)
    assert (caught.value.status, caught.value.code) == (403, "FORBIDDEN")


async def test_wrong_fields_are_named(client, build) -> None:
    with pytest.raises(UpdateError) as caught:
        await client.publish("my-app", dataclasses.replace(build, version="v1.2"))
    assert (caught.value.status, list(caught.value.fields)) == (422, ["version"])


async def test_applications_from_creation_to_deletion(client) -> None:
    await client.update_application("my-app", ApplicationChanges(name="Renamed", config={"auto_update": True}))
    application = await client.get_application("my-app")
    assert application.name == "Renamed"
    assert application.config is not None and application.config["auto_update"] is True
    assert "linux" in application.platforms
    page = await client.list_applications()
    assert [a.id for a in page.items] == ["my-app"]
    assert (page.total_count, page.has_more) == (1, False)
    await client.delete_application("my-app")
    with pytest.raises(UpdateError) as caught:
        await client.delete_application("my-app")
    assert caught.value.code == "APPLICATION_NOT_FOUND"


async def test_releases_are_listed_filtered_and_deleted(client, build) -> None:
    await client.publish("my-app", build)
    external = ExternalBuild("1.1.0", Target("windows", "amd64"), "https://example.com/a.exe", "ab" * 32)
    receipt = await client.register("my-app", external)
    page = await client.list_releases("my-app", BuildQuery(platform="windows"))
    assert [(r.id, r.target.platform, r.checksum) for r in page.items] == [(receipt.id, "windows", "ab" * 32)]
    assert page.items[0].file_size_bytes is None
    await client.delete_release("my-app", "1.1.0", external.target)
    with pytest.raises(UpdateError) as caught:
        await client.get_release("my-app", "1.1.0", external.target)
    assert caught.value.status == 404


async def test_a_report_is_confirmed(client, build) -> None:
    await client.publish("my-app", build)
    report = InstallReport("1.0.0", "1.1.0", LINUX, "failed", "disk full", 12)
    await client.report("my-app", report)
    await client.report("my-app", report)
    assert report.report_id != InstallReport("1.0.0", "1.1.0", LINUX, "completed").report_id


@pytest.mark.parametrize("app_id", ["", ".", ".."])
async def test_an_id_that_no_path_can_carry_is_refused_before_anything_is_sent(client, app_id: str) -> None:
    with pytest.raises(UpdateError) as caught:
        await client.delete_application(app_id)
    assert caught.value.fields == {"app_id": "must not be empty"}


async def test_nobody_listening_is_unreachable(unused_tcp_port: int) -> None:
    async with UpdateClient(f"http://127.0.0.1:{unused_tcp_port}", retry=QUICK) as client:
        with pytest.raises(Unreachable, match="no answer from http://127"):
            await client.check("my-app", "1.0.0", LINUX)


async def test_a_missing_file_is_the_systems_own_error(client, build) -> None:
    missing: NewBuild = dataclasses.replace(build, path=build.path.with_name("missing"))
    with pytest.raises(FileNotFoundError):
        await client.publish("my-app", missing)


def test_this_machine_has_a_name_the_server_knows() -> None:
    machine = Target.this()
    assert (machine.platform, machine.architecture) in {("linux", "amd64"), ("linux", "arm64")}
