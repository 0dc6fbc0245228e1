"""Events as chats take them; texts of strangers make no link, no mention and no markup there."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from updater.audit.model import Actor, ActorKind, AuditRow
from updater.webhooks.events import EVENTS, Event, find_event
from updater.webhooks.templates import FORMS, body_of, form_of

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
EVIL = "<!channel> @everyone <https://evil.example|click> [x](https://evil.example) *b* `c`"


def event(**data: Any) -> Event:
    return Event("evt_1_0123456789ab", 1, "release.withdrawn", AT, "my-app", {"application": "my-app", **data})


def tree(form: str, shown: Event) -> Any:
    return json.loads(body_of(shown, form, "https://hooks.example.com/"))


def test_standard() -> None:
    assert tree("standard", event(version="1.0.0")) == {
        "type": "release.withdrawn",
        "timestamp": "2026-01-02T03:04:05Z",
        "data": {"application": "my-app", "version": "1.0.0"},
    }


def test_chats_say_what_happened() -> None:
    shown = event(version="1.0.0", reason="it crashes")
    assert tree("slack", shown)["text"] == "Release withdrawn: my-app 1.0.0"
    assert "it crashes" in tree("slack", shown)["blocks"][0]["text"]["text"]
    card = tree("teams", shown)["attachments"][0]["content"]
    assert card["body"][0]["text"] == "Release withdrawn: my-app 1.0.0"
    embed = tree("discord", shown)["embeds"][0]
    assert embed["fields"][0] == {"name": "Reason", "value": "it crashes", "inline": False}


def test_texts_of_strangers_stay_texts() -> None:
    shown = event(version="1.0.0", reason=EVIL, after={"status": EVIL})
    assert "<" not in tree("slack", shown)["blocks"][0]["text"]["text"]
    assert tree("discord", shown)["allowed_mentions"] == {"parse": []}
    for form in ("teams", "discord"):
        assert "[x](" not in json.dumps(tree(form, shown)) and "\\\\[x\\\\]\\\\(" in json.dumps(tree(form, shown))


@pytest.mark.parametrize("form", FORMS)
def test_long_and_odd_texts_fit(form: str) -> None:
    odd = event(version="v" * 300, reason="\ud800x" * 5_000, after={str(n): "[" * 5_000 for n in range(50)})
    body = body_of(odd, form, "https://hooks.example.com/")
    assert body.decode()
    if form == "discord":
        embed = json.loads(body)["embeds"][0]
        assert len(embed["title"]) <= 256 and all(len(each["value"]) <= 1_024 for each in embed["fields"])
        assert len(embed["fields"]) <= 25


def test_the_form_goes_by_the_host() -> None:
    assert form_of("https://hooks.slack.com/services/T/B/x") == "slack"
    assert form_of("https://me.webhook.office.com/x") == "teams"
    assert form_of("https://discord.com/api/webhooks/1/x") == "discord"
    assert form_of("https://discord.com.example.com/") == "standard"


def row(action: str, **given: Any) -> AuditRow:
    trees = {name: None if given.get(name) is None else json.dumps(given[name]) for name in ("before", "after")}
    actor = Actor(ActorKind.KEY, "ci")
    return AuditRow(
        9,
        AT,
        actor,
        action,
        "x",
        given.get("app"),
        given.get("version"),
        None,
        **trees,
        previous_hash="",
        hash="a" * 64,
    )


PLAN = {"stages": [{"percent": 5}], "start_at": None}


@pytest.mark.parametrize(
    ("shown", "name"),
    [
        (row("release.published", app="a"), "release.published"),
        (row("rollout.set", app="a", after=PLAN), "rollout.started"),
        (row("rollout.set", app="a", after={**PLAN, "start_at": "2027-01-01T00:00:00Z"}), None),
        (row("rollout.set", app="a", after={"stages": [{"percent": 100}], "start_at": None}), None),
        (row("rollout.set", app="a", before=PLAN, after=PLAN), None),
        (row("blob.quarantined", after={"applications": ["a"]}), "blob.damaged"),
        (row("update.moved", after={"transition": "applied"}), "deployment.finished"),
        (row("update.moved", after={"transition": "stay"}), "deployment.failed"),
        (row("update.moved", after={"transition": "apply"}), None),
        (row("update.moved", after={"status": "completed"}), None),
        (row("key.created"), None),
    ],
)
def test_which_rows_are_events(shown: AuditRow, name: str | None) -> None:
    found = find_event(shown, application_id=None)
    assert (found.name if found else None) == name
    assert name is None or name in EVENTS


def test_a_damaged_file_concerns_its_applications_and_names_no_other() -> None:
    shown = row("blob.quarantined", after={"applications": ["a", "zebra"]})
    found = find_event(shown, application_id="a")
    assert found is not None and "zebra" not in json.dumps(dict(found.data)) and "actor" not in found.data
    assert find_event(shown, application_id="c") is None
