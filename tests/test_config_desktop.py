"""The list of desktop APIs in the settings."""

from __future__ import annotations

import json
from typing import Any

import pytest

from updater.config import load
from updater.errors import ConfigurationError
from updater.settings import DesktopSettings


def desktop(value: Any) -> tuple[DesktopSettings, ...]:
    return load(None, {"UPDATER_DESKTOP": json.dumps(value)}).desktop


def test_without_an_entry_there_is_none() -> None:
    assert load(None, {}).desktop == ()
    assert desktop([]) == ()


def test_an_empty_entry_has_the_documents_names() -> None:
    assert desktop([{}]) == (
        DesktopSettings("/wp-json/bkgt/v1/updates", "bkgt-manager", "BKGT-Manager-{version}-{platform}{suffix}"),
    )


def test_several_entries() -> None:
    pattern = "{application}-{version}-{platform}{suffix}"
    first, second = desktop([{"prefix": "/one"}, {"prefix": "/two/v1", "application": "b", "file_name": pattern}])
    assert (first.prefix, first.application) == ("/one", "bkgt-manager")
    assert (second.prefix, second.application, second.file_name) == ("/two/v1", "b", pattern)


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({"prefix": "/x"}, "desktop: expected a list"),
        (["x"], "desktop[0]: expected a mapping"),
        ([{"prefx": "/x"}], "desktop[0].prefx: unknown key"),
        ([{"prefix": "x"}], "desktop[0].prefix: 'x' does not fit"),
        ([{"prefix": "/x/"}], "desktop[0].prefix"),
        ([{"prefix": "/"}], "desktop[0].prefix"),
        ([{"prefix": "/x/../y"}], "desktop[0].prefix"),
        ([{"prefix": "/x/{id}"}], "desktop[0].prefix"),
        ([{"prefix": "/x\n"}], "desktop[0].prefix"),
        ([{"prefix": "/api/v1/updates"}], "taken"),
        ([{"prefix": "/admin"}], "taken"),
        ([{}, {}], "overlaps"),
        ([{"prefix": "/a"}, {"prefix": "/a/b"}], "desktop[1].prefix: '/a/b' overlaps with '/a'"),
        ([{"prefix": "/a/b"}, {"prefix": "/a"}], "overlaps"),
        ([{"application": "a b"}], "desktop[0].application"),
        ([{"application": "a\n"}], "desktop[0].application"),
        ([{"file_name": "{version}"}], "desktop[0].file_name"),
        ([{"file_name": "{version}{platform}{home}"}], "desktop[0].file_name"),
        ([{"file_name": "{version}{platform}{version.__class__}"}], "desktop[0].file_name"),
        ([{"file_name": "{version}{platform}{"}], "desktop[0].file_name"),
        ([{"file_name": "{version}{platform}{}"}], "desktop[0].file_name"),
        ([{"file_name": "{version!r}{platform}"}], "desktop[0].file_name"),
        ([{"file_name": "{version:>99999999}{platform}"}], "desktop[0].file_name"),
    ],
)
def test_what_does_not_fit_is_named(value: Any, named: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        desktop(value)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_paths_that_only_begin_alike_are_apart() -> None:
    assert len(desktop([{"prefix": "/a"}, {"prefix": "/ab"}])) == 2


def test_a_single_key_of_a_list_cannot_be_set() -> None:
    with pytest.raises(ConfigurationError, match="UPDATER_DESKTOP"):
        load(None, {"UPDATER_DESKTOP__PREFIX": "/x"})
