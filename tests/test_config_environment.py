"""Settings from the environment: each read by its type, and names that are no settings stop nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import invoke
from updater.config import as_tree, list_ignored, load
from updater.errors import ConfigurationError

SECRET = "20261125" * 5
READ: list[tuple[str, str, Any]] = [
    ("server.host", "::", "::"),
    ("server.host", '"127.0.0.1"', "127.0.0.1"),
    ("storage.root", "20261125", "20261125"),
    ("storage.root", "yes", "yes"),
    ("storage.root", "1e3", "1e3"),
    ("storage.root", "a: b #c", "a: b #c"),
    ("storage.root", "[half", "[half"),
    ("storage.root", "null", "null"),
    ("server.public_url", "null", None),
    ("server.public_url", "", None),
    ("server.port", "010", 10),
    ("access.enabled", "false", False),
    ("access.jwt.secret", SECRET, SECRET),
    ("access.jwt.issuer", "2026-11-25", "2026-11-25"),
    ("access.jwt", f"{{secret: {SECRET}}}", {"secret": SECRET}),
    ("server.trusted_proxies", "[127.0.0.1, 10.0.0.0/8]", ["127.0.0.1", "10.0.0.0/8"]),
    ("retention.keep_days", "null", None),
]


def variable(name: str) -> str:
    return "UPDATER_" + name.upper().replace(".", "__")


@pytest.mark.parametrize(("name", "given", "expected"), READ)
def test_a_variable_is_read_by_the_type_of_its_setting(name: str, given: str, expected: Any) -> None:
    found: Any = as_tree(load(None, {variable(name): given}))
    for key in name.split("."):
        found = found[key]
    assert found == expected if not isinstance(expected, dict) else expected.items() <= found.items()


def test_lists_of_records_are_read_the_same_way() -> None:
    keys = "[{name: 20261125, key: 12345678901234567890, permissions: [write]}]"
    steps = "[{id: web, path: /srv/web, branch: 1.0, steps: [{name: tell, command: [echo, 1.0, yes, null]}]}]"
    found = load(None, {"UPDATER_ACCESS__API_KEYS": keys, "UPDATER_DEPLOYMENTS": steps})
    assert (found.access.api_keys[0].name, found.access.api_keys[0].key) == ("20261125", "12345678901234567890")
    assert found.deployments[0].branch == "1.0"
    assert found.deployments[0].steps[0].command == ("echo", "1.0", "yes", "null")


def test_a_nested_key_keeps_its_neighbours_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("access: {jwt: {issuer: me}, session_hours: 3}")
    access = load(path, {"UPDATER_ACCESS__JWT__SECRET": SECRET}).access
    assert (access.jwt.issuer, access.jwt.secret, access.session_hours) == ("me", SECRET, 3)


@pytest.mark.parametrize(
    "name",
    [
        "UPDATER_SERVER__PROT",
        "UPDATER_SURPRISE__X",
        "UPDATER_ACCESS__JWT__SECRT",
        "UPDATER_SERVER__HOST__NAME",
        "UPDATER_ACCESS__API_KEYS__0",
        "UPDATER_DESKTOP__PREFIX",
        "UPDATER_SERVER__",
    ],
)
def test_a_name_with_two_underscores_that_fits_no_setting_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        load(None, {name: "1"})


def test_names_of_others_are_ignored_and_told() -> None:
    injected = {
        "UPDATER_PORT": "tcp://10.0.0.1:8080",
        "UPDATER_PORT_8080_TCP_ADDR": "10.0.0.1",
        "UPDATER_SERVICE_HOST": "10.0.0.1",
    }
    ours = {"UPDATER_RUN": "1", "UPDATER_KEY": "k", "UPDATER_SERVER": "http://x", "UPDATER_SERVER__PORT": "1"}
    assert load(None, injected | ours).server.port == 1
    assert list_ignored(injected | ours | {"HOME": "/"}) == sorted(injected)


def test_commands_work_beside_such_names_and_warn(tmp_path: Path) -> None:
    environment = {
        "UPDATER_SERVICE_HOST": "10.0.0.1",
        "UPDATER_RUN": "1",
        "UPDATER_STORAGE__ROOT": str(tmp_path / "no"),
    }
    ran = invoke("restart", environment=environment)
    assert "Warning: no settings, so ignored: UPDATER_SERVICE_HOST (" in ran.err
    assert "no workers" in ran.err


def test_a_relative_root_counts_from_the_settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere, etc = tmp_path / "elsewhere", tmp_path / "etc"
    elsewhere.mkdir()
    etc.mkdir()
    monkeypatch.chdir(elsewhere)
    (etc / "config.yaml").write_text("storage: {root: data}")
    assert load(etc / "config.yaml", {}).storage.root == str(etc / "data")
    assert load(Path("../etc/config.yaml"), {}).storage.root == str(elsewhere / "../etc/data")
    assert load(None, {"UPDATER_STORAGE__ROOT": "data"}).storage.root == "data"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load(None, {"UPDATER_STORAGE__ROOT": "~/data"}).storage.root == str(tmp_path / "data")


def test_a_data_folder_that_was_found_from_the_working_directory_is_not_passed_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, etc = tmp_path / "old", tmp_path / "etc"
    (old / "data").mkdir(parents=True)
    (old / "data" / "secret").touch()
    etc.mkdir()
    (etc / "config.yaml").write_text("storage: {root: data}")
    monkeypatch.chdir(old)
    with pytest.raises(ConfigurationError, match=str(old / "data")):
        load(etc / "config.yaml", {})
