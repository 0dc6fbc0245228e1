"""Checkouts of other users, missing places and programs: said as such, each with its remedy."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.actors import TESTER
from tests.deployments.conftest import OpenService, finish
from tests.deployments.site import Site
from updater.deployments.model import Outcome
from updater.errors import Conflict, Unavailable

PLAIN = {"restart": None, "health": None}
STRANGER = "12345"


@pytest.fixture
def foreign(site: Site) -> Site:
    """Give the checkout to another user."""
    if os.geteuid():
        pytest.skip("giving files away needs root")
    subprocess.run(("chown", "-R", STRANGER, str(site.checkout)), check=True)
    return site


async def test_a_foreign_checkout_is_said_with_both_remedies(foreign: Site, open_service: OpenService) -> None:
    service = await open_service(**PLAIN)
    foreign.push("two")
    with pytest.raises(Conflict) as caught:
        await service.check(actor=TESTER)
    said = caught.value.message
    assert f"The checkout at {foreign.checkout} belongs to user {STRANGER}, this service runs as root" in said
    assert f"`owner: {STRANGER}`" in said
    assert f"git config --system --add safe.directory {foreign.checkout}" in said
    state = await finish(service, await service.apply(actor=TESTER))
    assert (state.outcome, state.failed_step, state.error) == (Outcome.UNCHANGED, "git_fetch", said)


async def test_the_remedy_of_git_counts(
    foreign: Site, open_service: OpenService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = tmp_path / "gitconfig"
    system.write_text(f"[safe]\n\tdirectory = {foreign.checkout}\n")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", str(system))
    service = await open_service(**PLAIN, environment=["GIT_CONFIG_SYSTEM"])
    head = foreign.push("two")
    assert (await finish(service, await service.apply(actor=TESTER))).outcome is Outcome.SUCCEEDED
    assert (await service.status()).commit == head


async def test_filters_of_the_machine_are_switched_off_too(
    site: Site, open_service: OpenService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = tmp_path / "gitconfig"
    canary = site.folder / "canary"
    system.write_text(f'[filter "evil"]\n\tsmudge = "touch {canary}; cat"\n\tclean = "touch {canary}; cat"\n')
    (site.checkout / ".git" / "info" / "attributes").write_text("* filter=evil\n")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", str(system))
    service = await open_service(**PLAIN, environment=["GIT_CONFIG_SYSTEM"])
    site.push("two")
    state = await finish(service, await service.apply(actor=TESTER))
    assert (state.outcome, canary.exists()) == (Outcome.UNCHANGED, False)


async def test_the_settings_can_name_the_owner(foreign: Site, open_service: OpenService) -> None:
    service = await open_service(**PLAIN, owner=STRANGER)
    head = foreign.push("two")
    assert (await finish(service, await service.apply(actor=TESTER))).outcome is Outcome.SUCCEEDED
    assert (await service.status()).commit == head


async def test_another_owner_than_the_named_one_is_refused(foreign: Site, open_service: OpenService) -> None:
    service = await open_service(**PLAIN, owner="www-data")
    with pytest.raises(Conflict, match="but the settings name www-data as its owner"):
        await service.check(actor=TESTER)


async def test_places_that_are_no_checkout(site: Site, open_service: OpenService) -> None:
    service = await open_service(**PLAIN)
    moved = site.folder / "moved"
    site.checkout.rename(moved)

    async def said() -> str:
        with pytest.raises(Conflict) as status:
            await service.status()
        with pytest.raises(Conflict) as check:
            await service.check(actor=TESTER)
        state = await finish(service, await service.apply(actor=TESTER))
        assert (state.outcome, state.failed_step) == (Outcome.UNCHANGED, "git_fetch")
        assert {status.value.message, check.value.message} == {state.error}
        return check.value.message

    path = str(site.checkout)
    assert await said() == f"The deployment's path {path} does not exist"
    site.checkout.write_text("x")
    assert await said() == f"The deployment's path {path} is not a folder"
    site.checkout.unlink()
    site.checkout.mkdir()
    assert (await said()).startswith(f"The deployment's path {path} cannot be used: fatal: not a git repository")
    site.checkout.rmdir()
    shutil.copytree(moved, site.folder / "whole")
    (site.folder / "whole" / "below").mkdir()
    site.checkout.symlink_to(site.folder / "whole" / "below")
    assert await said() == f"The deployment's path {path} is not the top of a git checkout"
    site.checkout.unlink()
    shutil.copytree(site.remote, site.checkout)
    assert (await said()).startswith(f"The deployment's path {path} cannot be used: fatal: this operation must be run")
    shutil.rmtree(site.checkout)
    moved.rename(site.checkout)
    site.push("two")
    assert (await finish(service, await service.apply(actor=TESTER))).outcome is Outcome.SUCCEEDED


async def test_a_missing_git_is_said(
    site: Site, open_service: OpenService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = await open_service(**PLAIN)
    site.push("two")
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    wanted = f"git could not be started: there is no git in PATH ({tmp_path}/empty)"
    with pytest.raises(Unavailable) as caught:
        await service.check(actor=TESTER)
    assert wanted in caught.value.message
    state = await finish(service, await service.apply(actor=TESTER))
    assert (state.outcome, state.failed_step, wanted in (state.error or "")) == (Outcome.UNCHANGED, "git_fetch", True)


async def test_a_missing_program_of_a_step_is_said(site: Site, open_service: OpenService) -> None:
    service = await open_service(**PLAIN, steps=[{"name": "build", "command": ["no-such-program"]}])
    site.push("two")
    state = await finish(service, await service.apply(actor=TESTER))
    assert (state.failed_step, "there is no no-such-program in PATH (" in (state.error or "")) == ("build", True)
