"""Downloads from an object store: redirected to it, or streamed through, with the answers of local files."""

from __future__ import annotations

import asyncio
import hashlib
import io
import random
import shutil
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import ClientResponse
from playwright.async_api import Browser, async_playwright
from yarl import URL

from tests.conftest import LINUX, QUICK, NewDatabase, Service, StartService
from tests.servers.buckets import Buckets
from tests.web.at_once import ask, comparable, connected, head, the_usual_way
from updater.artifacts import presigning
from updater.artifacts.location import parse_location
from updater.artifacts.presigning import Signed, Signing
from updater.artifacts.remote import RemoteBlobStore
from updater.web.server.at_once import AtOnce
from updater.web.transfer.delivery import DELIVERY, SignedAddresses
from updater.web.transfer.ranged import Download, content_disposition
from updater_client import UpdateClient

DATA = random.Random(9).randbytes(3_000_017)
DIGEST = hashlib.sha256(DATA).hexdigest()
ETAG = f'"{DIGEST}"'
PATH = "/api/v1/updates/my-app/download/1.0.0/linux/amd64"
# What differs between any two answers of any service.
_OWN = {"date", "x-request-id", "last-modified"}


@pytest.fixture
async def remote(buckets: Buckets, start_service: StartService, new_database: NewDatabase, tmp_path: Path) -> Any:
    """Return a function that starts a service on an object store, with one build, each in its own folder."""

    async def start(**storage: Any) -> Service:
        blob_url, root = buckets.url(buckets.make_bucket(), "apps"), str(tmp_path / f"{len(list(tmp_path.iterdir()))}")
        place = {"blob_url": blob_url, "root": root, "database_url": new_database()}
        service = await start_service(storage={**place, **storage})
        await service.application()
        await service.publish(io.BytesIO(DATA), file_name="my-app.AppImage")
        return service

    return start


async def in_one_piece() -> AsyncIterator[bytes]:
    yield DATA


async def get(service: Service, method: str = "GET", **headers: str) -> tuple[ClientResponse, bytes]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await service.exchange(method, PATH, headers=named)


async def follow(service: Service, location: str, **headers: str) -> tuple[int, Mapping[str, str], bytes]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with service.session.get(URL(location, encoded=True), headers=named) as response:
        return response.status, response.headers, await response.read()


def lifetime_s(location: str) -> float:
    """Read from a signed address how long it works."""
    query = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
    if "se" in query:  # Azure
        return (datetime.fromisoformat(query["se"]) - datetime.fromisoformat(query["st"])).total_seconds()
    return float(query["X-Amz-Expires"])


CASES: list[dict[str, str]] = [
    {},
    {"Range": "bytes=5-99"},
    {"Range": "bytes=-1000"},
    {"Range": "bytes=2999999-"},
    {"Range": "bytes=3000016-3000016"},
    {"Range": "bytes=99999999-"},
    {"Range": "bytes=0-9,20-29,2999990-"},
    {"Range": "bytes=0-1999999,100-1500000"},
    {"Range": "pages=1-2"},
    {"Range": "bytes=9-5"},
    {"If-None-Match": ETAG},
    {"If-None-Match": '"other"'},
    {"If-Match": '"other"'},
    {"If-Match": ETAG, "Range": "bytes=7-8"},
    {"If-Range": ETAG, "Range": "bytes=7-8"},
    {"If-Range": '"other"', "Range": "bytes=7-8"},
]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_streamed_answers_equal_local_ones(remote: Any, method: str) -> None:
    streaming = await remote(remote_downloads="stream")
    assert isinstance(streaming.services.artifacts.blobs, RemoteBlobStore)
    local = await remote(blob_url=None)
    for headers in CASES:
        answers = [await service.exchange(method, PATH, headers=headers) for service in (streaming, local)]
        (ours, our_body), (theirs, their_body) = answers
        assert ours.status == theirs.status, headers
        assert our_body == their_body, headers
        shown = [{k: v for k, v in each.headers.items() if k.lower() not in _OWN} for each in (ours, theirs)]
        assert shown[0] == shown[1], headers


async def test_redirected_answers_are_the_local_ones(remote: Any) -> None:
    """Status and bytes are the same, whether the service, nginx or the object store sends them."""
    redirecting, local = await remote(), await remote(blob_url=None)
    for headers in CASES:
        answer, body = await redirecting.exchange("GET", PATH, headers=headers)
        status = answer.status
        if status == 302:
            status, _, body = await follow(redirecting, answer.headers["Location"], **headers)
        expected, expected_body = await local.exchange("GET", PATH, headers=headers)
        if "If-Range" in headers and status == 206:  # the stores pass over it, and have these bytes alone
            assert body == DATA[7:9]
            continue
        assert status == expected.status, headers
        if status in (200, 206) and "," not in headers.get("Range", ""):
            assert body == expected_body, headers


