"""The `deployments` section: a list of records with records inside."""

from __future__ import annotations

import json
from typing import Any

import pytest

from updater.config import as_tree, deployment_from_tree, load
from updater.errors import ConfigurationError
from updater.settings import STEP_COMMANDS, DeploymentSettings


def deployments(*records: Any) -> tuple[DeploymentSettings, ...]:
    return load(None, {"UPDATER_DEPLOYMENTS": json.dumps(records)}).deployments


def test_a_record_needs_an_id_and_a_path_and_the_rest_has_defaults() -> None:
    (found,) = deployments({"id": "web", "path": "/srv/web"})
    assert (found.remote, found.branch, found.protocols) == ("origin", "main", ("https", "ssh"))
    assert [(step.name, step.command) for step in found.steps] == [("dependencies", ("uv", "sync"))]
    assert (found.restart, found.health, found.busy) == (None, None, ())


def test_documented_steps_know_their_command() -> None:
    (found,) = deployments({"id": "web", "path": "/srv/web", "steps": [{"name": name} for name in STEP_COMMANDS]})
    assert {step.name: step.command for step in found.steps} == STEP_COMMANDS


def test_a_plan_of_another_version_is_read() -> None:
    (found,) = deployments({"id": "web", "path": "/srv/web", "restart": {"command": ["true"]}})
    tree = as_tree(found)
    tree["of_tomorrow"] = tree["restart"]["of_tomorrow"] = 1
    assert deployment_from_tree(tree) == found


@pytest.mark.parametrize(
    ("record", "complaint"),
    [
        ({"path": "/srv"}, "deployments[0].id: missing"),
        ({"id": "a/b", "path": "/srv"}, "deployments[0].id: 'a/b' does not fit"),
        ({"id": "a", "path": "srv"}, "deployments[0].path: 'srv' does not fit; expected an absolute path"),
        ({"id": "a", "path": "/srv", "remote": "--upload-pack=x"}, "deployments[0].remote:"),
        ({"id": "a", "path": "/srv", "protocols": ["ext"]}, "deployments[0].protocols:"),
        ({"id": "a", "path": "/srv", "steps": [{"name": "x"}]}, "deployments[0].steps[0]: step 'x' needs a command"),
        ({"id": "a", "path": "/srv", "steps": [{"name": "restart"}]}, "deployments[0].steps[0].name: 'restart'"),
        ({"id": "a", "path": "/srv", "steps": [{"name": "migrations"}] * 2}, "two steps have the same name"),
        ({"id": "a", "path": "/srv", "restart": {"cmd": ["x"]}}, "deployments[0].restart.cmd: unknown key"),
        ({"id": "a", "path": "/srv", "restart": ["x"]}, "deployments[0].restart: ['x'] does not fit"),
        ({"id": "a", "path": "/srv", "health": {"url": "file:///x"}}, "deployments[0].health.url:"),
        ({"id": "a", "path": "/srv", "busy": [{}]}, "deployments[0].busy[0]: expected either a command or a url"),
    ],
)
def test_a_wrong_record_is_one_line(record: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        deployments(record)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_ids_differ() -> None:
    with pytest.raises(ConfigurationError, match="is taken by an earlier record"):
        deployments({"id": "a", "path": "/srv"}, {"id": "a", "path": "/other"})
