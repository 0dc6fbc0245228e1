"""What all feeds share: who asks, rollouts, what is kept and read, what is counted, private applications.

Controls: the client's version in the key as it is, the task of a reading not shared, the identity read for `manual`,
the rungs of the index left out of the snapshot, one group for all channels in `FeedStore`: each turns red.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from yarl import URL

from tests.actors import TESTER
from tests.conftest import KEYS, StartService
from tests.feeds.filing import publish
from tests.stored import settle
from updater.catalog.platforms import Target
from updater.offers.feed_store import FeedStore
from updater.telemetry.model import UNKNOWN, ClientFacts

LINUX, MAC, WINDOWS = Target("linux", "amd64"), Target("darwin", "amd64"), Target("windows", "amd64")
YML = "/feeds/my-app/stable/electron/latest-linux.yml"
SQUIRREL = "/feeds/my-app/stable/squirrel/darwin-x64"
RELEASES = "/api/v1/updates/my-app/releases"


async def image(feeds: Any, version: str, **more: Any) -> Any:
    made = await publish(feeds, version, LINUX, {"app.AppImage": version.encode()}, **more)
    await settle(feeds)
    return made


async def shown(feeds: Any, query: str = "", path: str = YML, **headers: str) -> str:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    _, body = await feeds.exchange("GET", f"{path}{query}", status=200, headers=named)
    version: str = json.loads(body)["version"]
    return version


async def under_rollout(feeds: Any, version: str, percent: float) -> None:
    await feeds.call("PUT", f"{RELEASES}/{version}/rollout", key="admin", status=200, json={"percent": percent})
    await settle(feeds)


# -- who asks


async def test_the_clients_version_decides_what_is_new(feeds: Any) -> None:
    await image(feeds, "1.0.0")
    await image(feeds, "2.0.0", minimum_version="1.0.0")
    await image(feeds, "3.0.0", minimum_version="2.0.0")
    assert await shown(feeds) == "2.0.0", "all published releases meet this minimum, not everybody the next one"
    for query, version in (
        ("current_version=1.0.0", "2.0.0"),
        ("current_version=2.0.0", "3.0.0"),
        ("current_version=1.0.0%2Bb1", "2.0.0"),
        ("current_version=1.0.0+b1", "2.0.0"),
        ("localVersion=2.1.0", "3.0.0"),
        ("current_version=2.0.0&localVersion=1.0.0", "3.0.0"),
        ("current_version=nonsense&localVersion=2.0.0", "3.0.0"),
        ("current_version=" + "1" * 200, "2.0.0"),
        ("current_version=&noCache=1k8bd", "2.0.0"),
        ("bundle={{bundle_type}}&a=%ff%00", "2.0.0"),
    ):
        assert await shown(feeds, f"?{query}") == version, query


async def test_a_client_is_required_to_take_what_skips_a_required_release(feeds: Any) -> None:
    await image(feeds, "1.0.0")
    await image(feeds, "1.1.0", required=True)
    await image(feeds, "1.2.0")

    async def required(query: str) -> bool:
        _, body = await feeds.exchange("GET", f"{YML}{query}", status=200)
        found: bool = json.loads(body)["required"]
        return found

    assert [await required(f"?current_version={each}") for each in ("1.0.0", "1.1.0", "1.2.0")] == [True, False, False]
    assert not await required("")


async def test_pre_releases_are_for_other_channels_or_for_those_who_ask(feeds: Any) -> None:
    await image(feeds, "1.0.0")
    await image(feeds, "1.1.0-rc.1")
    assert await shown(feeds) == "1.0.0"
    assert await shown(feeds, "?allow_prerelease=true") == "1.1.0-rc.1"
    assert await shown(feeds, path=YML.replace("/stable/", "/beta/")) == "1.1.0-rc.1"


async def test_ids_and_flags_that_are_none_are_refused_by_name(feeds: Any) -> None:
    await image(feeds, "1.0.0")
    for query, field in (
        ("client_id=" + "x" * 201, "client_id"),
        ("client_id=%01", "client_id"),
        ("manual=maybe", "manual"),
    ):
        answer = await feeds.call("GET", f"{YML}?{query}", status=422)
        assert answer["errors"].keys() == {field}, query


# -- rollouts


async def test_a_client_outside_a_rollout_sees_the_release_before(feeds: Any) -> None:
    await image(feeds, "1.0.0")
    await image(feeds, "1.1.0")
    await publish(feeds, "1.0.0", MAC, {"App.zip": b"1"})
    await publish(feeds, "1.1.0", MAC, {"App.zip": b"2"})
    await under_rollout(feeds, "1.1.0", 50)
    ids = [f"client-{number}" for number in range(40)]
    seen = [await shown(feeds, f"?client_id={each}") for each in ids]
    assert set(seen) == {"1.0.0", "1.1.0"}
    for header in ("X_Client_Id", "x_user_staging_id"):
        assert [await shown(feeds, **{header: each}) for each in ids] == seen, header
    assert [await shown(feeds, f"?stagingId={each}") for each in ids] == seen
    outside = ids[seen.index("1.0.0")]
    assert await shown(feeds, f"?client_id={outside}&manual=true") == "1.1.0"
    response, _ = await feeds.exchange("GET", f"{YML}?client_id={outside}", status=200)
    assert response.headers["Cache-Control"] == "private, no-store"
    response, _ = await feeds.exchange("GET", f"{YML}?client_id={outside}&current_version=1.1.0", status=200)
    assert response.headers["Cache-Control"] == "private, no-store", "who has it is shown the one before, or itself"
    for inside, status in ((False, 204), (True, 200)):
        each = ids[seen.index("1.1.0" if inside else "1.0.0")]
        response, _ = await feeds.exchange("GET", f"{SQUIRREL}/1.0.0?client_id={each}", status=status)
        assert response.headers["Cache-Control"] == "private, no-store"
    response, _ = await feeds.exchange("GET", f"{SQUIRREL}/1.1.0?client_id={outside}", status=204)
    assert response.headers["Cache-Control"] == "no-cache", "no dice can make it new"
    await under_rollout(feeds, "1.1.0", 100)
    assert {await shown(feeds, f"?client_id={each}") for each in ids} == {"1.1.0"}
    response, _ = await feeds.exchange("GET", YML, status=200)
    assert response.headers["Cache-Control"] == "no-cache"


async def test_a_withdrawal_is_obeyed_at_once(feeds: Any) -> None:
    await image(feeds, "1.0.0")
    await image(feeds, "1.1.0")
    assert await shown(feeds) == "1.1.0"
    await feeds.call("POST", f"{RELEASES}/1.1.0/withdraw", key="admin", status=200, json={})
    assert await shown(feeds) == "1.0.0"
    await feeds.call("POST", f"{RELEASES}/1.0.0/withdraw", key="admin", status=200, json={})
    await feeds.exchange("GET", YML, status=404)


# -- what is read, and kept


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the applications whose feeds were read, in order; each reading takes a moment."""
    found: list[str] = []
    load = FeedStore.load

    async def slowly(self: FeedStore, application_id: str, *more: Any, **other: Any) -> Any:
        found.append(application_id)
        await asyncio.sleep(0.05)
        return await load(self, application_id, *more, **other)

    monkeypatch.setattr(FeedStore, "load", slowly)
    return found