async def test_a_download_is_redirected_to_a_signed_address(remote: Any) -> None:
    service = await remote(signed_url_s=600)
    answer, body = await get(service)
    assert (answer.status, body) == (302, b"")
    assert answer.headers["Cache-Control"] == "no-store"
    location = answer.headers["Location"]
    assert lifetime_s(location) == 600
    status, headers, body = await follow(service, location)
    assert (status, body) == (200, DATA)
    assert headers["Content-Disposition"] == content_disposition("my-app.AppImage")
    assert headers["Content-Type"] == "application/octet-stream"
    # A second client gets the same address, and a changed one is refused by the store.
    assert (await get(service))[0].headers["Location"] == location
    for part, other in ((DIGEST[:8], "0" * 8), ("my-app", "not-my-app")):
        assert (await follow(service, location.replace(part, other)))[0] == 403


@pytest.mark.parametrize("name", ["setup.exe", 'My "App" (x64)+1 & co; 100%.exe', "Größe 安装.exe", "安" * 180])
async def test_a_store_answers_with_the_name_that_was_signed(buckets: Buckets, service: Service, name: str) -> None:
    store = RemoteBlobStore(parse_location(buckets.url(buckets.make_bucket(), "a/prefix")))
    staged = await store.receive(in_one_piece())
    await staged.place()
    signed = await store.sign(DIGEST, 60, content_disposition(name))
    assert signed.names_file
    for headers in ({}, {"Range": "bytes=0-9"}):
        status, answered, body = await follow(service, signed.address, **headers)
        assert (status, body) == ((206, DATA[:10]) if headers else (200, DATA))
        assert answered["Content-Disposition"] == content_disposition(name)


async def test_a_signed_address_ends(buckets: Buckets, service: Service) -> None:
    store = RemoteBlobStore(parse_location(buckets.url(buckets.make_bucket())))
    await (await store.receive(in_one_piece())).place()
    signed = await store.sign(DIGEST, 2, "attachment")
    assert (await follow(service, signed.address))[0] == 200
    await asyncio.sleep(3)
    assert (await follow(service, signed.address))[0] == 403


def test_an_address_that_somebody_else_signed_is_left_alone() -> None:
    """The role of a machine signs with another key than the one in the options, or with none of ours."""
    import obstore
    from obstore.store import S3Store

    key = "s3://b?access_key_id=a&secret_access_key="
    address = obstore.sign(S3Store("b", access_key_id="a", secret_access_key="one"), "GET", "k", timedelta(seconds=60))
    assert Signing(parse_location(f"{key}one")).name(address, "x").names_file
    for other in (f"{key}two", "s3://b", "az://b?account_name=a&account_key=b25l", "gs://b"):
        assert Signing(parse_location(other)).name(address, "x") == (address, False)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    async with async_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-dev-shm-usage"]
        browser = await playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield browser
        await browser.close()


@pytest.mark.parametrize("named", [True, False], ids=["named", "nameless"])
async def test_a_browser_saves_the_file_under_its_name(
    remote: Any, browser: Browser, named: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not named:  # as with the role of a machine
        monkeypatch.setattr(presigning, "_find_scheme", lambda _: None)
    service = await remote()
    page = await browser.new_page()
    for link in (f'<a href="{PATH}">get</a>', f'<a href="{PATH}" download>get</a>'):
        await page.goto(f"{service.url}/health")
        await page.set_content(link)
        async with page.expect_download() as started:
            await page.click("a")
        download = await started.value
        assert download.suggested_filename == "my-app.AppImage"
        assert Path(await download.path()).read_bytes() == DATA
        assert download.url.startswith(service.url) is not named
    # What installers and scripts fetch is redirected in any case.
    assert (await get(service))[0].status == 302


@pytest.mark.parametrize("named", [True, False], ids=["named", "nameless"])
async def test_curl_follows(remote: Any, named: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not named:
        monkeypatch.setattr(presigning, "_find_scheme", lambda _: None)
    service = await remote()
    folder = tmp_path / "downloads"
    folder.mkdir()
    child = await asyncio.create_subprocess_exec("curl", "-fsSLOJ", service.url + PATH, cwd=folder)
    assert await child.wait() == 0
    [file] = folder.iterdir()
    assert file.read_bytes() == DATA
    if named:
        assert file.name == "my-app.AppImage"


@pytest.mark.parametrize("asked", ["bytes=5-99", "bytes=2999999-"])
async def test_a_single_range_is_redirected(remote: Any, asked: str) -> None:
    service = await remote()
    answer, _ = await get(service, Range=asked)
    assert answer.status == 302
    status, headers, body = await follow(service, answer.headers["Location"], Range=asked)
    start, stop = {"bytes=5-99": (5, 100), "bytes=2999999-": (2999999, None)}[asked]
    assert (status, body) == (206, DATA[start:stop])
    assert headers["Content-Range"].endswith(f"/{len(DATA)}")
    # The store's own tag resumes what the store began.
    resumed = {"Range": asked, "If_Range": headers["ETag"]}
    again, _ = await get(service, **resumed)
    assert again.status == 302
    assert (await follow(service, again.headers["Location"], **resumed))[0] == 206


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("HEAD", {}, 200),
        ("GET", {"If_None_Match": ETAG}, 304),
        ("GET", {"If_None_Match": "*"}, 304),
        ("GET", {"If_Match": ETAG}, 200),
        ("GET", {"If_Range": ETAG, "Range": "bytes=1-9"}, 206),
        ("GET", {"Range": "bytes=0-4,10-14"}, 206),
        ("GET", {"Range": "bytes=-10"}, 206),
        ("GET", {"Range": "pages=1-2"}, 200),
        ("GET", {"Range": "bytes=9-5"}, 200),
        ("GET", {"Range": f"bytes={'9' * 5000}-"}, 416),
    ],
)
async def test_what_the_store_would_answer_differently_is_answered_here(
    remote: Any, method: str, headers: dict[str, str], status: int
) -> None:
    answer, _ = await get(await remote(), method, **headers)
    assert answer.status == status
    assert answer.headers["ETag"] == ETAG


