"""What the audit keeps of a change: what differs, and never what may be secret.

Controls: `_ADDRESSES` emptied, `hostname` replaced by `netloc`, the values of own fields kept: each is found.
"""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from updater.audit.chain import as_text
from updater.catalog.changes import (
    describe_application,
    describe_build,
    describe_changes,
    describe_deleted_release,
    describe_release,
    named,
)
from updater.catalog.model import CONFIG_DEFAULTS, Application, Build, Checksum, ReleaseStatus
from updater.catalog.platforms import PLATFORMS, Target
from updater.catalog.versions import Scheme, parse_version

AT = datetime(2026, 1, 1, tzinfo=UTC)
LINUX = Target("linux", "amd64")
SECRET = "hunter2"
ADDRESSES = ("update_check_url", "notification_url")


def app(**config: Any) -> Application:
    return Application("my-app", "My App", "Text", ("linux",), {**CONFIG_DEFAULTS, **config}, Scheme.SEMVER, AT, AT)


def test_things_are_named_as_people_call_them() -> None:
    assert named("my-app") == "my-app"
    assert named("my-app", "1.2.0") == "my-app 1.2.0"
    assert named("my-app", "1.2.0", LINUX) == "my-app 1.2.0 linux/amd64"


def test_an_application_is_described_without_secrets() -> None:
    described = describe_application(
        app(
            update_check_url=f"https://user:{SECRET}@check.example.com:8443/{SECRET}?token={SECRET}#{SECRET}",
            notification_url=f"https://hooks.example.com/services/{SECRET}",
            custom_fields={"token": SECRET, "a": 1},
            required_update=True,
            max_version="2.0.0",
        )
    )
    assert SECRET not in json.dumps(described)
    config = described.pop("config")
    assert described == {"name": "My App", "platforms": ["linux"], "version_scheme": "semver", "private": False}
    assert config == {
        **CONFIG_DEFAULTS,
        "update_check_url": "check.example.com",
        "notification_url": "hooks.example.com",
        "custom_fields": ["a", "token"],
        "required_update": True,
        "max_version": "2.0.0",
    }


def test_addresses_that_are_not_set_are_empty() -> None:
    config = describe_application(app())["config"]
    assert {config[key] for key in ADDRESSES} == {""}
    assert config["custom_fields"] == []


def test_without_a_difference_both_sides_are_empty() -> None:
    config = {"update_check_url": f"https://a.example/{SECRET}", "custom_fields": {"token": SECRET}}
    later = dataclasses.replace(app(**config), updated_at=datetime(2027, 1, 1, tzinfo=UTC))
    assert describe_changes(app(**config), later) == ({}, {})


def test_fields_are_given_before_and_after() -> None:
    before = app(update_interval=60, min_version="1.0.0")
    after = dataclasses.replace(
        app(update_interval=90, min_version="1.0.0", max_version="3.0.0"),
        name="Other",
        description="New",
        platforms=("linux", "windows"),
    )
    assert describe_changes(before, after) == (
        {
            "name": "My App",
            "description": "Text",
            "platforms": ["linux"],
            "config.update_interval": 60,
            "config.max_version": "",
        },
        {
            "name": "Other",
            "description": "New",
            "platforms": ["linux", "windows"],
            "config.update_interval": 90,
            "config.max_version": "3.0.0",
        },
    )


@pytest.mark.parametrize("key", ADDRESSES)
def test_an_address_that_moves_is_told_by_its_host_alone(key: str) -> None:
    before, after = app(**{key: f"https://a.example/{SECRET}"}), app(**{key: f"https://b.example/{SECRET}"})
    assert describe_changes(before, after) == ({f"config.{key}": "a.example"}, {f"config.{key}": "b.example"})
    assert describe_changes(app(), after) == ({f"config.{key}": ""}, {f"config.{key}": "b.example"})


@pytest.mark.parametrize("key", ADDRESSES)
@pytest.mark.parametrize("change", ["/other", "/x?token=2", ":444/x", "/x#part"])
def test_an_address_that_changes_on_its_host_is_only_named(key: str, change: str) -> None:
    before, after = app(**{key: "https://a.example/x"}), app(**{key: f"https://a.example{change}"})
    assert describe_changes(before, after) == ({}, {"changed": [key]})


def test_a_password_in_an_address_is_only_named() -> None:
    before = app(notification_url="https://me:old@a.example/x")
    after = app(notification_url=f"https://me:{SECRET}@a.example/x")
    assert describe_changes(before, after) == ({}, {"changed": ["notification_url"]})