async def test_an_application_is_read_once_however_many_ask(feeds: Any, readings: list[str]) -> None:
    await image(feeds, "1.0.0")
    assert readings == []
    await asyncio.gather(*(shown(feeds, f"?current_version=0.{number}.0") for number in range(20)))
    assert readings == ["my-app"]
    await shown(feeds)
    await publish(feeds, "1.0.0", LINUX, {"a.deb": b"x"}, application_id="other")
    await settle(feeds)
    await shown(feeds)
    assert readings == ["my-app"], "another application's change is none of ours"
    await image(feeds, "1.1.0")
    assert [await shown(feeds) for _ in range(3)] == ["1.1.0"] * 3
    assert readings == ["my-app"] * 2


async def test_a_change_during_a_reading_is_not_missed(feeds: Any, readings: list[str]) -> None:
    await image(feeds, "1.0.0")
    asked = asyncio.create_task(shown(feeds))
    while not readings:
        await asyncio.sleep(0.005)
    await image(feeds, "1.1.0")
    assert await shown(feeds) == "1.1.0"
    assert await asked in ("1.0.0", "1.1.0")
    assert await shown(feeds) == "1.1.0"


async def test_inventions_take_no_memory(feeds: Any) -> None:
    await image(feeds, "1.0.0")
    await image(feeds, "1.1.0", minimum_version="0.5.0")
    await under_rollout(feeds, "1.1.0", 50)
    shelf = feeds.services.offers.present("my-app").answers
    await shown(feeds)
    service, links = feeds.services.feeds, feeds.url
    for number in range(300):
        path = YML.replace("/stable/", f"/channel-{number}/")
        await shown(feeds, f"?client_id=c-{number}&noCache={number}&current_version=0.0.{number}", path=path)
    assert feeds.services.offers.present("my-app").answers is shelf
    assert len(shelf) <= 8, (service, links)


