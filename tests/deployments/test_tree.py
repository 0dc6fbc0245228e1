"""Done means that the tree is the commit: what git itself would not notice, and what it would leave out."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.actors import TESTER
from tests.deployments.conftest import OpenService, finish
from tests.deployments.site import Site, git
from updater.deployments.model import LogLevel, Outcome

PLAIN: dict[str, Any] = {"restart": None, "health": None}
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 5\n"


def _submodule(site: Site) -> None:
    other = site.folder / "other"
    git(site.folder, "clone", "--quiet", str(site.remote), str(other))
    git(site.work, "submodule", "--quiet", "add", str(site.remote), "lib/other")
    site.push("two")


def _filter(site: Site) -> None:
    site.push("two", **{".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n", "data.bin": POINTER})


def _filter_by_info_attributes(site: Site) -> None:
    (site.checkout / ".git" / "info" / "attributes").write_text("VERSION filter=secret\n")
    site.push("two")


def _assume_unchanged(site: Site) -> None:
    git(site.checkout, "update-index", "--assume-unchanged", "app.py")
    (site.checkout / "app.py").write_text("mine\n")
    site.push("two")


def _skip_worktree(site: Site) -> None:
    git(site.checkout, "update-index", "--skip-worktree", "app.py")
    (site.checkout / "app.py").write_text("mine\n")
    site.push("two")


def _gone_behind_a_flag(site: Site) -> None:
    git(site.checkout, "update-index", "--skip-worktree", "app.py")
    (site.checkout / "app.py").unlink()
    site.push("two")


def _same_size_and_time(site: Site) -> None:
    git(site.checkout, "config", "core.trustctime", "false")
    git(site.checkout, "config", "core.checkStat", "minimal")
    file = site.checkout / "app.py"
    os.utime(file, (1, 1))
    git(site.checkout, "update-index", "--refresh")
    file.write_text(file.read_text().replace("sick", "well"))
    os.utime(file, (1, 1))
    site.push("two")


def _case(site: Site) -> None:
    git(site.checkout, "config", "core.ignoreCase", "true")
    site.push("two", Readme="x", README="y")


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        (_submodule, "submodules (lib/other), which the settings do not allow"),
        (_filter, "need the filter lfs (data.bin), which the settings do not allow"),
        (_filter_by_info_attributes, "need the filter secret (VERSION)"),
        (_assume_unchanged, "local changes in app.py, which git does not show"),
        (_skip_worktree, "local changes in app.py, which git does not show"),
        (_gone_behind_a_flag, "local changes in app.py, which git does not show"),
        (_same_size_and_time, "local changes in app.py, which git does not show"),
        (_case, "README, Readme"),
    ],
)
async def test_refused_before_anything_is_touched(
    shape: Callable[[Site], None], said: str, site: Site, open_service: OpenService
) -> None:
    service = await open_service(**PLAIN)
    shape(site)
    before = {path: path.read_bytes() for path in site.checkout.iterdir() if path.is_file()}
    state = await finish(service, await service.apply(actor=TESTER))
    assert (state.outcome, state.failed_step, site.head()) == (Outcome.UNCHANGED, "git_pull", site.first), state.error
    assert said in (state.error or "")
    assert {path: path.read_bytes() for path in site.checkout.iterdir() if path.is_file()} == before


async def test_allowed_submodules_are_brought_and_taken_back(site: Site, open_service: OpenService) -> None:
    service = await open_service(**PLAIN, allow_submodules=True)
    _submodule(site)
    state = await finish(service, await service.apply(actor=TESTER))
    assert state.outcome is Outcome.SUCCEEDED, state.error
    assert (site.checkout / "lib" / "other" / "app.py").exists()
    await finish(service, await service.rollback(actor=TESTER))
    assert site.head() == site.first


async def test_a_submodule_that_is_not_brought_is_said(site: Site, open_service: OpenService) -> None:
    service = await open_service(**PLAIN, allow_submodules=True)
    git(site.work, "submodule", "--quiet", "add", str(site.remote), "lib")
    git(site.work, "config", "--file", ".gitmodules", "submodule.lib.update", "none")
    site.push("two")
    state = await finish(service, await service.apply(actor=TESTER))
    assert (state.outcome, site.head()) == (Outcome.RESTORED, site.first)
    assert "the content is missing of lib" in (state.error or "")


async def test_a_filter_that_is_not_set_up_is_said(site: Site, open_service: OpenService) -> None:
    service = await open_service(**PLAIN, allow_filters=True)
    _filter(site)
    state = await finish(service, await service.apply(actor=TESTER))
    assert (state.outcome, "need git-lfs (data.bin), which is not set up here" in (state.error or "")) == (
        Outcome.UNCHANGED, True,
    )  # fmt: skip


async def test_pointers_are_not_content(site: Site, open_service: OpenService) -> None:
    """As with GIT_LFS_SKIP_SMUDGE: git finds such a file unchanged."""
    service = await open_service(**PLAIN, allow_filters=True)
    git(site.checkout, "config", "filter.lfs.smudge", "cat")
    git(site.checkout, "config", "filter.lfs.clean", "cat")
    _filter(site)
    state = await finish(service, await service.apply(actor=TESTER))
    assert (state.outcome, site.head(), site.clean()) == (Outcome.RESTORED, site.first, True)
    assert "the content is missing of data.bin" in (state.error or "")


async def test_a_filter_that_works_is_no_difference(site: Site, open_service: OpenService) -> None:
    service = await open_service(**PLAIN, allow_filters=True)
    git(site.checkout, "config", "filter.upper.smudge", "tr a-z A-Z")
    git(site.checkout, "config", "filter.upper.clean", "tr A-Z a-z")
    site.push("two", **{".gitattributes": "*.txt filter=upper\n", "a.txt": "small\n"})
    state = await finish(service, await service.apply(actor=TESTER))
    assert (state.outcome, (site.checkout / "a.txt").read_text()) == (Outcome.SUCCEEDED, "SMALL\n"), state.error


async def test_line_ends_are_no_difference(site: Site, open_service: OpenService) -> None:
    """Neither converted ones, nor those in a commit that its own attributes would write in another way."""
    service = await open_service(**PLAIN)
    (site.work / "old.txt").write_bytes(b"a\r\nb\r\n")
    site.push("one and a half")
    (site.work / ".gitattributes").write_text("*.txt text=auto\n*.bat text eol=crlf\n*.id ident\n")
    (site.work / "run.bat").write_bytes(b"echo\r\n")
    (site.work / "x.id").write_bytes(b"$Id$\n")
    blob = (
        subprocess.run(
            ("git", "hash-object", "-w", "--stdin"),
            cwd=site.work,
            input=b"a\r\nb\r\nc\r\n",
            capture_output=True,
            check=True,
        )
        .stdout.decode()
        .strip()
    )
    git(site.work, "add", "--all")
    git(site.work, "update-index", "--add", "--cacheinfo", f"100644,{blob},new.txt")
    git(site.work, "commit", "--quiet", "-m", "two")
    git(site.work, "push", "--quiet", "origin", "HEAD:main")
    head = git(site.work, "rev-parse", "HEAD")
    state = await finish(service, await service.apply(actor=TESTER))
    assert (state.outcome, site.head()) == (Outcome.SUCCEEDED, head), state.error
    assert (site.checkout / "run.bat").read_bytes() == b"echo\r\n"
    await finish(service, await service.rollback(actor=TESTER))
    assert site.head() == site.first


async def test_modes_links_and_names_of_any_bytes(site: Site, open_service: OpenService) -> None:
    service = await open_service(**PLAIN)
    (site.work / "run.sh").write_text("x")
    (site.work / "link").symlink_to("nowhere")
    Path(os.fsdecode(os.fsencode(site.work) + b"/caf\xe9\n")).write_text("x")
    site.push("two")
    await finish(service, await service.apply(actor=TESTER))
    (site.work / "run.sh").chmod(0o755)
    (site.work / "link").unlink()
    (site.work / "link").write_text("nowhere")
    head = site.push("three")
    state = await finish(service, await service.apply(actor=TESTER))
    assert (state.outcome, site.head(), site.clean()) == (Outcome.SUCCEEDED, head, True), state.error
    assert os.access(site.checkout / "run.sh", os.X_OK)


async def test_a_sparse_checkout_says_what_it_leaves_out(site: Site, open_service: OpenService) -> None:
    service = await open_service(**PLAIN)
    site.push("one and a half", docs__a="x")
    git(site.checkout, "pull", "--quiet")
    git(site.checkout, "sparse-checkout", "set", "--no-cone", "/*", "!/docs/")
    head = site.push("two", docs__b="y")
    state = await finish(service, await service.apply(actor=TESTER))
    assert (state.outcome, site.head()) == (Outcome.SUCCEEDED, head), state.error
    page = await service.list_logs(level=LogLevel.WARNING)
    assert any("the sparse checkout leaves out docs/a, docs/b" in line.message for line in page.logs)


async def test_a_hook_that_changes_the_tree_fails_the_run(site: Site, open_service: OpenService) -> None:
    service = await open_service(**PLAIN, allow_hooks=True)
    hook = site.checkout / ".git" / "hooks" / "post-merge"
    hook.write_text("#!/bin/sh\necho mine >>app.py\n")
    hook.chmod(0o755)
    head = site.push("two")
    state = await finish(service, await service.apply(actor=TESTER))
    assert (state.outcome, state.failed_step, site.head()) == (Outcome.RESTORED, "git_pull", site.first)
    assert f"not as {head} has it: app.py" in (state.error or "")
    assert site.clean()
