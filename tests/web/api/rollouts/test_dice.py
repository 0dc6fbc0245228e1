"""Which build a client gets while releases are under rollout: DE-1 to DE-10 of the contract."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tests.web.api.rollouts.releasing import LINUX, UPDATES, check, move, offered, put, release, shown


def is_inside(salt: str, identity: str, percent: float) -> bool:
    """The rule in the contract's own words."""
    u = int.from_bytes(hashlib.sha256(f"{salt}:{identity}".encode()).digest()[:8], "big")
    return u * 10_000 < round(100 * percent) * 2**64


def an_id(salt: str, percent: float, *, inside: bool) -> str:
    return next(f"c-{n}" for n in range(10_000) if is_inside(salt, f"c-{n}", percent) is inside)


async def rolled_out(service: Any, percent: float = 30) -> str:
    """Publish 1.0.0 for everybody and 1.1.0 for some; return the salt."""
    await release(service, "1.0.0")
    await release(service, "1.1.0", rollout=percent)
    salt: str = (await shown(service, "1.1.0"))["salt"]
    return salt


async def test_who_is_inside_by_the_rule(staged: Any) -> None:
    salt = await rolled_out(staged)
    for number in range(60):
        identity = f"client-{number}"
        expected = "1.1.0" if is_inside(salt, identity, 30) else "1.0.0"
        assert await offered(staged, client_id=identity) == expected


@pytest.mark.parametrize("source", ["client_id", "X-Client-Id", "x-user-staging-id", "stagingId", "body"])
async def test_every_source_of_an_identity(staged: Any, source: str) -> None:
    salt = await rolled_out(staged)
    for inside in (True, False):
        identity = an_id(salt, 30, inside=inside)
        query = {"current_version": "0.1.0", **LINUX}
        headers = {source: identity} if source.lower().startswith("x-") else {}
        if source in ("client_id", "stagingId"):
            query[source] = identity
        if source == "body":
            body = {"application_id": "my-app", **query, "client_id": identity}
            answer = await staged.call("POST", "/api/v1/check", json=body, status=200)
        else:
            answer = await staged.call("GET", f"{UPDATES}/check", params=query, headers=headers, status=200)
        assert answer["latest_version"] == ("1.1.0" if inside else "1.0.0")


async def test_the_first_source_counts(staged: Any) -> None:
    salt = await rolled_out(staged)
    inside, outside = an_id(salt, 30, inside=True), an_id(salt, 30, inside=False)
    query = {"current_version": "0.1.0", **LINUX, "client_id": inside, "stagingId": outside}
    headers = {"X-Client-Id": outside, "x-user-staging-id": outside}
    answer = await staged.call("GET", f"{UPDATES}/check", params=query, headers=headers, status=200)
    assert answer["latest_version"] == "1.1.0"
    query["client_id"] = ""
    answer = await staged.call("GET", f"{UPDATES}/check", params=query, headers={"X-Client-Id": outside}, status=200)
    assert answer["latest_version"] == "1.0.0"
    query["stagingId"] = inside
    answer = await staged.call("GET", f"{UPDATES}/check", params=query, headers={"X-Client-Id": "x" * 201}, status=200)
    assert answer["latest_version"] == "1.1.0", "a header that does not fit counts as not given"


@pytest.mark.parametrize(
    ("address", "identity"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
    ],
)
async def test_without_an_id_the_address_counts(staged: Any, address: str, identity: str) -> None:
    salt = await rolled_out(staged)
    for percent in (30, 70):
        await put(staged, "1.1.0", {"percent": percent})
        answer = await staged.call(
            "GET",
            f"{UPDATES}/check",
            params={"current_version": "0.1.0", **LINUX},
            headers={"X-Forwarded-For": address},
            status=200,
        )
        assert answer["latest_version"] == ("1.1.0" if is_inside(salt, identity, percent) else "1.0.0")


@pytest.mark.parametrize("client_id", ["x" * 201, "a\x00b", "a\nb", "\u200b"])
async def test_a_client_id_that_does_not_fit(staged: Any, client_id: str) -> None:
    answer = await check(staged, client_id=client_id, status=422)
    assert list(answer["errors"]) == ["client_id"]


async def test_who_is_in_stays_in_while_the_percent_grows(staged: Any) -> None:
    salt = await rolled_out(staged, 10)
    identity = an_id(salt, 10, inside=True)
    for percent in (10, 20.5, 99.99, 100):
        await put(
            staged,
            "1.1.0",
            {"stages": [{"percent": percent, "for_s": 60}, {"percent": 100, "for_s": 60}][percent == 100 :]},
        )
        assert await offered(staged, client_id=identity) == "1.1.0"


