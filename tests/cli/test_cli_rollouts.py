"""Channels and rollouts on the command line: the server's documents with --json, plain words of 80 columns without."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Command
from tests.cli.test_remote_commands import publish

HERE = ("--platform", "linux", "--arch", "amd64")
STAGES = {"stages": [{"percent": 1, "for_s": 3600}, {"percent": 10, "for_s": 86_400}, {"percent": 100}]}
_LOGGED = re.compile(r"[0-9-]{10} [0-9:]{8} \[")
WATCHED = {"percent": 50, "halt": {"per_address": 1000, "min_addresses": 1}}


def words_of(text: str) -> str:
    """Return an output as one line, and hold its lines to 80 columns. The service of the tests logs to stdout, too."""
    lines = [line for line in text.splitlines() if not _LOGGED.match(line)]
    assert max(map(len, lines)) <= 80, text
    return " ".join(" ".join(lines).split())


def of(app: str, version: str = "1.1.0") -> tuple[str, ...]:
    return "--app", app, "--version", version


@pytest.fixture
def staged(remote: Command, tmp_path: Path) -> Any:
    """Return a function that publishes 1.0.0 for everybody, and 1.1.0 under a plan that it is given."""

    def make(app: str, plan: Any) -> None:
        publish(remote, tmp_path, app)
        file = tmp_path / "plan.json"
        file.write_text(json.dumps(plan if isinstance(plan, dict) else {"percent": plan}))
        publish(remote, tmp_path, app, "1.1.0", "--rollout-plan", str(file))

    return make


def fail(remote: Command, app: str, count: int) -> None:
    told = ("report", "--app", app, "--current-version", "1.0.0", "--target-version", "1.1.0", *HERE)
    for number in range(count):
        assert remote(*told, "--status", "failed", "--client-id", f"c-{number}").status == 0


def test_a_release_is_limited_from_the_upload_on(remote: Command, tmp_path: Path) -> None:
    publish(remote, tmp_path, "limited")
    publish(remote, tmp_path, "limited", "1.1.0", "--rollout", "0.5")
    shown = remote("rollout", "show", *of("limited"), "--json").json
    assert (shown["percent"], shown["state"], shown["hold"]) == (0.5, "active", {"why": "last_stage"})
    words = words_of(remote("rollout", "show", *of("limited")).out)
    assert "state active, at 0.5 % of the clients" in words
    assert "the last stage of the plan has no end: `updater rollout complete`, or set another plan" in words
    (listed, _) = remote("release", "list", "--app", "limited", "--sort-by", "version", "--json").json["items"]
    assert (listed["channel"], listed["status"], listed["percent"]) == ("stable", "active", 0.5)
    assert "0.5 %" in words_of(remote("release", "list", "--app", "limited").out)


def test_the_same_bytes_again_say_for_whom_they_are(remote: Command, tmp_path: Path) -> None:
    publish(remote, tmp_path, "again")
    again = publish(remote, tmp_path, "again", "1.0.0", "--rollout", "1")
    assert (again["repeated"], again["percent"], again["channel"]) == (True, 100.0, "stable")
    path = tmp_path / "again-1.0.0.bin"
    words = remote("publish", path, "--app", "again", "--version", "1.0.0", *HERE, "--rollout", 1).out
    assert "offered to  100 % of the clients on stable" in words


def test_a_plan_comes_from_a_file_or_from_stdin(remote: Command, staged: Any) -> None:
    staged("planned", STAGES)
    words = words_of(remote("rollout", "show", *of("planned")).out)
    assert "plan 1 % for 1 h, 10 % for 1 d, 100 %" in words
    assert "stage 1 of 3, since" in words
    assert "next 10 % follows after 20" in words and "and 20 more reports" in words
    changed = remote(
        "rollout", "set", *of("planned"), "--plan", "-", "--reason", "more", "--json", stdin='{"percent": 7}'
    )
    assert (changed.status, changed.json["percent"]) == (0, 7.0)
    newest = remote("history", "--app", "planned", "--limit", 1, "--json").json["entries"][0]
    assert (newest["action"], newest["reason"]) == ("rollout.set", "more")
    assert remote("rollout", "set", *of("planned"), "--percent", 8, "--json").json["percent"] == 8.0


def test_pause_resume_and_complete(remote: Command, staged: Any) -> None:
    staged("moved", STAGES)
    paused = remote("rollout", "pause", *of("moved"), "--reason", "wait")
    assert "next paused: nobody else is offered it" in words_of(paused.out)
    assert remote("rollout", "resume", *of("moved"), "--json").json["state"] == "active"
    again = remote("rollout", "resume", *of("moved"))
    assert (again.status, again.out) == (6, "")
    assert "not paused" in again.err
    done = remote("rollout", "complete", *of("moved"))
    assert "nothing: it is for everybody since" in words_of(done.out)
    assert remote("rollout", "list", "--app", "moved", "--json").json == {"rollouts": []}


def test_a_halt_is_said_in_words_and_accepted(remote: Command, staged: Any) -> None:
    staged("halting", WATCHED)
    fail(remote, "halting", 10)
    shown = remote("rollout", "show", *of("halting"), "--json").json
    (halt,) = [each["halt"] for each in shown["platforms"]]
    assert halt["reason"] == "above_max_failure_rate"
    words = words_of(remote("rollout", "show", *of("halting")).out)
    assert "halted on linux: nothing moves on, until the halt is accepted" in words
    assert "it fails more often than 10 %, the most that its plan allows" in words
    assert "(100.0%) failed; there are no reports of others" in words
    assert "linux" in words_of(remote("rollout", "list", "--app", "halting").out)
    refused = remote("rollout", "complete", *of("halting"))
    assert refused.status == 6
    assert "halted on linux" in refused.err
    assert remote("rollout", "resume", *of("halting"), "--accept", "--platform", "windows").status == 7
    resumed = remote("rollout", "resume", *of("halting"), "--accept", "--platform", "linux", "--json").json
    assert [each["state"] for each in resumed["platforms"]] == ["open"]
    told = words_of(remote("history", "--app", "halting", "--version", "1.1.0+again").out)
    assert "linux halted, above_max_failure_rate" in told
    assert "accepted linux" in told


def test_what_keeps_a_bad_platform_from_a_halt_is_said(remote: Command, staged: Any) -> None:
    staged("near", {"percent": 50, "halt": {"per_address": 1000, "min_addresses": 2}})
    fail(remote, "near", 10)
    words = words_of(remote("rollout", "show", *of("near")).out)
    assert "linux is not halted: its failures come from 1 of the 2 addresses needed" in words


def test_channels_promotion_withdrawal_and_restoration(remote: Command, tmp_path: Path) -> None:
    assert remote("app", "create", "chan", "--channel", "stable", "--channel", "beta").status == 0
    publish(remote, tmp_path, "chan", "1.0.0")
    publish(remote, tmp_path, "chan", "1.1.0", "--channel", "beta")
    ask = ("check", "--app", "chan", "--current-version", "1.0.0", *HERE)
    assert remote(*ask).status == 3
    assert remote(*ask, "--channel", "beta", "--json").json["release"]["version"] == "1.1.0"
    assert remote("release", "promote", *of("chan")).status == 2
    wrong = remote("release", "promote", *of("chan"), "--channel", "nightly")
    assert (wrong.status, "stable, beta" in wrong.err) == (7, True)
    moved = remote(
        "release", "promote", *of("chan"), "--channel", "stable", "--rollout", 25, "--reason", "fit", "--json"
    )
    assert (moved.json["channel"], moved.json["rollout"]["percent"]) == ("stable", 25.0)
    assert "offered to 25 % of the clients" in words_of(remote("release", "show", *of("chan")).out)
    gone = remote("release", "withdraw", *of("chan"), "--reason", "broken")
    assert "status withdrawn offered to nobody" in words_of(gone.out)
    assert "withdrawn" in words_of(remote("release", "list", "--app", "chan").out)
    back = remote("release", "restore", *of("chan"), "--rollout", 5, "--json").json
    assert (back["status"], back["rollout"]["percent"]) == ("active", 5.0)
    assert remote("release", "restore", *of("chan"), "--rollout", 5).status == 6
    assert remote("release", "withdraw", *of("chan", "9.9.9")).status == 5
    told = words_of(remote("history", "--app", "chan").out)
    assert "release.promoted 1.1.0 by key" in told
    assert "beta -> stable" in told and "active -> withdrawn broken" in told


def test_a_registered_release_is_limited_too(remote: Command) -> None:
    remote("app", "create", "elsewhere", "--channel", "stable", "--channel", "beta")
    file = ("--url", "https://example.com/x", "--checksum", "ab" * 32, *HERE)
    given = ("--channel", "beta", "--rollout", "2")
    assert remote("release", "register", *of("elsewhere"), *file, *given).status == 0
    found = remote("release", "show", *of("elsewhere"), "--json").json
    assert (found["channel"], found["rollout"]["percent"]) == ("beta", 2.0)


def test_the_default_rollout_is_set_shown_and_taken_away(remote: Command) -> None:
    assert remote("app", "create", "habit", "--default-rollout", 5).status == 0
    assert "default rollout 5 %" in words_of(remote("app", "show", "habit").out)
    assert remote("app", "update", "habit", "--default-rollout-plan", "-", stdin=json.dumps(STAGES)).status == 0
    assert remote("app", "show", "habit", "--json").json["default_rollout"]["stages"][1]["percent"] == 10.0
    assert remote("app", "update", "habit", "--name", "H").status == 0
    assert remote("app", "show", "habit", "--json").json["default_rollout"] is not None
    assert remote("app", "update", "habit", "--no-default-rollout").status == 0
    shown = remote("app", "show", "habit", "--json").json
    assert (shown["default_rollout"], shown["channels"]) == (None, ["stable"])


def test_explain_says_why(remote: Command, staged: Any) -> None:
    staged("why", 0)
    ask = ("explain", "--app", "why", "--current-version", "1.0.0", *HERE)
    assert "1.1.0 zero_percent: the rollout is at 0 percent" in words_of(remote(*ask).out)
    remote("rollout", "set", *of("why"), "--percent", 0.01)
    found = remote(*ask, "--client-id", "c-1", "--channel", "betta", "--json").json
    assert found["identity"] == {"kind": "client_id", "value": "c-1"}
    words = words_of(remote(*ask, "--client-id", "c-1", "--channel", "betta").out)
    assert "known by client_id c-1 channel stable, since there is no channel betta gets no update" in words
    assert f"outside: this client stands at {found['candidates'][0]['facts']['position']}" in words
    by_hand = words_of(remote(*ask, "--client-id", "c-1", "--manual", "--allow-prerelease").out)
    assert "asks for pre-releases, by hand gets 1.1.0" in by_hand
    assert "known by address 203.0.113.9" in words_of(remote(*ask, "--address", "203.0.113.9").out)
    assert remote(*ask, "--address", "nowhere").status == 7


def test_a_check_says_who_asks(remote: Command, staged: Any) -> None:
    staged("asked", 50)
    ask = ("check", "--app", "asked", "--current-version", "1.0.0", *HERE)
    known = {}
    for number in range(40):
        client = ("--client-id", f"c-{number}")
        found = remote("explain", *ask[1:], *client, "--json").json["candidates"][0]["verdict"]
        known[found] = client
    assert remote(*ask, *known["offered"]).status == 0
    assert remote(*ask, *known["outside"]).status == 3
    assert remote(*ask, *known["outside"], "--manual").status == 0
    fetched = remote("fetch", *ask[1:], *known["outside"])
    assert fetched.status == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("rollout", "set", *of("a")), "give --percent or --plan"),
        (("rollout", "set", *of("a"), "--percent", 1, "--plan", "-"), "not both"),
        (("rollout", "set", *of("a"), "--percent", "half"), "'half' is no number from 0 to 100"),
        (("rollout", "set", *of("a"), "--percent", "nan"), "no number from 0 to 100"),
        (("rollout", "set", *of("a"), "--percent", "101"), "no number from 0 to 100"),
        (("rollout", "set", *of("a"), "--plan", "/no/such/plan"), "No such file"),
        (("rollout", "set", *of("a"), "--plan", "/"), "directory"),
        (("rollout", "set", *of("a"), "--plan", __file__), "not valid JSON"),
        (("rollout", "resume", *of("a"), "--platform", "linux"), "--platform goes with --accept"),
        (("release", "restore", *of("a"), "--rollout", 1, "--rollout-plan", "-"), "not both"),
        (("app", "update", "a", "--default-rollout", 1, "--no-default-rollout"), "not both"),
        (("history",), "Missing option '--app'"),
        (("explain", "--app", "a"), "Missing option '--current-version'"),
    ],
)
def test_wrong_options_are_named(remote: Command, words: tuple[str, ...], said: str) -> None:
    ran = remote(*words, stdin="{}")
    assert (ran.status, ran.out) == (2, "")
    assert said in " ".join(ran.err.split())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not valid JSON"),
        ("[1]", "holds no JSON object"),
        ("10", "holds no JSON object"),
        ('{"percent": NaN}', "NaN is no number"),
        ('{"percent": 1, "percent": 2}', "has percent twice"),
        ("[" * 100_000, "is not valid JSON"),
    ],
)
def test_a_plan_that_is_no_json_object_is_refused_here(remote: Command, text: str, said: str) -> None:
    ran = remote("rollout", "set", *of("a"), "--plan", "-", stdin=text)
    assert ran.status == 2
    assert said in " ".join(ran.err.split())


def test_a_plan_that_contradicts_itself_is_named_by_its_field(remote: Command, staged: Any) -> None:
    staged("odd", 1)
    ran = remote("rollout", "set", *of("odd"), "--plan", "-", stdin='{"stages": [{"percent": 5}, {"percent": 1}]}')
    assert ran.status == 7
    assert "stages.0.for_s" in ran.err and "stages.1.percent" in ran.err