def test_own_fields_are_told_by_their_names_and_changed_values_are_only_named() -> None:
    before, after = app(custom_fields={"b": 1}), app(custom_fields={"b": SECRET})
    assert describe_changes(before, after) == ({}, {"changed": ["custom_fields"]})
    more = app(custom_fields={"b": SECRET, "a": SECRET})
    assert describe_changes(before, more) == ({"config.custom_fields": ["b"]}, {"config.custom_fields": ["a", "b"]})


@pytest.mark.parametrize(("old", "new"), [(1, True), (0, False), (1, 1.0), ([1], [True]), ({"a": 0}, {"a": False})])
def test_values_that_python_takes_for_equal_are_a_change_all_the_same(old: Any, new: Any) -> None:
    """`1` and `true` are two values to whatever reads the JSON."""
    before, after = app(custom_fields={"b": old}), app(custom_fields={"b": new})
    assert describe_changes(before, after) == ({}, {"changed": ["custom_fields"]})


def test_the_order_of_own_fields_is_no_change() -> None:
    before, after = app(custom_fields={"a": 1, "b": 2}), app(custom_fields={"b": 2, "a": 1})
    assert describe_changes(before, after) == ({}, {})


def test_what_is_only_named_stands_beside_what_is_shown() -> None:
    before = app(custom_fields={"b": 1}, update_check_url="https://a.example/1")
    after = app(custom_fields={"b": 2}, update_check_url="https://a.example/2", auto_update=True)
    assert describe_changes(before, after) == (
        {"config.auto_update": False},
        {"config.auto_update": True, "changed": ["custom_fields", "update_check_url"]},
    )


HOSTS = st.sampled_from(["a.example", "b.example:8080", "[::1]:99"])
SECRET_ADDRESSES = st.just("") | st.builds(
    "https://u:{1}@{0}/{1}?{1}#{1}".format, HOSTS, st.sampled_from(["secret-one", "secret-two"])
)
# Numbers and keys hold no secret: the names of own fields are shown on purpose.
SECRET_VALUES = st.sampled_from(["secret-one", "secret-two", 4711, ["secret-one"], {"in": "secret-two"}, None])
CONFIGS = st.fixed_dictionaries(
    {
        "update_check_url": SECRET_ADDRESSES,
        "notification_url": SECRET_ADDRESSES,
        "custom_fields": st.dictionaries(st.sampled_from(["x", "y", "z"]), SECRET_VALUES),
        "auto_update": st.booleans(),
        "update_interval": st.integers(1, 3),
        "max_version": st.sampled_from(["", "1.0.0"]),
    }
)
APPLICATIONS = st.builds(
    lambda config, name, platforms: dataclasses.replace(app(**config), name=name, platforms=tuple(platforms)),
    CONFIGS,
    st.sampled_from(["One", "Two"]),
    st.lists(st.sampled_from(PLATFORMS), unique=True, max_size=3),
)


@given(APPLICATIONS, APPLICATIONS)
@settings(deadline=None, max_examples=300)
def test_no_secret_is_ever_in_a_row_and_no_change_is_lost(before: Application, after: Application) -> None:
    old, new = describe_changes(before, after)
    for each in (old, new, describe_application(before), describe_application(after)):
        text = as_text(each)
        assert text is not None
        assert "secret" not in text
        assert "4711" not in text
    hidden = new.get("changed", [])
    told = {key.removeprefix("config.") for key in new if key != "changed"}
    assert told == {key.removeprefix("config.") for key in old}
    assert not told & set(hidden), "a setting is shown or named, not both"
    differs = {key for key in ("name", "description", "platforms") if getattr(before, key) != getattr(after, key)}
    differs |= {key for key in CONFIG_DEFAULTS if before.config[key] != after.config[key]}
    assert told | set(hidden) == differs


def test_a_release_is_told_with_its_channel_and_its_share() -> None:
    assert describe_release("beta", 12.5) == {"channel": "beta", "percent": 12.5}


@pytest.mark.parametrize("status", ReleaseStatus)
def test_a_release_that_goes_is_told_with_its_last_status(status: ReleaseStatus) -> None:
    assert describe_deleted_release("beta", status) == {"channel": "beta", "status": status.value}


def test_a_build_is_told_by_its_target_and_its_checksum() -> None:
    each = Build(
        id=1,
        release_id=1,
        application_id="my-app",
        version=parse_version("1.0.0"),
        target=LINUX,
        file=None,
        url=f"https://files.example.com/{SECRET}",
        checksum=Checksum("md5", "abc"),
        size_bytes=None,
        notes=SECRET,
        required=True,
        minimum=None,
        metadata={"token": SECRET},
        created_at=AT,
        status=ReleaseStatus.ACTIVE,
        complete=True,
        quarantined=False,
        channel="stable",
        channel_position=0,
    )
    assert describe_build(each) == {"platform": "linux", "architecture": "amd64", "checksum": "abc"}
