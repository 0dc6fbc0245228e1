"""Fetching: cut, resumed, verified, and never half a file under its name."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.conftest import LINUX, QUICK
from tests.faults import CutAnswer, FaultProxy
from updater_client import Build, DigestMismatch, ExternalBuild, Unreachable, UpdateClient, UpdateError


@pytest.fixture
async def release(client, build) -> Build:
    await client.publish("my-app", build)
    return await client.latest("my-app", LINUX)


def _through(proxy: FaultProxy, release: Build, port: int) -> Build:
    url = release.download_url.replace(str(port), str(proxy.port))
    return dataclasses.replace(release, download_url=url)


async def test_a_fetched_file_is_the_published_one(client, build, release, tmp_path: Path) -> None:
    seen = []
    target = tmp_path / "got.bin"
    fetched = await client.fetch(release, target, lambda done, total: seen.append((done, total)))
    assert target.read_bytes() == build.path.read_bytes()
    assert (fetched.received_bytes, fetched.resumed_bytes) == (5_000_000, 0)
    assert seen[-1] == (5_000_000, 5_000_000)
    assert not target.with_name("got.bin.part").exists()


async def test_what_is_already_there_is_not_fetched_again(client, release, tmp_path: Path) -> None:
    await client.fetch(release, tmp_path / "got.bin")
    again = await client.fetch(release, tmp_path / "got.bin")
    assert (again.received_bytes, again.resumed_bytes) == (0, 5_000_000)


async def test_an_older_file_is_replaced(client, build, release, tmp_path: Path) -> None:
    target = tmp_path / "got.bin"
    target.write_bytes(b"the last version")
    await client.fetch(release, target)
    assert target.read_bytes() == build.path.read_bytes()


async def test_a_cut_download_goes_on_where_it_was(server, build, release, tmp_path: Path) -> None:
    cuts = [CutAnswer(n) for n in (700_000, 1_200_000, 0, 900_000, 400_000, 300_000)]
    async with FaultProxy(server.port, cuts) as proxy, UpdateClient(proxy.url, retry=QUICK) as client:
        target = tmp_path / "got.bin"
        fetched = await client.fetch(_through(proxy, release, server.port), target)
        assert target.read_bytes() == build.path.read_bytes()
        assert fetched.received_bytes == 5_000_000
        assert proxy.connections == 7


async def test_a_download_that_never_gets_further_ends(server, release, tmp_path: Path) -> None:
    async with FaultProxy(server.port, [CutAnswer(0)] * 50) as proxy:
        async with UpdateClient(proxy.url, retry=QUICK) as client:
            with pytest.raises(Unreachable):
                await client.fetch(_through(proxy, release, server.port), tmp_path / "got.bin")
        assert proxy.connections == QUICK.attempts
    assert not (tmp_path / "got.bin").exists()


@pytest.mark.parametrize("have", [1, 65_537, 4_999_999, 5_000_000])
async def test_a_part_from_an_earlier_run_is_completed(client, build, release, tmp_path: Path, have: int) -> None:
    (tmp_path / "got.bin.part").write_bytes(build.path.read_bytes()[:have])
    fetched = await client.fetch(release, tmp_path / "got.bin")
    assert (tmp_path / "got.bin").read_bytes() == build.path.read_bytes()
    assert (fetched.resumed_bytes, fetched.received_bytes) == (have, 5_000_000 - have)


@pytest.mark.parametrize("have", [100, 5_000_000, 6_000_000])
async def test_a_part_of_something_else_is_never_spliced(client, build, release, tmp_path: Path, have: int) -> None:
    (tmp_path / "got.bin.part").write_bytes(b"x" * have)
    fetched = await client.fetch(release, tmp_path / "got.bin")
    assert (tmp_path / "got.bin").read_bytes() == build.path.read_bytes()
    assert fetched.resumed_bytes == 0


async def test_a_part_without_a_known_size_is_completed(client, build, release, tmp_path: Path) -> None:
    (tmp_path / "got.bin.part").write_bytes(build.path.read_bytes())
    await client.fetch(dataclasses.replace(release, file_size_bytes=None), tmp_path / "got.bin")
    assert (tmp_path / "got.bin").read_bytes() == build.path.read_bytes()


async def test_other_bytes_than_announced_are_not_put_in_place(client, release, tmp_path: Path) -> None:
    wrong = dataclasses.replace(release, checksum="0" * 64)
    with pytest.raises(DigestMismatch):
        await client.fetch(wrong, tmp_path / "got.bin")
    assert list(tmp_path.glob("got.bin*")) == []


async def test_more_bytes_than_announced_end_the_download(client, release, tmp_path: Path) -> None:
    with pytest.raises(DigestMismatch, match="more than the 10 bytes"):
        await client.fetch(dataclasses.replace(release, file_size_bytes=10), tmp_path / "got.bin")
    assert list(tmp_path.glob("got.bin*")) == []


async def test_an_unknown_checksum_type_is_refused(client, release, tmp_path: Path) -> None:
    with pytest.raises(UpdateError, match="unknown checksum type"):
        await client.fetch(dataclasses.replace(release, checksum_type="crc32"), tmp_path / "got.bin")


async def test_an_exception_in_the_callback_stops_and_keeps_what_came(client, release, tmp_path: Path) -> None:
    def stop(done: int, total: int | None) -> None:
        if done > 1_000_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await client.fetch(release, tmp_path / "got.bin", stop)
    kept = (tmp_path / "got.bin.part").stat().st_size
    assert kept >= 1_000_000
    fetched = await client.fetch(release, tmp_path / "got.bin")
    assert fetched.resumed_bytes == kept


class Elsewhere:
    """Another host: redirects, then serves a file with tags of its own, and tells what it was sent."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.requests: list[dict[str, str]] = []
        self.replacement = b""

    def build(self) -> web.Application:
        app = web.Application()
        app.add_routes([web.get("/go", self.go), web.get("/files/{name}", self.serve)])
        return app

    async def go(self, request: web.Request) -> web.Response:
        raise web.HTTPFound("/files/Setup%20(1).exe")

    async def serve(self, request: web.Request) -> web.Response:
        self.requests.append(dict(request.headers))
        if len(self.requests) > 1 and self.replacement:
            self.content = self.replacement
        tag, wanted = f'"{self.content[:1].hex()}"', request.headers.get("Range")
        if wanted and request.headers.get("If-Range", tag) == tag:
            start = int(wanted[6:-1])
            where = f"bytes {start}-{len(self.content) - 1}/{len(self.content)}"
            headers = {"ETag": tag, "Content-Range": where}
            return web.Response(status=206, body=self.content[start:], headers=headers)
        return web.Response(body=self.content, headers={"ETag": tag})