async def test_by_hand_everybody_gets_it_but_never_at_zero_paused_or_withdrawn(staged: Any) -> None:
    salt = await rolled_out(staged)
    outside = an_id(salt, 30, inside=False)
    assert await offered(staged, client_id=outside, manual="true") == "1.1.0"
    assert await offered(staged, client_id=outside, manual="1") == "1.1.0"
    assert await offered(staged, client_id=outside, manual="0") == "1.0.0"
    await put(staged, "1.1.0", {"percent": 0})
    assert await offered(staged, manual="true") == "1.0.0"
    await put(staged, "1.1.0", {"percent": 50})
    await move(staged, "1.1.0", "rollout/pause")
    assert await offered(staged, manual="true") == "1.0.0"
    await move(staged, "1.1.0", "rollout/resume")
    await move(staged, "1.1.0", "withdraw")
    assert await offered(staged, manual="true") == "1.0.0"


async def test_a_release_that_is_not_seen_requires_nothing(staged: Any) -> None:
    await release(staged, "1.0.0")
    await release(staged, "1.1.0", rollout=50, required=True)
    await release(staged, "1.2.0")
    salt = (await shown(staged, "1.1.0"))["salt"]
    for inside in (True, False):
        answer = await check(staged, client_id=an_id(salt, 50, inside=inside))
        assert (answer["latest_version"], answer["required"]) == ("1.2.0", inside)


async def test_several_rollouts_in_the_way_are_asked_one_after_another(staged: Any) -> None:
    await release(staged, "1.0.0")
    await release(staged, "1.1.0", rollout=50)
    await release(staged, "1.2.0", rollout=50)
    salts = {version: (await shown(staged, version))["salt"] for version in ("1.1.0", "1.2.0")}
    assert len(set(salts.values())) == 2
    seen = set()
    for number in range(40):
        identity = f"c{number}"
        inside = [version for version in ("1.2.0", "1.1.0") if is_inside(salts[version], identity, 50)]
        expected = (*inside, "1.0.0")[0]
        assert await offered(staged, client_id=identity) == expected
        seen.add(expected)
    assert seen == {"1.0.0", "1.1.0", "1.2.0"}


async def test_latest_without_an_id_shows_complete_releases_only(staged: Any) -> None:
    salt = await rolled_out(staged)

    async def latest(**query: str) -> tuple[str, str | None]:
        response, _ = await staged.exchange("GET", f"{UPDATES}/latest", params={**LINUX, **query}, status=200)
        return (await response.json())["version"], response.headers.get("Cache-Control")

    assert await latest() == ("1.0.0", "private, no-store")
    assert await latest(client_id=an_id(salt, 30, inside=True)) == ("1.1.0", "private, no-store")
    outside = an_id(salt, 30, inside=False)
    assert (await latest(client_id=outside, manual="true"))[0] == "1.0.0", "by hand means nothing there"


async def test_answers_that_dice_could_change_are_not_cached(staged: Any) -> None:
    async def control(**query: str) -> str | None:
        asked = {"current_version": "0.1.0", **LINUX, **query}
        response, _ = await staged.exchange("GET", f"{UPDATES}/check", params=asked, status=200)
        found: str | None = response.headers.get("Cache-Control")
        return found

    await release(staged, "1.0.0")
    assert await control() is None
    await release(staged, "1.1.0", rollout=30, minimum_version="1.0.0")
    assert await control() is None, "it takes no client this old"
    assert await control(current_version="1.0.0") == "private, no-store"
    assert await control(current_version="1.1.0") is None
    assert await control(current_version="1.0.0", platform="windows") is None
    await move(staged, "1.1.0", "rollout/pause")
    assert await control(current_version="1.0.0") is None, "nobody gets it"
    await move(staged, "1.1.0", "rollout/resume")
    await release(staged, "1.2.0")
    assert await control(current_version="1.0.0") is None, "everybody gets something newer"


async def test_a_flood_of_ids_makes_no_entries(staged: Any) -> None:
    await rolled_out(staged)
    await offered(staged, client_id="first")
    await offered(staged, client_id="second", manual="true")
    shelf = staged.services.offers.present("my-app").answers
    for number in range(200):
        await offered(staged, client_id=f"c{number}")
    assert len(shelf) <= 3, "the question, and one answer for each cohort"


