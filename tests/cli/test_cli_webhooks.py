"""Webhooks on the command line. The service runs with an admin key, and reaches nothing on loopback."""

from __future__ import annotations

from tests.cli.conftest import Command

URL = "https://192.0.2.1.example.invalid/hook"


def test_create_list_test_replay_delete(remote: Command) -> None:
    made = remote("webhook", "create", URL, "--event", "rollout.halted", "--name", "chat", "--json").json
    assert made["secret"].startswith("whsec_")
    listed = remote("webhook", "list").out
    assert made["id"] in listed and "active" in listed and made["secret"] not in listed
    tried = remote("webhook", "test", made["id"])
    assert (tried.status, "not delivered" in tried.err) == (1, True)
    assert remote("webhook", "replay", made["id"], "--since", "2020-01-01T00:00:00Z").status == 0
    assert remote("webhook", "replay", made["id"], "--event", "nonsense").status == 7
    assert remote("webhook", "delete", made["id"]).status == 0
    assert remote("webhook", "delete", made["id"]).status == 5


def test_of_an_application(remote: Command) -> None:
    assert remote("webhook", "list", "--app", "none").status == 5
    assert remote("webhook", "create", "http://127.0.0.1/").status == 7
    assert remote("webhook", "create", URL, key="").status == 4
