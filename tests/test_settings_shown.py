"""The settings as they may be shown: a canary in every place that can hold a secret, none in the answer."""

from __future__ import annotations

import dataclasses
import json
import typing
from pathlib import Path
from typing import Any

import pytest

from updater.config import as_tree, load
from updater.settings import Settings
from updater.settings.blanking import HIDDEN, blank_url, blanked
from updater.settings.checks import Secret
from updater.settings.in_effect import SettingsInEffect

CANARY = "CANARY0123456789CANARY0123456789"
URL = f"postgresql://user:{CANARY}@db.example.com:5432/updater?sslmode=require&sslpassword={CANARY}"
PROBE = f"http://user:{CANARY}@127.0.0.1:3000/health?token={CANARY}"
COMMAND = [
    "curl",
    "--token",
    CANARY,
    f"--password={CANARY}",
    "-H",
    f"Authorization: Bearer {CANARY}",
    f"https://user:{CANARY}@example.com/?key={CANARY}",
    f"API_KEY={CANARY}",
    f"export TOKEN='{CANARY}'; exec run --secret {CANARY}",
    "-u",
    f"me:{CANARY}",
]


def full() -> dict[str, Any]:
    """Return an environment that sets everything that may hold a secret."""
    deployment = {
        "id": "web",
        "path": "/srv/web",
        "launcher": COMMAND,
        "steps": [{"name": "build", "command": COMMAND}],
        "restart": {"command": COMMAND},
        "health": {"url": PROBE},
        "busy": [{"command": COMMAND}, {"url": PROBE, "equals": CANARY}],
    }
    return {
        "storage": {
            "database_url": URL,
            "blob_url": f"s3://bucket/here?endpoint=https%3A%2F%2Fu%3A{CANARY}%40s3.example.com&region=eu"
            f"&access_key_id={CANARY}&secret_access_key={CANARY}&session_token={CANARY}",
            "cdn_url": f"https://user:{CANARY}@cdn.example.com/files",
        },
        "access": {
            "api_keys": [{"name": "ci", "key": CANARY, "permissions": ["write"]}],
            "jwt": {"secret": CANARY},
        },
        "rate_limit": {"storage_url": f"rediss://:{CANARY}@redis.example.com:6379/0?password={CANARY}"},
        "deployments": [deployment],
    }


def loaded(tmp_path: Path, tree: dict[str, Any]) -> Settings:
    file = tmp_path / "config.yaml"
    file.write_text(json.dumps(tree))
    return load(file, {})


def test_no_canary_is_shown(tmp_path: Path) -> None:
    """Control: a `secret=` taken from any declaration turns this red."""
    settings = loaded(tmp_path, full())
    assert repr(dataclasses.asdict(settings)).count(CANARY) > 30
    shown = blanked(settings)
    text = json.dumps(shown)
    assert CANARY not in text
    assert CANARY.lower() not in text.lower()
    assert shown["storage"]["database_url"] == (
        f"postgresql://user:{HIDDEN}@db.example.com:5432/updater?sslmode=require&sslpassword={HIDDEN}"
    )
    assert shown["storage"]["blob_url"].startswith(
        f"s3://bucket/here?endpoint=https://u:{HIDDEN}@s3.example.com&region=eu&"
    )
    assert shown["access"]["jwt"]["secret"] == HIDDEN
    assert shown["access"]["api_keys"][0]["name"] == "ci"
    assert shown["deployments"][0]["launcher"][:3] == ["curl", "--token", HIDDEN]


def test_what_is_not_set_and_what_is_no_secret_is_told(tmp_path: Path) -> None:
    shown = blanked(Settings())
    assert shown["storage"]["database_url"] is None
    assert shown["access"]["jwt"]["secret"] is None
    assert shown["server"] == as_tree(Settings().server)
    steps = blanked(loaded(tmp_path, {"deployments": [{"id": "a", "path": "/a"}]}))["deployments"][0]["steps"]
    assert steps[0]["command"] == ["uv", "sync"]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("redis://token@host", "redis://***@host"),
        ("redis://u:a@b@host", "redis://u:***@host"),
        ("unix:///run/redis.sock?db=1&password=x", "unix:///run/redis.sock?db=1&password=***"),
        ("postgres://u:p@h1:1,h2:2/db?password", "postgres://u:***@h1:1,h2:2/db?password=***"),
        ("http://[::1/x", "***"),
        ("https://h/p#token", "https://h/p#***"),
    ],
)
def test_addresses(url: str, shown: str) -> None:
    assert blank_url(url) == shown


def _declarations(kind: type[Any], name: str = "") -> list[tuple[str, dataclasses.Field[Any], Any]]:
    found = []
    hints = typing.get_type_hints(kind)
    for each in dataclasses.fields(kind):
        found.append((f"{name}.{each.name}", each, hints[each.name]))
        for inner in (hints[each.name], *typing.get_args(hints[each.name])):
            if dataclasses.is_dataclass(inner) and isinstance(inner, type):
                found += _declarations(inner, f"{name}.{each.name}")
    return found


def test_every_setting_with_a_telling_name_says_what_is_secret() -> None:
    """A new address, key or command is refused here until its declaration says what of it is secret."""
    telling = ("key", "secret", "password", "token", "url", "command", "launcher", "jwt")
    harmless = {
        ".access.jwt.public_key",
        ".access.jwt",
        ".access.api_keys",
        ".storage.signed_url_s",
        ".storage.uploads_per_key",
    }
    silent = [
        name
        for name, each, _ in _declarations(Settings)
        if any(word in each.name for word in telling)
        and name not in harmless
        and each.metadata.get("secret", Secret.NONE) is Secret.NONE
    ]
    assert silent == []


def test_what_was_reread_is_in_effect(tmp_path: Path) -> None:
    in_effect = SettingsInEffect(Settings())
    fresh = loaded(
        tmp_path,
        {
            "access": {"session_hours": 3},
            "rate_limit": {"enabled": False, "sign_in_per_minute": 5},
            "server": {"port": 1},
        },
    )
    in_effect.reread(fresh)
    now = in_effect.current
    assert (now.access.session_hours, now.rate_limit.sign_in_per_minute) == (3, 5)
    # A reload does not change these.
    assert (now.rate_limit.enabled, now.server.port) == (True, 8080)
