"""What is left to send of a plan, beside what the server has."""

from __future__ import annotations

from pathlib import Path

import pytest

from updater_client import BuildFile, ListedBuild, Target, UpdateError
from updater_client.folder.model import Plan, PlannedFile
from updater_client.folder.sending import Work, compare

WINDOWS, ARM, MAC, MAC_ARM = (
    Target("windows", "amd64"),
    Target("windows", "arm64"),
    Target("mac", "x64"),
    Target("mac", "arm64"),
)


def planned(name: str, *targets: Target, primary: bool = False, sha256: str = "aa", **more: object) -> PlannedFile:
    known = targets or (WINDOWS,)
    kind = "installer" if primary else "blockmap"
    primary_of = known if primary else ()
    return PlannedFile(Path(name), name, name, kind, known, primary_of, 10, sha256=sha256, **more)  # type: ignore[arg-type]


def there(
    name: str, *, primary: bool = False, sha256: str = "aa", made_by: str = "developer", **more: object
) -> BuildFile:
    return BuildFile(name, "installer", primary, 10, sha256, (), made_by, "https://x", **more)  # type: ignore[arg-type]


def listed(target: Target, *files: BuildFile, status: str = "draft") -> ListedBuild:
    return ListedBuild("1.0.0", target, "https://x", "aa", "sha256", status=status, files=files)


def work(files: list[PlannedFile], *builds: ListedBuild) -> Work:
    return compare(Plan("1.0.0", None, "", tuple(files)), builds)


def ways(found: Work) -> list[tuple[str, str, bool]]:
    return [(step.file.name, ",".join(map(str, step.targets)), step.primary) for step in found.steps]


def test_all_of_a_new_release_is_sent() -> None:
    found = work([planned("a.exe", primary=True), planned("a.exe.blockmap")])
    assert found.status == "new"
    assert ways(found) == [("a.exe", "windows/amd64", True), ("a.exe.blockmap", "windows/amd64", False)]
    assert found.size_bytes == 20


def test_what_is_there_is_not_sent() -> None:
    files = [planned("a.exe", primary=True), planned("a.exe.blockmap")]
    found = work(files, listed(WINDOWS, there("a.exe", primary=True)))
    assert ways(found) == [("a.exe.blockmap", "windows/amd64", False)]
    complete = listed(WINDOWS, there("A.EXE", primary=True), there("a.exe.blockmap"), status="active")
    assert work(files, complete) == Work("active")


def test_a_file_of_two_targets_is_sent_once() -> None:
    universal = planned("a.zip", MAC, MAC_ARM, primary=True)
    assert ways(work([universal])) == [("a.zip", "darwin/amd64,darwin/arm64", True)]
    half = work([universal], listed(MAC, there("a.zip", primary=True)))
    assert ways(half) == [("a.zip", "darwin/arm64", True)]


def test_what_the_server_made_gives_way() -> None:
    own = there("a.exe.blockmap", sha256="bb", made_by="server")
    found = work([planned("a.exe.blockmap")], listed(WINDOWS, there("a.exe", primary=True), own, status="active"))
    assert ways(found) == [("a.exe.blockmap", "windows/amd64", False)]
    assert found.others == ("windows/amd64/a.exe",)


def test_other_bytes_replace_those_of_a_draft_and_not_of_a_live_release() -> None:
    files = [planned("a.exe", primary=True), planned("b.zip", sha256="cc")]
    found = work(files, listed(WINDOWS, there("a.exe", primary=True, sha256="bb"), there("b.zip", sha256="bb")))
    assert ways(found) == [("a.exe", "windows/amd64", True), ("b.zip", "windows/amd64", False)]
    live = listed(WINDOWS, there("a.exe", primary=True, sha256="bb"), there("b.zip", sha256="bb"), status="active")
    with pytest.raises(UpdateError, match=r"other bytes for windows/amd64/a.exe, windows/amd64/b.zip") as refused:
        work(files, live)
    assert refused.value.status == 409


def test_the_primary_file_that_is_there_stays_while_it_is_planned() -> None:
    files = [planned("a.exe", primary=True), planned("a.msi")]
    kept = work(files, listed(WINDOWS, there("a.msi", primary=True)))
    assert ways(kept) == [("a.exe", "windows/amd64", False)]
    left_over = work(files, listed(WINDOWS, there("old.exe", primary=True)))
    assert ways(left_over) == [("a.exe", "windows/amd64", True), ("a.msi", "windows/amd64", False)]
    live = work(files, listed(WINDOWS, there("old.exe", primary=True), status="active"))
    assert [way[2] for way in ways(live)] == [False, False]


def test_a_companion_becomes_the_primary_file() -> None:
    found = work([planned("a.exe", primary=True)], listed(WINDOWS, there("a.exe")))
    assert ways(found) == [("a.exe", "windows/amd64", True)]


def test_signatures_that_are_missing_are_added() -> None:
    file = planned("a.exe", primary=True, signatures={"minisign": "text", "ed25519": "other"})
    signed = BuildFile("a.exe", "installer", True, 10, "aa", ("ed25519",), "developer", "https://x")
    found = work([file], listed(WINDOWS, signed, status="active"))
    assert (found.steps, [(each.target, each.signatures) for each in found.signings]) == (
        (),
        [(WINDOWS, {"minisign": "text"})],
    )


def test_a_withdrawn_release_and_a_server_of_old_are_refused() -> None:
    with pytest.raises(UpdateError, match="is withdrawn"):
        work([planned("a.exe")], listed(WINDOWS, status="withdrawn"))
    old = ListedBuild("1.0.0", WINDOWS, "https://x", "aa", "sha256", status="active")
    with pytest.raises(UpdateError, match="too old"):
        work([planned("a.exe")], old)