async def test_the_snapshots_of_many_applications_are_bounded(feeds: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("updater.feeds.service.MAX_SNAPSHOT_BYTES", 10_000)
    ids = [f"app-{number}" for number in range(6)]
    for each in ids:
        await feeds.services.catalog.create_application(each, name=each, platforms=("linux",), extra={}, actor=TESTER)
        await image(feeds, "1.0.0", application_id=each)
    for each in ids:
        assert await shown(feeds, path=YML.replace("my-app", each)) == "1.0.0"
    held = [feeds.services.offers.present(each).feeds.held is not None for each in ids]
    assert held == [False, False, False, True, True, True] or held == [False] * 3 + [False, True, True], held
    assert await shown(feeds, path=YML.replace("my-app", ids[0])) == "1.0.0"


async def test_many_pre_releases_hide_no_release(feeds: Any) -> None:
    await image(feeds, "1.0.0")
    for number in range(52):
        await image(feeds, f"1.1.0-nightly.{number}", channel="nightly")
    assert await shown(feeds) == "1.0.0"
    assert await shown(feeds, path=YML.replace("/stable/", "/nightly/")) == "1.1.0-nightly.51"


async def test_a_stepping_stone_is_found_however_old_it_is(feeds: Any) -> None:
    await image(feeds, "1.0.0")
    await image(feeds, "1.5.0")
    for number in range(51):
        await image(feeds, f"2.{number}.0", minimum_version="1.5.0")
    assert await shown(feeds, "?current_version=1.0.0") == "1.5.0"
    assert await shown(feeds, "?current_version=1.5.0") == "2.50.0"
    assert await shown(feeds) == "1.5.0"


# -- what is counted


async def test_an_answer_is_one_check(feeds: Any) -> None:
    await image(feeds, "1.0.0")
    await publish(feeds, "1.0.0", WINDOWS, {"Setup.exe": b"x"})
    counter = feeds.services.telemetry.checks
    counter.take()
    await shown(feeds, "?current_version=0.9.0")
    response, _ = await feeds.exchange("GET", YML, status=200)
    await feeds.exchange("GET", YML, status=304, headers={"If-None-Match": response.headers["ETag"]})
    await feeds.exchange("GET", f"{SQUIRREL}/0.8.0", status=204)
    await shown(feeds, path="/feeds/my-app/stable/electron/latest.yml")
    await feeds.exchange("GET", "/feeds/my-app/stable/electron/latest-mac.yml", status=404)
    assert counter.take().asked == {
        ClientFacts("my-app", "0.9.0", "linux/amd64"): 1,
        ClientFacts("my-app", UNKNOWN, "linux/amd64"): 2,
        ClientFacts("my-app", "0.8.0", "darwin/amd64"): 1,
        ClientFacts("my-app", UNKNOWN, UNKNOWN): 1,
    }


async def test_feeds_count_as_downloads_and_run_beside_them(start_service: StartService) -> None:
    limits = {"enabled": True, "anonymous_per_minute": 3, "downloads_per_minute": 8, "downloads_at_once": 1}
    feeds = await start_service(rate_limit=limits)
    await feeds.application()
    statuses = []
    for _ in range(9):
        response, _ = await feeds.exchange("GET", f"{SQUIRREL}/1.0.0?client_id=c")
        statuses.append(response.status)
    assert statuses == [204] * 8 + [429]


# -- private applications


async def test_a_private_application_keeps_its_feeds_to_itself(feeds: Any) -> None:
    await image(feeds, "1.0.0")
    await feeds.services.catalog.update_application("my-app", {"private": True}, actor=TESTER)
    await feeds.exchange("GET", YML, status=401)
    _, key = await feeds.services.access.create_key("laptops", "feed", application="my-app", actor=TESTER)
    response, body = await feeds.exchange("GET", f"/k/{key}{YML}", status=200)
    assert response.headers["Cache-Control"] == "private, no-cache"
    url = json.loads(body)["files"][0]["url"]
    assert url.startswith(f"{feeds.url}/k/{key}/api/v1/updates/my-app/download/1.0.0/linux/amd64/")
    response, body = await feeds.exchange("GET", YML, status=200, headers={"Authorization": f"Bearer {key}"})
    assert json.loads(body)["files"][0]["url"].startswith(f"{feeds.url}/api/")
    _, other = await feeds.services.access.create_key("others", "feed", application="other", actor=TESTER)
    await feeds.exchange("GET", f"/k/{other}{YML}", status=403)
    await feeds.exchange("GET", YML, status=200, headers={"Authorization": f"Bearer {KEYS['read']}"})


# -- hostile addresses


async def test_hostile_addresses_are_answered(feeds: Any) -> None:
    """No address is an error of the server, or leads anywhere else."""
    await image(feeds, "1.0.0")
    base = "/feeds/my-app/stable"
    odd = (
        "..",
        "%2e%2e",
        "..%2f..%2fetc",
        "%00",
        "%0d%0aX:%20y",
        "%ff%fe",
        "%ed%a0%80",
        "a" * 3_000,
        "%F0%9F%92%A9",
        "{x}",
    )
    shapes = (
        "electron/{}",
        "electron/{}-linux.yml",
        "squirrel/{}/1.0.0",
        "squirrel/win32/{}",
        "squirrel/win32/{}/RELEASES",
        "squirrel/win32/1.0.0/{}",
        "squirrel/win32/{}.nupkg",
        "velopack/{}/releases.win.json",
        "velopack/win-x64/{}",
        "velopack/win-x64/releases.{}.json",
        "tauri/linux/x86_64/{}",
        "appcast/{}.xml",
        "appimage/{}.zsync",
        "scoop/{}.json",
    )
    for shape in shapes:
        for each in odd:
            for method in ("GET", "HEAD"):
                url = URL(f"{feeds.url}{base}/{shape.format(each)}", encoded=True)
                async with feeds.session.request(method, url, allow_redirects=False) as response:
                    assert response.status in (200, 204, 400, 404, 422), (shape, each, response.status)
                    assert "X" not in response.headers
    for channel in ("..", "%00", "%2e%2e%2f", "a" * 3_000, "%ed%a0%80"):
        url = URL(f"{feeds.url}/feeds/my-app/{channel}/electron/latest-linux.yml", encoded=True)
        async with feeds.session.get(url) as response:
            assert response.status in (200, 400, 404), (channel, response.status)
    for query in (
        "client_id=%ff",
        "stagingId=" + "x" * 3_000,
        "client_id=a&client_id=b",
        "&&&==&%",
        "manual=true&manual=no",
    ):
        url = URL(f"{feeds.url}{YML}?{query}", encoded=True)
        async with feeds.session.get(url) as response:
            assert response.status in (200, 422), (query, response.status)
