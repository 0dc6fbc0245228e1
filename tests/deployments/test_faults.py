"""Faults of the world, at every step: each run ends on the old version or on the new one, serving, and says why.

Run with `-s` to see the table: fault, step, outcome, what serves, how long it took.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.actors import TESTER
from tests.deployments.conftest import OpenService, finish
from tests.deployments.site import Site, git
from updater.deployments.model import Outcome, RunState, StepStatus
from updater.deployments.service import DeploymentService
from updater.errors import Conflict, Failure, Invalid

STEPS = ("dependencies", "static_files", "migrations")
FAULTS = {
    "exits 1": ["sh", "-c", "echo about to fail; exit 1"],
    "hangs": ["sleep", "60"],
    "hangs, ignores SIGTERM": ["sh", "-c", "trap '' TERM; while :; do sleep 60; done"],
    "kills itself": ["sh", "-c", "kill -9 $$"],
    "is not there": ["/does/not/exist"],
    "prints 100 MB, exits 1": ["sh", "-c", "yes abcdefghijklmnopqrstuvwxyz | head -c 100000000; echo the end; exit 1"],
    "prints binary, exits 1": ["sh", "-c", "head -c 300000 /dev/urandom; exit 1"],
    "leaves children, exits 1": ["sh", "-c", "sleep 61 & setsid sleep 61 & exit 1"],
}


def print_row(fault: str, step: str, state: RunState, site: Site, began: float) -> None:
    """One row of the table: it is made of what was seen, not of what was expected."""
    seconds = time.monotonic() - began
    print(f"| {fault} | {step} | {state.outcome} at {state.failed_step} | {site.serving()} | {seconds:.1f} s |")


async def apply(service: DeploymentService) -> tuple[RunState, float]:
    began = time.monotonic()
    return await finish(service, await service.apply(actor=TESTER)), began


def only_on_the_new_version(site: Site, command: list[str]) -> list[str]:
    """Return a command that has the fault where version two is checked out, and does nothing elsewhere."""
    script = site.folder / "faulty.sh"
    script.write_text('#!/bin/sh\ngrep -q two VERSION || exit 0\nexec "$@"\n')
    script.chmod(0o755)
    return [str(script), *command]


# Each fault at one step, each step with two or three faults; UPDATER_TEST_ALL_FAULTS=1 tries every pair.
PAIRS = [
    (fault, step)
    for number, fault in enumerate(FAULTS)
    for place, step in enumerate(STEPS)
    if number % len(STEPS) == place or os.environ.get("UPDATER_TEST_ALL_FAULTS")
]


@pytest.mark.parametrize(("fault", "step"), PAIRS)
async def test_a_step_that_fails(fault: str, step: str, site: Site, open_service: OpenService) -> None:
    command = only_on_the_new_version(site, FAULTS[fault])
    steps = [{"name": name, "command": command if name == step else ["true"], "timeout_s": 60} for name in STEPS]
    if "hangs" in fault:
        steps[STEPS.index(step)]["timeout_s"] = 1
    service = await open_service(steps=steps)
    site.push("two")
    state, began = await apply(service)
    print_row(fault, step, state, site, began)
    assert (state.outcome, state.failed_step) == (Outcome.RESTORED, step)
    assert (site.serving(), site.head(), site.clean()) == ("one", site.first, True)
    assert [each.name for each in state.steps][-1] == step, "nothing runs after the failure"
    assert not site.sleepers()
    (update,) = await service.list_updates()
    page = await service.list_update_logs(update.id, limit=20_000)
    assert page.logs[0].message.startswith(f"failed at {step}, {site.first} is in place again")
    size = sum(len(each.message.encode()) for each in page.logs)
    assert size < 500_000
    assert all(each.message.isprintable() for each in page.logs)
    if "hangs" in fault:
        assert state.steps[-1].status is StepStatus.TIMED_OUT
        assert state.steps[-1].duration_s < 1 + 5
    if "100 MB" in fault:
        assert any("bytes of output left out" in each.message for each in page.logs)
        assert "the end" in state.steps[-1].output


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_restart_that_fails(fault: str, site: Site, open_service: OpenService) -> None:
    faulty = only_on_the_new_version(site, FAULTS[fault])
    both = site.folder / "both.sh"
    # The first time it has the fault; the restart on the way back is the real one.
    both.write_text(f'#!/bin/sh\nset -e\n{faulty[0]} "$@"\n{site.restart[0]}\n')
    both.chmod(0o755)
    timeout_s = 5 if "hangs" in fault else 60
    service = await open_service(restart={"command": [str(both), *faulty[1:]], "timeout_s": timeout_s})
    site.push("two")
    state, began = await apply(service)
    print_row(fault, "restart", state, site, began)
    assert (state.outcome, state.failed_step) == (Outcome.RESTORED, "restart")
    assert (site.serving(), site.head(), site.clean()) == ("one", site.first, True)
    for pid in site.sleepers():
        assert "children" in fault, "only what a restart leaves on purpose stays"
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("version", ["sick", "dies"])
async def test_a_version_that_is_not_well(version: str, site: Site, open_service: OpenService) -> None:
    service = await open_service()
    site.push(version)
    state, began = await apply(service)
    print_row(f"new version {version}", "health", state, site, began)
    assert (state.outcome, state.failed_step) == (Outcome.RESTORED, "health")
    assert (site.serving(), site.head(), site.clean()) == ("one", site.first, True)


async def test_neither_version_works_and_somebody_is_told(site: Site, open_service: OpenService) -> None:
    service = await open_service(restart={"command": ["false"]}, health=None)
    site.push("two")
    state, began = await apply(service)
    print_row("restart never works", "restart", state, site, began)
    assert state.outcome is Outcome.BROKEN
    assert state.advice is not None
    assert site.first in state.advice
    assert (await service.list_logs(limit=1)).logs[0].level == "critical"
    assert (site.serving(), site.head()) == ("one", site.first)


# What stands in the way of git: nothing is touched, nothing is overwritten.


def _remote_gone(site: Site) -> None:
    shutil.rmtree(site.remote)


def _branch_deleted(site: Site) -> None:
    git(site.work, "push", "--quiet", "origin", "HEAD:other")
    git(site.remote, "symbolic-ref", "HEAD", "refs/heads/other")
    git(site.work, "push", "--quiet", "origin", ":main")


def _history_rewritten(site: Site) -> None:
    (site.work / "VERSION").write_text("rewritten\n")
    git(site.work, "checkout", "--quiet", "--orphan", "new")
    site.push("rewritten")


def _local_commit(site: Site) -> None:
    (site.checkout / "own").write_text("mine")
    git(site.checkout, "add", "own")
    git(site.checkout, "commit", "--quiet", "-m", "mine")
    site.push("two")


def _dirty(site: Site) -> None:
    site.push("two")
    (site.checkout / "app.py").write_text((site.checkout / "app.py").read_text() + "\n# mine\n")


def _staged(site: Site) -> None:
    _dirty(site)
    git(site.checkout, "add", "app.py")


def _untracked_in_the_way(site: Site) -> None:
    site.push("two", conf__local="theirs")
    (site.checkout / "conf").mkdir()
    (site.checkout / "conf" / "local").write_text("mine")


def _ignored_in_the_way(site: Site) -> None:
    (site.checkout / ".git" / "info" / "exclude").write_text("secret.env\n")
    (site.checkout / "secret.env").write_text("mine")
    site.push("two", **{"secret.env": "theirs"})


def _ignored_folder_in_the_way(site: Site) -> None:
    (site.checkout / ".git" / "info" / "exclude").write_text("var/\n")
    (site.checkout / "var").mkdir()
    (site.checkout / "var" / "data").write_text("mine")
    site.push("two", var="theirs")


def _ignored_file_where_a_folder_comes(site: Site) -> None:
    (site.checkout / ".git" / "info" / "exclude").write_text("var\n")
    (site.checkout / "var").write_text("mine")
    site.push("two", var__data="theirs")


def _other_branch(site: Site) -> None:
    site.push("two")
    git(site.checkout, "checkout", "--quiet", "-b", "topic")


def _detached(site: Site) -> None:
    site.push("two")
    git(site.checkout, "checkout", "--quiet", "--detach")


def _no_repository(site: Site) -> None:
    site.push("two")
    (site.checkout / ".git").rename(site.folder / "moved.git")


def _evil_transport(site: Site) -> None:
    site.push("two")
    git(site.checkout, "config", "remote.origin.url", f"ext::sh -c touch% {site.folder}/canary")


def _evil_transport_allowed(site: Site) -> None:
    """What a user's or a checkout's own configuration allows by name is allowed by our settings alone."""
    _evil_transport(site)
    git(site.checkout, "config", "protocol.ext.allow", "always")


def _locked_index(site: Site) -> None:
    site.push("two")
    lock = site.checkout / ".git" / "index.lock"
    lock.touch()
    os.utime(lock, (1, 1))


@pytest.mark.parametrize(
    ("fault", "step", "said"),
    [
        (_remote_gone, "git_fetch", "does not appear to be a git repository"),
        (_branch_deleted, "git_fetch", "couldn't find remote ref refs/heads/main"),
        (_history_rewritten, "git_pull", "have diverged"),
        (_local_commit, "git_pull", "have diverged"),
        (_dirty, "git_pull", "local changes in app.py"),
        (_staged, "git_pull", "local changes in app.py"),
        (_untracked_in_the_way, "git_pull", "conf/local"),
        (_ignored_in_the_way, "git_pull", "secret.env"),
        (_ignored_folder_in_the_way, "git_pull", "var/data"),
        (_ignored_file_where_a_folder_comes, "git_pull", "in the way: var"),
        (_other_branch, "git_fetch", "on branch topic, not on branch main"),
        (_detached, "git_fetch", "on no branch, not on branch main"),
        (_no_repository, "git_fetch", "not a git repository"),
        (_evil_transport, "git_fetch", "transport 'ext' not allowed"),
        (_evil_transport_allowed, "git_fetch", "transport 'ext' not allowed"),
        (_locked_index, "git_pull", "index.lock"),
    ],
)
async def test_git_that_cannot(fault, step: str, said: str, site: Site, open_service: OpenService) -> None:
    service = await open_service()
    fault(site)
    before = {p: p.read_bytes() for p in site.checkout.rglob("*") if p.is_file() and ".git" not in p.parts}
    state, began = await apply(service)
    print_row(fault.__name__[1:].replace("_", " "), step, state, site, began)
    assert (state.failed_step, state.error is not None and said in state.error) == (step, True), state.error
    assert state.outcome is Outcome.UNCHANGED
    assert site.serving() == "one"
    assert {p: p.read_bytes() for p in site.checkout.rglob("*") if p.is_file() and ".git" not in p.parts} == before, (
        "nothing is overwritten"
    )
    assert not (site.folder / "canary").exists()


async def test_a_check_says_why_it_cannot(site: Site, open_service: OpenService) -> None:
    service = await open_service()
    _history_rewritten(site)
    found = await service.check(actor=TESTER)
    assert (found.diverged, found.has_update) == (True, True)
    assert await service.list_updates() == []
    _remote_gone(site)
    with pytest.raises(Failure, match="git fetch failed") as caught:
        await service.check(actor=TESTER)
    assert "git_fetch" not in caught.value.message


HOSTILE_BRANCHES = (
    "--upload-pack=touch canary", "-x", "@{-1}", "@", "a..b", "a b", "main\nother", "$(touch canary)",
    "a;touch canary", "refs/heads/../x", "main.lock", "a:b", "+main", "ext::sh -c touch% canary", "a^{}",
    "HEAD~1", "/", "a//b", "\x7f",
)  # fmt: skip


@pytest.mark.parametrize("branch", HOSTILE_BRANCHES)
async def test_hostile_branch_names(branch: str, site: Site, open_service: OpenService) -> None:
    service = await open_service(branch=branch)
    git(site.checkout, "checkout", "--quiet", "-b", "before")
    git(site.checkout, "checkout", "--quiet", "main")
    with pytest.raises((Invalid, Conflict)):
        await service.check(actor=TESTER)
    state, began = await apply(service)
    print_row(f"branch {branch!r}", "git_fetch", state, site, began)
    assert (state.outcome, state.failed_step) == (Outcome.UNCHANGED, "git_fetch")
    assert site.serving() == "one"
    assert not list(site.folder.rglob("canary"))


async def test_hooks_filters_and_links_of_the_repository(site: Site, open_service: OpenService) -> None:
    outside = site.folder / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    for hook in ("post-merge", "post-checkout", "reference-transaction", "post-index-change", "pre-auto-gc"):
        path = site.checkout / ".git" / "hooks" / hook
        path.write_text(f"#!/bin/sh\ntouch {site.folder}/canary-{hook}\n")
        path.chmod(0o755)
    for key, value in {
        "filter.evil.smudge": f"touch {site.folder}/canary-smudge; cat",
        "filter.evil.clean": f"touch {site.folder}/canary-clean; cat",
        "core.fsmonitor": f"touch {site.folder}/canary-fsmonitor; false",
    }.items():
        git(site.checkout, "config", key, value)
    service = await open_service()
    (site.work / "link").symlink_to(outside)
    site.push("two", **{".gitattributes": "* filter=evil\n", "data.bin": "x", "evil__file": "y"})
    state, began = await apply(service)
    assert (state.outcome, site.head()) == (Outcome.UNCHANGED, site.first)
    assert "need the filter evil" in (state.error or "")
    site.push("two", **{".gitattributes": "\n"})
    state, began = await apply(service)
    assert state.outcome is Outcome.SUCCEEDED
    assert (site.checkout / "link").is_symlink()
    # The link becomes a folder, and the new version is sick: the way back goes through the same name.
    (site.work / "link").unlink()
    two = site.head()
    site.push("sick", link__kept="not yours")
    state, began = await apply(service)
    print_row("hooks, filters, links out", "git_pull", state, site, began)
    assert (state.outcome, site.head(), site.serving()) == (Outcome.RESTORED, two, "two")
    assert [path.name for path in outside.iterdir()] == ["kept"]
    assert (outside / "kept").read_text() == "kept"
    assert not list(site.folder.glob("canary*"))


async def test_allowed_hooks_run(site: Site, open_service: OpenService) -> None:
    """The control: without the guard the canary appears."""
    service = await open_service(allow_hooks=True, allow_filters=True)
    hook = site.checkout / ".git" / "hooks" / "post-merge"
    hook.write_text(f"#!/bin/sh\ntouch {site.folder}/canary-hook\n")
    hook.chmod(0o755)
    git(site.checkout, "config", "filter.evil.smudge", f"touch {site.folder}/canary-smudge; cat")
    site.push("two", **{".gitattributes": "*.bin filter=evil\n", "data.bin": "x"})
    state, _ = await apply(service)
    assert state.outcome is Outcome.SUCCEEDED
    assert {path.name for path in site.folder.glob("canary*")} == {"canary-hook", "canary-smudge"}


async def test_disk_full_during_pull(small_disk: Path, site: Site, open_service: OpenService) -> None:
    shutil.copytree(site.checkout, small_disk / "checkout", symlinks=True)
    site.checkout = small_disk / "checkout"
    service = await open_service()
    # Fits as a compressed object, not as a file.
    site.push("two", a_small="x", zeros="0" * 8_000_000)
    state, began = await apply(service)
    print_row("disk full", "git_pull", state, site, began)
    assert (state.outcome, state.failed_step) == (Outcome.RESTORED, "git_pull")
    assert (site.serving(), site.head(), site.clean()) == ("one", site.first, True)


async def test_two_services_start_at_once(site: Site, open_service: OpenService) -> None:
    """The lock of the runner decides, not something in one process."""
    services = [await open_service(steps=[{"name": "slow", "command": ["sleep", "1"]}]) for _ in range(2)]
    site.push("two")
    outcomes = await asyncio.gather(*(each.apply(actor=TESTER) for each in services), return_exceptions=True)
    started = [(service, run) for service, run in zip(services, outcomes, strict=True) if isinstance(run, str)]
    assert len(started) == 1
    assert sorted(type(each).__name__ for each in outcomes) == ["Conflict", "str"]
    state = await finish(*started[0])
    print_row("two at once", "start", state, site, time.monotonic())
    assert site.serving() == "two"