async def cached(service: Any, verb: str = "check", **query: str) -> tuple[str | None, str | None]:
    """Return the version that is answered, and what caches may do with it."""
    asked = {**LINUX, **({"current_version": "0.1.0"} if verb == "check" else {}), **query}
    response, _ = await service.exchange("GET", f"{UPDATES}/{verb}", params=asked)
    answer = await response.json()
    return answer.get("latest_version") or answer.get("version"), response.headers.get("Cache-Control")


NO_STORE = "private, no-store"


async def test_latest_with_an_id_gives_the_newest_that_it_sees(staged: Any) -> None:
    """Of each source but the address; whatever its minimum; never what is paused, halted, or on another channel."""
    await release(staged, "1.0.0")
    await release(staged, "1.1.0", rollout=50, minimum_version="1.0.0")
    await release(staged, "1.2.0", rollout=50, channel="beta")
    salts = {version: (await shown(staged, version))["salt"] for version in ("1.1.0", "1.2.0")}
    for number in range(12):
        client = f"c{number}"
        on_stable = "1.1.0" if is_inside(salts["1.1.0"], client, 50) else "1.0.0"
        on_beta = "1.2.0" if is_inside(salts["1.2.0"], client, 50) else on_stable
        assert await cached(staged, "latest", client_id=client) == (on_stable, NO_STORE)
        assert await cached(staged, "latest", stagingId=client) == (on_stable, NO_STORE)
        assert await cached(staged, "latest", client_id=client, channel="beta") == (on_beta, NO_STORE)
        answer = await staged.call(
            "GET", "/api/v1/latest", params={**LINUX, "app_id": "my-app"}, headers={"X-Client-Id": client}, status=200
        )
        assert answer["version"] == on_stable
    await move(staged, "1.1.0", "rollout/pause")
    inside = an_id(salts["1.1.0"], 50, inside=True)
    assert await cached(staged, "latest", client_id=inside) == ("1.0.0", None)
    await move(staged, "1.1.0", "withdraw")
    assert await cached(staged, "latest", client_id=inside) == ("1.0.0", None)


async def test_latest_when_everything_is_under_rollout(staged: Any) -> None:
    await release(staged, "1.0.0", rollout=50)
    response, _ = await staged.exchange("GET", f"{UPDATES}/latest", params=LINUX, status=404)
    assert (await response.json())["code"] == "NOT_FOUND"
    salt = (await shown(staged, "1.0.0"))["salt"]
    assert await cached(staged, "latest", client_id=an_id(salt, 50, inside=True)) == ("1.0.0", NO_STORE)


async def test_the_headers_follow_channel_pre_release_and_required(staged: Any) -> None:
    await release(staged, "1.0.0")
    await release(staged, "1.1.0-rc.1", rollout=50)
    await release(staged, "1.2.0", rollout=50, channel="beta")
    for verb in ("check", "latest"):
        assert (await cached(staged, verb))[1] is None
        assert (await cached(staged, verb, allow_prerelease="true"))[1] == NO_STORE
        assert (await cached(staged, verb, channel="beta"))[1] == NO_STORE
        assert (await cached(staged, verb, channel="betta"))[1] is None
    assert (await cached(staged, channel="beta", platform="windows"))[1] is None
    assert (await cached(staged, current_version="1.2.0", channel="nightly"))[1] is None
    # Below what everybody gets, but required for those that see it.
    await release(staged, "1.3.0", required=True, rollout=50)
    await release(staged, "1.4.0")
    assert await cached(staged) == ("1.4.0", NO_STORE)
    assert await cached(staged, current_version="1.3.0") == ("1.4.0", None)
    assert await cached(staged, "latest", client_id="c") == ("1.4.0", None)


async def test_a_stage_at_all_of_them_is_still_a_rollout(staged: Any) -> None:
    await release(staged, "1.0.0")
    await release(staged, "1.1.0", rollout={"stages": [{"percent": 100, "for_s": 3600}]})
    assert await cached(staged, client_id="c") == ("1.1.0", NO_STORE)
    assert await cached(staged) == ("1.1.0", NO_STORE), "the address is an id"
    assert await cached(staged, "latest") == ("1.0.0", NO_STORE), "for a latest without an id it is not complete"
    assert await cached(staged, "latest", client_id="c") == ("1.1.0", NO_STORE)
    await move(staged, "1.1.0", "rollout/complete")
    assert await cached(staged) == ("1.1.0", None)
    assert await cached(staged, "latest") == ("1.1.0", None)
