"""Pages of applications and releases, used without script; what they change is what the API changes."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from tests.web.api.rollouts.releasing import WATCHED, history, put, release, report, shown
from tests.web.dashboard.shop import APP, Desk, inputs_of
from updater.audit.model import Filter

STAGES = [{"percent": 1, "for_s": 3_600}, {"percent": 10, "for_s": 86_400}, {"percent": 100}]


async def fail(service: Any, version: str, times: int = 8) -> None:
    for number in range(times):
        await report(service, version, "failed", client_id=f"{version}-{number}")


def entries(rows: list[Any]) -> list[tuple[Any, ...]]:
    """Return what entries of the history say, but for their numbers, times and actors."""
    return [tuple(each[name] for name in ("action", "version", "reason", "before", "after")) for each in rows]


# -- the grid


async def test_an_empty_grid_shows_the_way_on(staff: Desk) -> None:
    page = await staff.get(APP)
    assert "Nothing is published yet" in page
    for way in ("publish/", "feeds/"):
        assert f'href="{APP}{way}"' in page


async def test_the_grid_shows_channels_states_shares_and_whole_digests(shop: Any, staff: Desk) -> None:
    await release(shop, "1.0.0")
    await release(shop, "1.0.0", platform="windows", checksum="cd" * 32)
    await release(shop, "1.1.0", channel="beta", rollout={"stages": STAGES})
    await release(shop, "1.2.0", rollout={"percent": 50, "halt": WATCHED})
    await fail(shop, "1.2.0")
    await release(shop, "1.3.0")
    await shop.call("POST", "/api/v1/updates/my-app/releases/1.3.0/withdraw", key="write", status=200)
    page = await staff.get(APP)
    rows = {row.split("</a>")[0].rpartition(">")[2]: row for row in page.split("<tr>")[2:]}
    assert list(rows) == ["1.3.0", "1.2.0", "1.1.0", "1.0.0"], "the newest first"
    for version, words in {
        "1.0.0": ("everybody", "linux/amd64", "windows/amd64", f'data-copy="{"cd" * 32}"', "stable"),
        "1.1.0": ("beta", "rolling out", "stage 1 of 3", "1.0 %"),
        "1.2.0": ("halted on linux", "50.0 %"),
        "1.3.0": ("withdrawn",),
    }.items():
        for word in words:
            assert word in rows[version], (version, word)
    for query, found in {
        "channel=beta": ["1.1.0"],
        "platform=windows": ["1.0.0"],
        "state=withdrawn": ["1.3.0"],
        "state=draft": [],
        "channel=&platform=&state=": list(rows),
    }.items():
        page = await staff.get(f"{APP}?{query}")
        assert [each for each in rows if f"/releases/{each}/" in page] == found, query
    assert "No release fits this filter" in await staff.get(f"{APP}?state=draft")
    await staff.get(f"{APP}?state=lost", status=422)


async def test_pages_of_fifty(shop: Any, staff: Desk) -> None:
    for number in range(60):
        await release(shop, f"1.0.{number}")
    first = await staff.get(APP)
    assert first.count("/releases/1.0.") == 50
    assert "1 to 50 of 60" in first
    assert f'rel="next" href="{APP}?offset=50"' in first
    second = await staff.get(f"{APP}?offset=50")
    assert (second.count("/releases/1.0."), "51 to 60 of 60" in second) == (10, True)
    assert f'rel="prev" href="{APP}"' in second


# -- one release


async def test_a_release_with_its_plan_arms_files_notes_and_history(shop: Any, staff: Desk) -> None:
    await release(shop, "1.0.0")
    await release(shop, "1.1.0", rollout={"stages": STAGES, "halt": WATCHED}, release_notes="**good** <b>raw</b>")
    for number in range(3):
        await report(shop, "1.0.0", client_id=f"a{number}")
        await report(shop, "1.1.0", client_id=f"b{number}")
    page = await staff.get(APP + "releases/1.1.0/")
    assert 'class="now" aria-current="step"><strong>1 %</strong> for 1 h' in page
    assert "10 % follows after" in page
    assert "0 of 3 <strong>0 %</strong>" in page, "both arms"
    assert "0 % to 56.1 %" in page, "with their interval"
    assert "<strong>good</strong> &lt;b&gt;raw" in page
    assert "release.published" in page
    assert "write key (key)" in page
    assert "no sign of trouble" in page
    await fail(shop, "1.1.0")
    page = await staff.get(APP + "releases/1.1.0/")
    assert 'class="failed" aria-current="step"' in page
    assert "it fails more often than 10 %, the most that its plan allows" in page
    assert '<span class="badge bad">halted on linux</span>' in page
    assert re.search(r">[0-9,]+ of 400<", page), "the evidence beside its limit"
    assert "rollout.halted" in page
    assert f'href="{APP}releases/1.1.0/resume/"' in page
    assert f'href="{APP}releases/1.1.0/advance/"' not in page


async def test_files_with_digests_signatures_and_feeds(shop: Any, staff: Desk) -> None:
    path = "/api/v1/updates/my-app/builds/1.0.0/linux/amd64"
    await shop.call("PUT", f"{path}?file_name=app.AppImage&draft=true", key="write", data=b"app", status=201)
    page = await staff.get(APP + "releases/1.0.0/")
    assert "A draft: nobody is offered it yet" in page
    for word in ("app.AppImage", "electron: ", "image", "draft"):
        assert word in page, word
    assert page.count("data-copy=") >= 3
    await staff.get(APP + "releases/9.9.9/", status=404)
    await staff.get(APP + "releases/not%20a%20version/", status=422)


# -- what is done


async def by_api(service: Any, step: str, version: str, body: dict[str, Any]) -> None:
    path = f"/api/v1/updates/my-app/releases/{version}"
    if step == "set":
        await service.call("PUT", f"{path}/rollout", key="admin", json=body, status=200)
    elif step == "delete":
        await service.call("DELETE", path, key="admin", status=200)
    else:
        rollout = "rollout/" if step in ("pause", "resume", "advance", "complete") else ""
        await service.call("POST", f"{path}/{rollout}{step}", key="admin", json=body, status=200)


STEPS: list[tuple[str, dict[str, str], dict[str, Any]]] = [
    ("pause", {"reason": "wait"}, {"reason": "wait"}),
    ("resume", {"reason": "go"}, {"reason": "go"}),
    ("advance", {}, {"stage": 2}),
    (
        "set",
        {"stages": "2 % for 1 h\r\n20.5% for 2 d\r\n100", "min_reports": "7", "halt_margin": "1", "reason": "slower"},
        {
            "stages": [{"percent": 2, "for_s": 3_600}, {"percent": 20.5, "for_s": 172_800}, {"percent": 100}],
            "min_reports": 7,
            "halt": {"margin": 0.01},
            "reason": "slower",
        },
    ),
    ("promote", {"channel": "stable", "reason": "tested"}, {"channel": "stable", "reason": "tested"}),
    ("complete", {}, {}),
    ("withdraw", {"reason": "loses settings"}, {"reason": "loses settings"}),
    ("restore", {"stages": "5 %"}, {"rollout": {"percent": 5}}),
    ("delete", {}, {}),
]


async def test_each_step_leaves_what_the_interface_leaves(shop: Any, admin: Desk) -> None:
    """One release is moved by pages, another in the same way by the API."""
    for version in ("1.1.0", "1.1.1"):
        await release(shop, version, channel="beta", rollout={"stages": STAGES})
    before = len(await history(shop))
    for step, fields, body in STEPS:
        place = await admin.send(f"{APP}releases/1.1.0/{step}/", **fields)
        where = APP if step == "delete" else f"{APP}releases/1.1.0/"
        assert place == f"{where}?said=release-{step}"
        assert 'class="notice good"' in await admin.get(place)
        await by_api(shop, step, "1.1.1", body)
        rows = (await history(shop, limit="200"))[before:]
        by_page = [each for each in rows if each["version"] == "1.1.0"]
        assert {(each["actor"]["kind"], each["actor"]["name"]) for each in by_page} == {("user", "admin-person")}, step
        theirs = [{**each, "version": "1.1.0"} for each in rows if each["version"] == "1.1.1"]
        assert entries(by_page) == entries(theirs), step
        before += len(rows)


async def test_a_draft_goes_live_or_goes(shop: Any, staff: Desk) -> None:
    path = "/api/v1/updates/my-app/builds/{}/linux/amd64?file_name=app.zip&draft=true"
    for version in ("1.0.0", "2.0.0"):
        await shop.call("PUT", path.format(version), key="write", data=version.encode(), status=201)
    page = await staff.get(APP + "releases/1.0.0/publish/")
    assert "No figures yet" in page
    await staff.send(APP + "releases/1.0.0/publish/", stages="10 % for 1 h\n100 %", min_reports="3", reason="first")
    rollout = await shown(shop, "1.0.0")
    assert (rollout["percent"], rollout["plan"]["min_reports"]) == (10.0, 3)
    assert await staff.send(APP + "releases/2.0.0/delete/") == f"{APP}?said=release-delete"
    await staff.get(APP + "releases/2.0.0/", status=404)
    refused = await staff.send(APP + "releases/1.0.0/delete/", status=403)
    assert 'role="alert"' in refused, "what is live goes by an administrator alone"


async def test_a_halt_is_accepted_by_platform(shop: Any, staff: Desk) -> None:
    await release(shop, "1.1.0", rollout={"percent": 50, "halt": WATCHED})
    await fail(shop, "1.1.0")
    page = await staff.get(APP + "releases/1.1.0/resume/")
    assert "Accept the halt on linux" in page
    refused = await staff.send(APP + "releases/1.1.0/resume/", status=409)
    assert "The rollout is not paused" in refused
    for step in ("complete", "advance"):
        assert "halted on linux" in await staff.send(f"{APP}releases/1.1.0/{step}/", status=409)
    await staff.send(APP + "releases/1.1.0/resume/", **{"accept-linux": "yes", "reason": "a full disk"})
    assert (await history(shop))[-1]["after"]["accepted"] == ["linux"]
    await fail(shop, "1.1.0", 9)
    await staff.send(APP + "releases/1.1.0/complete/", accept="yes")
    assert (await shown(shop, "1.1.0"))["state"] == "complete"


async def test_what_is_refused_stands_on_the_same_form_with_what_was_typed(shop: Any, staff: Desk) -> None:
    await release(shop, "1.1.0", channel="beta", rollout={"stages": STAGES})
    path = APP + "releases/1.1.0/"
    refused = await staff.send(path + "resume/", reason="<i>why</i>", status=409)
    assert "&lt;i&gt;why&lt;/i&gt;</textarea>" in refused
    refused = await staff.send(path + "set/", stages="10 % for 1 d\nmany", status=422)
    assert "line 2: expected a line such as: 10 % for 1 d" in refused
    assert 'aria-describedby="stages-hint stages-wrong" aria-invalid="true"' in refused
    assert "many</textarea>" in refused
    for fields, where in (
        ({"stages": "20 % for 1 d\n10 %"}, "line 2: must be above the percent of the stage before"),
        ({"stages": "20 %\n30 %"}, "line 1: is needed on every stage but the last"),
        ({"stages": ""}, "write at least one stage"),
        ({"stages": "101 %"}, "line 1: "),
        ({"halt_margin": "99"}, 'id="halt_margin-wrong"'),
        ({"halt_alpha": "x"}, 'id="halt_alpha-wrong">expected a number'),
        ({"min_reports": "-1"}, 'id="min_reports-wrong"'),
        ({"start_at": "tomorrow"}, 'id="start_at-wrong"'),
        ({"reason": "x" * 501}, 'id="reason-wrong"'),
    ):
        assert where in await staff.send(path + "set/", status=422, **fields), fields
    assert "channel" in await staff.send(path + "promote/", channel="nowhere", status=422)
    assert [each["action"] for each in await history(shop)].count("rollout.set") == 1
    await staff.get(path + "burn/", status=404)


async def test_twice_and_at_once(shop: Any, staff: Desk) -> None:
    await release(shop, "1.1.0", rollout={"stages": STAGES})
    path = APP + "releases/1.1.0/"
    form = inputs_of(await staff.get(path + "advance/"))
    places = await asyncio.gather(*(staff.post(path + "advance/", form) for _ in range(3)))
    assert set(places) == {f"{path}?said=release-advance"}
    assert (await shown(shop, "1.1.0"))["stage"]["number"] == 2, "one form skips one stage, however often it is sent"
    for step in ("pause", "withdraw"):
        form = inputs_of(await staff.get(f"{path}{step}/"))
        await asyncio.gather(*(staff.post(f"{path}{step}/", form) for _ in range(3)))
    actions = [each["action"] for each in await history(shop)]
    assert [actions.count(each) for each in ("rollout.advanced", "rollout.paused", "release.withdrawn")] == [1, 1, 1]
    assert "withdrawn" in await staff.send(path + "resume/", status=409)


async def test_rights_and_tokens(shop: Any, staff: Desk, admin: Desk) -> None:
    await release(shop, "1.0.0")
    form = inputs_of(await staff.get(f"{APP}releases/1.0.0/withdraw/"))
    for name in ("releases/1.0.0/restore/", "settings/delete/"):
        await staff.get(APP + name, status=403)
    for name in ("releases/1.0.0/restore/", "settings/", "settings/delete/"):
        await staff.post(APP + name, {**form, "typed": "my-app"}, status=403)
    for token in ("", "0" * 64, inputs_of(await admin.get(f"{APP}releases/1.0.0/withdraw/"))["csrf_token"]):
        await staff.post(f"{APP}releases/1.0.0/withdraw/", {"csrf_token": token}, status=403)
    assert [each["action"] for each in await history(shop)] == ["release.published", "build.published"]


async def test_it_says_how_many_installs_it_touches(shop: Any, staff: Desk) -> None:
    for version in ("1.0.0", "1.1.0"):
        await release(shop, version)
    await put(shop, "1.1.0", {"stages": [{"percent": 10, "for_s": 9_000}, {"percent": 60}]})
    assert "No figures yet" in await staff.get(APP + "releases/1.1.0/withdraw/")
    for number in range(20):
        await report(shop, "1.0.0", client_id=f"c{number}")
    for number in range(3):
        await report(shop, "1.1.0", client_id=f"d{number}")
    for step, words in {
        "withdraw": "Touches 3 installs of 1.1.0: they keep it",
        "advance": "Touches up to 10 installs: of 20 installs on older versions, 10 % are offered it now and 60 %",
        "pause": "Touches up to 2 installs on older versions: the 10 % that are offered it now",
        "complete": "Touches up to 18 installs",
        "set": "Touches up to 20 installs on older versions: which share of them, the plan says.",
    }.items():
        assert words in await staff.get(f"{APP}releases/1.1.0/{step}/"), step


# -- the other pages


async def test_history_of_all_and_of_one_version(shop: Any, staff: Desk) -> None:
    for number in range(30):
        await release(shop, f"1.0.{number}")
    page = await staff.get(APP + "history/")
    assert (page.count("release.published"), "offset=50" in page) == (25, True)
    assert "write key (key)" in page
    assert (await staff.get(APP + "history/?version=1.0.3")).count('class="done"') == 2
    refused = await staff.get(APP + "history/?version=what%20is", status=422)
    assert 'id="version-wrong"' in refused


async def test_explain_shows_the_trace_and_what_does_not_fit(shop: Any, staff: Desk) -> None:
    await release(shop, "1.0.0")
    await release(shop, "1.1.0", rollout={"percent": 0})
    await release(shop, "1.2.0", channel="beta")
    asked = "current_version=0.1.0&platform=linux&architecture=amd64&client_id=anna&address="
    page = await staff.get(f"{APP}explain/?{asked}&channel=betta")
    for words in ("other channel", "zero percent", "offered", "the one asked for is not there", "client_id anna"):
        assert words in page, words
    assert f'It is offered <a href="{APP}releases/1.0.0/">' in page
    assert f'href="{APP}releases/1.2.0/">1.2.0</a>.' in await staff.get(f"{APP}explain/?{asked}&channel=beta")
    assert "No update" in await staff.get(f"{APP}explain/?{asked.replace('0.1.0', '9.0.0')}")
    refused = await staff.get(f"{APP}explain/?current_version=&platform=linux&architecture=amd64", status=422)
    assert 'id="current_version-wrong"' in refused
    bad = "current_version=x+y&platform=linux&architecture=amd64"
    assert 'id="current_version-wrong"' in await staff.get(f"{APP}explain/?{bad}", status=422)
    assert 'id="address-wrong"' in await staff.get(f"{APP}explain/?{asked.replace('client_id=anna', '')}x", status=422)


async def test_feeds_with_lines_to_paste(shop: Any, staff: Desk, admin: Desk) -> None:
    path = "/api/v1/updates/my-app/builds/1.0.0/linux/amd64"
    await shop.call("PUT", f"{path}?file_name=app.AppImage", key="write", data=b"app", status=201)
    page = await staff.get(APP + "feeds/")
    assert f"url: {shop.url}/feeds/my-app/stable/electron</code>" in page
    assert f'data-copy="publish:\n  provider: generic\n  url: {shop.url}/feeds/my-app/stable/electron"' in page
    assert "SUFeedURL" in page
    assert f"{shop.url}/feeds/my-app/beta/" in await staff.get(APP + "feeds/?channel=beta")
    await staff.get(APP + "feeds/?channel=betta", status=422)
    await admin.send(APP + "settings/", private="yes")
    page = await staff.get(APP + "feeds/")
    assert f"{shop.url}/k/YOUR-FEED-KEY/feeds/my-app/stable/electron" in page
    assert "put the text of a feed key in place" in page


# -- applications


async def test_an_application_is_made(shop: Any, staff: Desk) -> None:
    path, fields = "/admin/new-application/", {"id": "paint", "name": "Paint", "platform-linux": "yes"}
    assert (
        await staff.send(path, **fields, channels="stable\nbeta") == "/admin/applications/paint/?said=application-made"
    )
    made = await shop.call("GET", "/api/v1/applications/paint", key="read", status=200)
    assert (made["name"], made["platforms"], made["channels"]) == ("Paint", ["linux"], ["stable", "beta"])
    assert "exists already" in await staff.send(path, status=409, **fields)
    for wrong, where in (
        ({"id": "a b"}, 'id="id-wrong"'),
        ({"name": ""}, 'id="name-wrong"'),
        ({"channels": "Stable"}, 'id="channels-wrong"'),
        ({"channels": "a\na"}, 'id="channels-wrong"'),
    ):
        assert where in await staff.send(path, status=422, **{**fields, **wrong}), wrong
    assert 'class="wrong"' in await staff.send(path, status=422, id="x", name="x")


async def test_settings_change_what_was_changed_and_nothing_else(shop: Any, admin: Desk, staff: Desk) -> None:
    path = APP + "settings/"
    before = await shop.call("GET", "/api/v1/applications/my-app", key="read", status=200)
    count = len(await audit_rows(shop))
    await admin.send(path)
    after = await shop.call("GET", "/api/v1/applications/my-app", key="read", status=200)
    assert {**after, "updated_at": ""} == {**before, "updated_at": ""}
    assert len(await audit_rows(shop)) == count, "what changes nothing leaves no row"
    changed = {
        "name": "My Other App",
        "channels": "stable\r\nbeta\r\nnightly",
        "stages": "10 % for 1 d\n100 %",
        "config__min_version": "1.0.0",
        "feeds__scoop__bin": '["my-app.exe"]',
        "feeds__scoop__license": "MIT",
        "feeds__winget__package_identifier": "Example.MyApp",
        "feeds__winget__publisher": "Example",
        "feeds__winget__license": "MIT",
        "feeds__winget__short_description": "It does",
        "feeds__winget__installer_type.exe": "inno",
        "config__required_update": "yes",
    }
    await admin.send(path, **changed)
    now = await shop.call("GET", "/api/v1/applications/my-app", key="read", status=200)
    assert (now["name"], now["channels"][-1], now["config"]["min_version"]) == ("My Other App", "nightly", "1.0.0")
    assert now["default_rollout"]["stages"][0] == {"percent": 10.0, "for_s": 86_400}
    assert now["feeds"]["scoop"] == {"bin": ["my-app.exe"], "license": "MIT"}
    assert now["feeds"]["winget"]["installer_type"] == {"exe": "inno"}
    assert now["config"]["required_update"] is True
    names = {each.action for each in (await audit_rows(shop))[: len(await audit_rows(shop)) - count]}
    assert names == {"channels.set", "default_rollout.set", "feeds.set", "application.updated"}
    page = await staff.get(path)
    assert "Administrators may change these" in page
    assert "Save</button>" not in page
    for wrong, where in (
        ({"config__max_version": "many"}, 'id="config.max_version-wrong"'),
        ({"config__update_interval": "often"}, 'id="config.update_interval-wrong"'),
        ({"feeds__scoop__bin": "{"}, 'id="feeds.scoop.bin-wrong"'),
        ({"feeds__winget__publisher": ""}, 'id="feeds.winget.publisher-wrong"'),
        ({"keys__minisign": "no key"}, 'id="keys.minisign-wrong"'),
        ({"stages": "x"}, 'id="stages-wrong"'),
        ({"channels": "stable\nBeta"}, 'id="channels-wrong">2: '),
    ):
        assert where in await admin.send(path, status=422, **wrong), wrong
    form = inputs_of(await admin.get(path))
    await admin.send(path, name="Meanwhile")
    assert "Somebody changed these settings meanwhile" in await admin.post(path, form, status=409)


async def test_an_application_is_deleted_by_its_typed_id(shop: Any, admin: Desk) -> None:
    path = APP + "settings/delete/"
    await release(shop, "1.0.0")
    assert "No figures yet" in await admin.get(path)
    await report(shop, "1.0.0")
    assert "1 install reported in 30 days; 1 build on 1 platform." in await admin.get(path)
    for typed in ("", "My-App"):
        assert 'id="typed-wrong"' in await admin.send(path, typed=typed, status=422)
    assert await admin.send(path, typed="my-app") == "/admin/dashboard/?said=application-deleted"
    await admin.get(APP, status=404)


async def audit_rows(service: Any) -> list[Any]:
    rows, _ = await service.services.audit.list_rows(Filter(), limit=500)
    return list(rows)