async def test_handed_over_downloads_are_counted(remote: Any) -> None:
    service = await remote()
    for headers in ({}, {"Range": "bytes=0-9"}, {"Range": f"bytes=10-{len(DATA)}"}, {"Range": "bytes=10-19"}):
        assert (await get(service, **headers))[0].status == 302
    async with asyncio.timeout(30):  # counts are written behind the answers
        while await service.services.telemetry.download_counts(1) != (2, 2):
            await asyncio.sleep(0.02)


async def test_a_known_address_is_answered_where_the_request_is_read(made: list[AtOnce], remote: Any) -> None:
    """Controls: `_ANSWERED_WITHIN_S` of a lifetime; an address that is always said to be known."""
    service = await remote()
    (at_once,) = made
    cases: list[tuple[tuple[str, ...], bool]] = [((), True), (("Range: bytes=0-9",), True)]
    cases += [(("Range: bytes=-9",), False), ((f"If-None-Match: {ETAG}",), False)]
    cases.append((("If-Range: x", "Accept: text/html"), True))
    async with connected(service) as streams:
        for path in (PATH, f"{PATH}/my-app.AppImage"):
            assert (await ask(streams, head(path))).status == 302
            for each, is_redirected in cases:
                before = at_once.answered
                mine = await ask(streams, head(path, *each))
                assert at_once.answered - before == is_redirected == (mine.status == 302), each
                with the_usual_way(at_once):
                    assert comparable(await ask(streams, head(path, *each))) == comparable(mine)
        # Signing may ask the store.
        addresses, before = at_once._application[DELIVERY]._addresses, at_once.answered
        assert addresses is not None
        addresses._kept.clear()
        assert ((await ask(streams, head(PATH))).status, at_once.answered) == (302, before)
    async with asyncio.timeout(30):
        # Of each path, five whole ones begin and end, and one more; the first ten bytes of each begin twice.
        while await service.services.telemetry.download_counts(1) != (15, 11):
            await asyncio.sleep(0.02)


async def test_the_client_fetches_and_resumes_through_redirects(remote: Any, tmp_path: Path) -> None:
    service = await remote()
    target = tmp_path / "app.bin"
    target.with_name("app.bin.part").write_bytes(DATA[:1_000_000])
    async with UpdateClient(service.url, None, retry=QUICK) as client:
        release = await client.latest("my-app", LINUX)
        fetched = await client.fetch(release, target)
    assert target.read_bytes() == DATA
    assert fetched.resumed_bytes == 1_000_000


async def test_a_missing_object_is_503_before_anything_is_sent(remote: Any) -> None:
    service = await remote(remote_downloads="stream")
    await service.services.artifacts.blobs.delete(DIGEST)
    answer, _ = await get(service)
    assert answer.status == 503
    assert (await get(service, Range="bytes=0-4,10-14"))[0].status == 503


async def test_a_signed_address_is_handed_out_for_half_of_its_life() -> None:
    now_s, count = 0.0, 0

    async def sign(digest: str, lifetime_s: int, disposition: str) -> Signed:
        nonlocal count
        count += 1
        return Signed(f"{digest}-{lifetime_s}-{count}-{disposition.split(';')[1]}", names_file=True)

    addresses = SignedAddresses(sign, 100, lambda: now_s)
    one, other = (Download(Path(), "a", 1, f"{name}.exe") for name in ("one", "other"))
    assert addresses.find("a", "one.exe") is None
    first = await addresses.make(one)
    assert first.address == 'a-100-1- filename="one.exe"'
    now_s = 49
    assert addresses.find("a", "one.exe") == first
    assert addresses.find("a", "one.exe", for_s=0.9) == first
    assert addresses.find("a", "one.exe", for_s=1) is None
    assert addresses.find("a", "other.exe") is None
    assert (await addresses.make(other)).address == 'a-100-2- filename="other.exe"'
    now_s = 50
    assert addresses.find("a", "one.exe") is None
    again = await addresses.make(one)
    assert again.address == 'a-100-3- filename="one.exe"'
    assert addresses.find("a", "one.exe") == again
