"""Repositories of any shape: each run ends on the new version, or on the old one with a step and a reason.

A later run is never blocked by one before.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.actors import TESTER
from tests.deployments.conftest import OpenService, finish
from tests.deployments.site import Site, git
from updater.deployments.model import Outcome

PLAIN = {"restart": None, "health": None}
PERSON = b"A <a@example.com>"


def make_commit(site: Site, message: bytes, *, author: bytes = PERSON, date: bytes = b"1700000000 +0000") -> str:
    """Push a commit of any bytes on top of the branch; return its hash."""
    (site.work / "VERSION").write_text(f"hostile {os.urandom(4).hex()}\n")
    git(site.work, "add", "--all")
    tree, parent = git(site.work, "write-tree"), git(site.work, "rev-parse", "HEAD")
    body = b"tree %s\nparent %s\nauthor %s %s\ncommitter %s %s\n\n%s" % (
        tree.encode(), parent.encode(), author, date, author, date, message,
    )  # fmt: skip
    words = ("git", "hash-object", "-t", "commit", "-w", "--stdin", "--literally")
    made = subprocess.run(words, cwd=site.work, input=body, capture_output=True, check=True).stdout.decode().strip()
    git(site.work, "update-ref", "refs/heads/main", made)
    git(site.work, "push", "--quiet", "origin", "main")
    return made


COMMITS: dict[str, dict[str, bytes]] = {
    "year 99999": {"message": b"x", "date": b"3093527980800 +0000"},
    "year of 20 digits": {"message": b"x", "date": b"99999999999999999999 +0000"},
    "before 1970": {"message": b"x", "date": b"-1 +0000"},
    "1970": {"message": b"x", "date": b"0 +0000"},
    "zone +9999": {"message": b"x", "date": b"1700000000 +9999"},
    "zone -9999": {"message": b"x", "date": b"1700000000 -9999"},
    "zone +5130": {"message": b"x", "date": b"1700000000 +5130"},
    "no zone": {"message": b"x", "date": b"1700000000"},
    "no date": {"message": b"x", "date": b""},
    "a date of words": {"message": b"x", "date": b"yesterday +0000"},
    "control characters": {"message": b"\x1b[31mred\x07\x08\x01\x1e\x1f\x7f two"},
    "the old separators": {"message": b"one\x1etwo\x1fthree\x1f\x1e\x1f"},
    "NUL": {"message": b"before\0after"},
    "carriage returns": {"message": b"one\rtwo\r\nthree\n\nbody"},
    "broken UTF-8": {"message": b"\xff\xfe\x80 caf\xe9"},
    "bidi and line separators": {"message": "a\u202eb\u2028c\u2029d\u0085e".encode()},
    "no subject": {"message": b""},
    "blank subject": {"message": b"\n\n   \n"},
    "1 MB subject": {"message": b"x" * 1_000_000},
    "no author": {"message": b"x", "author": b"<>"},
    "broken author": {"message": b"x", "author": b"\xff\x1b[2J\x01 <a\x07>"},
}


@pytest.mark.parametrize("name", COMMITS)
async def test_a_commit_of_any_bytes_is_deployed(name: str, site: Site, open_service: OpenService) -> None:
    service = await open_service(**PLAIN)
    made = make_commit(site, **COMMITS[name])
    found = await service.check(actor=TESTER)
    assert (found.has_update, found.latest, found.commits[0].hash) == (True, made, made)
    assert found.commits[0].message.isprintable()
    assert len(found.commits[0].message.encode()) <= 2_000
    assert 1970 <= found.commits[0].date.year <= 9999
    state = await finish(service, await service.apply(actor=TESTER))
    assert (state.outcome, site.head(), site.clean()) == (Outcome.SUCCEEDED, made, True), state.error
    (update,) = await service.list_updates()
    assert update.title
    assert (update.title + update.version).isprintable()
    assert (await service.status()).updates_available == 0


def _tag_like_the_branch(site: Site) -> None:
    site.push("two")
    for name in ("main", "HEAD", "origin/main", "refs/heads/main"):
        git(site.work, "tag", name, site.first)
        git(site.checkout, "tag", name, site.first)
    git(site.work, "push", "--quiet", "origin", "--tags")


def _branch_like_a_file(site: Site) -> None:
    git(site.work, "branch", "VERSION")
    git(site.work, "push", "--quiet", "origin", "VERSION")
    site.push("two", main="a file", HEAD="another", origin__main="a third")


def _tag_of_odd_name(site: Site) -> None:
    site.push("two")
    git(site.work, "tag", "-m", "x", "v2-é\u202e\u00a0;$(touch\u00a0canary)")
    git(site.work, "push", "--quiet", "origin", "--tags")


def _packed_refs(site: Site) -> None:
    site.push("two")
    git(site.checkout, "pack-refs", "--all", "--prune")
    git(site.remote, "gc", "--quiet")


def _shallow(site: Site) -> None:
    site.push("one and a half")
    subprocess.run(("rm", "-r", str(site.checkout)), check=True)
    git(site.folder, "clone", "--quiet", "--depth=1", f"file://{site.remote}", str(site.checkout))
    site.push("two")


def _partial(site: Site) -> None:
    git(site.remote, "config", "uploadpack.allowFilter", "true")
    subprocess.run(("rm", "-r", str(site.checkout)), check=True)
    git(site.folder, "clone", "--quiet", "--filter=blob:none", f"file://{site.remote}", str(site.checkout))
    site.push("two", **{".gitattributes": "*.txt text\n", "a.txt": "x\n"})


def _worktree(site: Site) -> None:
    other = site.folder / "main checkout"
    site.checkout.rename(other)
    git(other, "checkout", "--quiet", "--detach")
    git(other, "worktree", "add", str(site.checkout), "main")
    site.push("two")


def _grafted_and_replaced(site: Site) -> None:
    two = site.push("two")
    git(site.checkout, "fetch", "--quiet", "origin")
    (site.checkout / ".git" / "info" / "grafts").write_text(f"{two}\n")
    git(site.checkout, "replace", "--graft", two)


def _merge_of_histories(site: Site) -> None:
    git(site.work, "checkout", "--quiet", "-b", "side", site.first)
    (site.work / "side").write_text("x")
    git(site.work, "add", "side")
    git(site.work, "commit", "--quiet", "-m", "side")
    git(site.work, "checkout", "--quiet", "main")
    site.push("one and a half")
    git(site.work, "merge", "--quiet", "-m", "both", "side")
    site.push("two")


def _names_of_any_bytes(site: Site) -> None:
    for name in (b"caf\xe9", b"new\nline", b"\x1b[31m", b'"quoted"', b"-x", b"tab\there"):
        Path(os.fsdecode(os.fsencode(site.work) + b"/" + name)).write_text("x")
    site.push("two")


def _configured(*settings: str) -> Callable[[Site], None]:
    def configure(site: Site) -> None:
        site.push("two")
        for setting in settings:
            name, _, value = setting.partition("=")
            git(site.checkout, "config", name, value)

    configure.__name__ = "_" + settings[0].partition("=")[0]
    return configure


SHAPES = [
    _tag_like_the_branch, _branch_like_a_file, _tag_of_odd_name, _packed_refs, _shallow, _partial, _worktree,
    _grafted_and_replaced, _merge_of_histories, _names_of_any_bytes,
    _configured("log.showSignature=true", "log.date=relative", "log.decorate=full", "log.follow=true"),
    _configured("color.ui=always", "color.status=always", "color.branch=always", "column.ui=always"),
    _configured("core.pager=false", "pager.log=false", "pager.status=false", "pager.rev-list=false"),
    _configured("alias.log=!false", "alias.status=!false", "alias.fetch=!false", "alias.rev-list=!false"),
    _configured("core.fsmonitor=true", "core.untrackedCache=true", "core.splitIndex=true"),
    _configured("fetch.prune=true", "fetch.pruneTags=true", "fetch.output=compact", "fetch.parallel=0"),
    _configured("format.pretty=oneline", "core.abbrev=4", "tag.sort=refname", "log.abbrevCommit=true"),
    _configured("i18n.logOutputEncoding=UTF-16", "i18n.commitEncoding=ISO-8859-1"),
    _configured("merge.ff=false", "branch.main.mergeOptions=--no-ff --squash", "pull.rebase=true"),
    _configured("diff.external=false", "diff.noprefix=true", "diff.renames=copies", "diff.relative=true"),
    _configured("status.branch=true", "status.short=true", "status.showStash=true", "status.aheadBehind=true"),
    _configured("remote.origin.fetch=+refs/heads/*:refs/heads/*", "remote.origin.tagOpt=--tags"),
    _configured("remote.origin.mirror=true", "remote.origin.prune=true"),
]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES, ids=lambda each: each.__name__[1:])
async def test_a_repository_of_any_shape_is_deployed(
    shape: Callable[[Site], None], site: Site, open_service: OpenService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    service = await open_service(**PLAIN)
    shape(site)
    head = git(site.work, "rev-parse", "refs/heads/main")
    found = await service.check(actor=TESTER)
    assert (found.latest, found.has_update, found.diverged) == (head, True, False)
    state = await finish(service, await service.apply(actor=TESTER))
    assert (state.outcome, site.head(), site.clean()) == (Outcome.SUCCEEDED, head, True), state.error
    assert git(site.checkout, "symbolic-ref", "HEAD") == "refs/heads/main"
    said = [line.message for line in (await service.list_logs(limit=1000)).logs]
    assert not [line for line in said if line.startswith("hint:")], "git's own advice is for who types its commands"
    await finish(service, await service.rollback(actor=TESTER))
    assert site.head() == found.current
    assert not list(site.folder.rglob("canary"))


async def test_thousands_of_commits(site: Site, open_service: OpenService) -> None:
    """The list is bounded, the number is not."""
    service = await open_service(**PLAIN)
    stream = [f"from {site.first}\n"]
    for number in range(3000):
        message = f"Number {number} " + "x" * 4000
        head = "commit refs/heads/main\ncommitter A <a@example.com> 1700000000 +0000\n"
        stream.append(f"{head}data {len(message)}\n{message}\n{stream[0] if not number else ''}")
    git(site.work, "checkout", "--quiet", "--detach")
    words = ("git", "fast-import", "--quiet", "--force")
    subprocess.run(words, cwd=site.work, input="".join(stream[1:]).encode(), check=True)
    git(site.work, "push", "--quiet", "origin", "main")
    found = await service.check(actor=TESTER)
    assert len(found.commits) == 500
    assert found.commits[0].message.startswith("Number 2999 xxx")
    assert (await service.status()).updates_available == 3000
    state = await finish(service, await service.apply(actor=TESTER))
    assert state.outcome is Outcome.SUCCEEDED


async def test_a_lock_of_a_git_that_was_killed_before_is_named(site: Site, open_service: OpenService) -> None:
    service = await open_service(**PLAIN)
    head = site.push("two")
    lock = site.checkout / ".git" / "index.lock"
    lock.touch()
    state = await finish(service, await service.apply(actor=TESTER))
    assert (state.outcome, state.failed_step, site.head()) == (Outcome.UNCHANGED, "git_pull", site.first)
    assert f"Unable to create '{lock}': File exists" in (state.error or "")
    assert lock.exists(), "it may be that of the owner's own git"
    lock.unlink()
    await finish(service, await service.apply(actor=TESTER))
    assert site.head() == head


async def test_a_git_that_was_too_slow_leaves_no_lock(site: Site, open_service: OpenService) -> None:
    """Else the fetch of each later run would fail. The lock is made by a git that no signal but the last one ends."""
    service = await open_service(**PLAIN, git_timeout_s=2)
    head = site.push("two")
    lock = site.checkout / ".git" / "refs" / "remotes" / "origin" / "main.lock"
    pack = site.folder / "pack.sh"
    pack.write_text(f"#!/bin/sh\ntouch {lock}\nsleep 60\n")
    pack.chmod(0o755)
    git(site.checkout, "config", "remote.origin.uploadpack", str(pack))
    state = await finish(service, await service.apply(actor=TESTER))
    assert (state.outcome, state.failed_step) == (Outcome.UNCHANGED, "git_fetch")
    assert "timed out after 2 s" in (state.error or "")
    assert not lock.exists()
    git(site.checkout, "config", "--unset", "remote.origin.uploadpack")
    await finish(service, await service.apply(actor=TESTER))
    assert site.head() == head


async def test_dates_are_those_of_the_commits(site: Site, open_service: OpenService) -> None:
    service = await open_service(**PLAIN)
    make_commit(site, b"x", date=b"1700000000 -1145")
    found = await service.check(actor=TESTER)
    assert found.commits[0].date == datetime.fromtimestamp(1_700_000_000, UTC)