@pytest.mark.parametrize("kind", ["sha256", "sha512", "sha1", "md5"])
async def test_a_file_on_another_host_is_resumed_and_verified_without_showing_the_key(
    server, tmp_path: Path, kind: str
) -> None:
    elsewhere = Elsewhere(bytes(range(256)) * 8000)
    checksum = hashlib.new(kind, elsewhere.content).hexdigest()
    async with (
        TestServer(elsewhere.build()) as running,
        FaultProxy(running.port or 0, [CutAnswer(500_000)]) as proxy,
        UpdateClient(server.url, server.key, retry=QUICK) as client,
    ):
        release = Build("1.0.0", LINUX, f"{proxy.url}/go", checksum, kind)
        assert await client.find_file_name(release) == "Setup (1).exe"
        proxy.faults.append(CutAnswer(500_000))
        elsewhere.requests.clear()
        fetched = await client.fetch(release, tmp_path / "got.exe")
    assert (tmp_path / "got.exe").read_bytes() == elsewhere.content
    assert fetched.checksum_type == kind
    assert all("Authorization" not in headers for headers in elsewhere.requests)


async def test_a_file_replaced_between_cut_and_resumption_is_taken_anew(server, tmp_path: Path) -> None:
    elsewhere = Elsewhere(b"old" * 500_000)
    elsewhere.replacement = b"new" * 500_000
    async with (
        TestServer(elsewhere.build()) as running,
        FaultProxy(running.port or 0, [CutAnswer(500_000)]) as proxy,
        UpdateClient(server.url, retry=QUICK) as client,
    ):
        checksum = hashlib.sha256(elsewhere.replacement).hexdigest()
        release = Build("1.0.0", LINUX, f"{proxy.url}/files/a", checksum, "sha256", 1_500_000)
        await client.fetch(release, tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == elsewhere.replacement
    assert [headers.get("If-Range") for headers in elsewhere.requests] == [None, '"6f"']


async def test_without_a_key_a_hosted_build_is_found_by_its_tag(server, build, release, tmp_path) -> None:
    async with UpdateClient(server.url, retry=QUICK) as client:
        found = await client.get_release("my-app", "1.1.0", LINUX)
        assert (found.checksum, found.file_size_bytes) == (release.checksum, 5_000_000)
        await client.fetch(found, tmp_path / "got.bin")


async def test_the_servers_own_address_leads_to_a_registered_file(client, server, tmp_path: Path) -> None:
    elsewhere = Elsewhere(b"installer" * 100_000)
    checksum = hashlib.sha512(elsewhere.content).hexdigest()
    async with TestServer(elsewhere.build()) as running, UpdateClient(server.url, retry=QUICK) as anybody:
        url = str(running.make_url("/files/a.msi"))
        await client.register("my-app", ExternalBuild("3.0.0", LINUX, url, checksum.upper(), "sha512"))
        own = f"{server.url}/api/v1/updates/my-app/download/3.0.0/linux/amd64"
        found = await client.get_release("my-app", "3.0.0", LINUX)
        await client.fetch(dataclasses.replace(found, download_url=own), tmp_path / "a.msi")
        with pytest.raises(UpdateError, match="a key is needed"):
            await anybody.get_release("my-app", "3.0.0", LINUX)
    assert (tmp_path / "a.msi").read_bytes() == elsewhere.content
    assert all("Authorization" not in headers for headers in elsewhere.requests)


@pytest.mark.parametrize("url", ["ftp://example.com/a", "https:///a", "http://x/\x01", "file:///etc/passwd"])
async def test_an_address_that_is_none_is_refused(client, release, tmp_path: Path, url: str) -> None:
    with pytest.raises(UpdateError) as caught:
        await client.fetch(dataclasses.replace(release, download_url=url), tmp_path / "got.bin")
    assert caught.value.code == "INVALID_ADDRESS"
