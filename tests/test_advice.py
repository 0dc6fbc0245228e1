"""What the start warns of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.web.updates.tokens import SECRET
from updater.advice import list_advice
from updater.settings import Settings


def advised(settings: Settings, *public: str) -> list[str]:
    return [each.setting for each in list_advice(settings, public)]


def test_tokens_of_end_users_deploy_unless_a_claim_is_named(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    record = {"id": "site", "path": str(tmp_path)}
    claim = {"name": "role", "values": ["admin"]}
    assert advised(make_settings(deployments=[record], access={"jwt": {"secret": SECRET}})) == [
        "access.jwt.deploy_claim"
    ]
    for harmless in (
        {"deployments": [record]},
        {"access": {"jwt": {"secret": SECRET}}},
        {"deployments": [record], "access": {"jwt": {"secret": SECRET, "deploy_claim": claim}}},
    ):
        assert advised(make_settings(**harmless)) == []


@pytest.mark.parametrize(("proxies", "expected"), [([], ["telemetry.country_header"]), (["127.0.0.1"], [])])
def test_a_country_header_needs_a_proxy_to_believe(
    make_settings: Callable[..., Settings], proxies: list[str], expected: list[str]
) -> None:
    given: dict[str, Any] = {"telemetry": {"country_header": "CF-IPCountry"}, "server": {"trusted_proxies": proxies}}
    assert advised(make_settings(**given)) == expected


def test_files_that_one_interface_guards_and_another_gives_away(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(desktop=[{"prefix": "/one"}, {"prefix": "/two", "application": "other"}])
    assert advised(settings) == []
    assert advised(settings, "other", "third") == ["desktop[1].application"]
