"""A wrong setting stops the start with one line: the key, the value, and what fits. Secrets are not shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from updater.config import load
from updater.errors import ConfigurationError

WRONG: list[tuple[str, Any]] = [
    ("server.port", 65_536),
    ("server.port", "http"),
    ("server.port", 80.5),
    ("server.host", ""),
    ("server.public_url", "updates.example.com"),
    ("server.public_url", "https://x/?q=1"),
    ("server.public_url", "https://x/below/"),
    ("server.public_url", "https://x\\y"),
    ("server.public_url", "https://bücher.example"),
    ("server.public_url", "https://x%20y"),
    ("server.public_url", "https://me:secret@x"),
    ("server.trusted_proxies", ["10.0.0.0/33"]),
    ("server.trusted_proxies", "10.0.0.1"),
    ("server.drain_s", -1),
    ("storage.root", ""),
    ("storage.max_upload_bytes", 0),
    ("access.enabled", "yes"),
    ("rate_limit.enabled", "on"),
    ("rate_limit.anonymous_per_minute", 0),
    ("rate_limit.sign_in_per_minute", None),
    ("telemetry.queue_size", 0),
    ("logging.level", "verbose"),
    ("server.public_url", "http://[::1"),
    ("server.public_url", "http://x:port"),
    ("storage.cdn_url", "https://x:99999"),
    ("server.prot", 8080),
]


def refusal(tmp_path: Path, tree: Any, environment: dict[str, str] | None = None) -> str:
    path = tmp_path / "config.yaml"
    path.write_text(tree if isinstance(tree, str) else yaml.safe_dump(tree))
    with pytest.raises(ConfigurationError) as caught:
        load(path, environment or {})
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_named(tmp_path: Path, name: str, value: Any) -> None:
    section, _, key = name.partition(".")
    text = refusal(tmp_path, {section: {key: value}})
    assert text.startswith(f"{name}: ")
    assert repr(value) in text or "unknown key" in text
    assert len(text) > len(f"{name}: {value!r} does not fit; ")


@pytest.mark.parametrize(
    "tree",
    [
        "[",
        "- a",
        "just text",
        "server: 1",
        "server: [1]",
        "surprise: {}",
        "\x00",
        "server: {port: !!python/name:os.x }",
    ],
)
def test_files_that_are_no_settings(tmp_path: Path, tree: str) -> None:
    refusal(tmp_path, tree)


@pytest.mark.parametrize("name", ["UPDATER_SURPRISE__X", "UPDATER_SERVER__PROT", "UPDATER_SERVER__PORT"])
def test_the_environment_is_held_to_the_same(tmp_path: Path, name: str) -> None:
    assert name.lower().removeprefix("updater_").partition("__")[0] in refusal(tmp_path, "", {name: "[1"}).lower()


def test_a_wrong_key_is_not_shown(tmp_path: Path) -> None:
    secret = "canary"
    text = refusal(tmp_path, {"access": {"api_keys": [{"name": "ci", "key": secret, "permissions": ["write"]}]}})
    assert "access.api_keys[0].key" in text
    assert secret not in text


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("server: {port: 1, drain_s: 2}")
    settings = load(path, {"UPDATER_SERVER__PORT": "3", "UPDATER_KEY": "not a setting", "HOME": "/"})
    assert (settings.server.port, settings.server.drain_s) == (3, 2)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("storage.database_url", "mysql://u:canary@h/d"),
        ("storage.database_url", "postgresql://u:canary@[h/d"),
        ("storage.blob_url", "https://canary@bucket"),
        ("rate_limit.storage_url", "memcached://canary@h"),
        ("rate_limit.storage_url", "redis://:canary@h:port/0"),
        ("rate_limit.storage_url", "redis://:canary@h/first"),
    ],
)
def test_wrong_addresses_are_named_and_not_shown(tmp_path: Path, name: str, value: str) -> None:
    section, _, key = name.partition(".")
    text = refusal(tmp_path, {section: {key: value}})
    assert text.startswith(f"{name}: the given value does not fit; expected ")
    assert "canary" not in text


def test_several_hosts_of_a_database_fit(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("storage: {database_url: 'postgresql://u@h1:5432,h2:5433/d?target_session_attrs=primary'}")
    assert load(path, {}).storage.database_url is not None
