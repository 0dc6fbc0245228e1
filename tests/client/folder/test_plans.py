"""From a folder to a plan: what each build tool leaves, and what stands in the way."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path

import pytest

from tests.client.folder import makers
from tests.unprivileged import run_bound_by_modes
from updater_client.folder.digests import with_digests
from updater_client.folder.model import Plan, PlannedFile, Wishes
from updater_client.folder.plan import make_plan
from updater_client.folder.reading import read_folder


def plan_of(folder: Path, **wishes: object) -> Plan:
    wished = Wishes(**wishes)  # type: ignore[arg-type]
    return with_digests(make_plan(read_folder(folder, wished), wished))


def good(folder: Path, **wishes: object) -> Plan:
    plan = plan_of(folder, **wishes)
    assert [str(each) for each in plan.problems] == []
    return plan


def short(file: PlannedFile) -> tuple[str, str, str]:
    """Return the name, the targets with a star where it is the primary file, and the kind."""
    targets = ",".join(f"{each}{'*' if each in file.primary_of else ''}" for each in file.targets)
    return file.name, targets, file.kind


def problems(folder: Path, **wishes: object) -> str:
    return "\n".join(map(str, plan_of(folder, **wishes).problems))


def names(plan: Plan) -> list[str]:
    return sorted(file.name for file in plan.files)


def test_what_electron_builder_leaves(tmp_path: Path) -> None:
    plan = good(makers.electron(tmp_path, releaseNotes="# News"))
    assert (plan.version, plan.channel, plan.notes, plan.remarks) == ("1.2.0", None, "# News", ())
    assert sorted(map(short, plan.files)) == [
        ("My App Setup 1.2.0.exe", "windows/amd64*", "installer"),
        ("My App Setup 1.2.0.exe.blockmap", "windows/amd64", "blockmap"),
        ("My App-1.2.0-arm64-mac.zip", "darwin/arm64*", "archive"),
        ("My App-1.2.0-arm64-mac.zip.blockmap", "darwin/arm64", "blockmap"),
        ("My App-1.2.0-arm64.dmg", "darwin/arm64", "installer"),
        ("My App-1.2.0-arm64.dmg.blockmap", "darwin/arm64", "blockmap"),
        ("My App-1.2.0-mac.zip", "darwin/amd64*", "archive"),
        ("My App-1.2.0-mac.zip.blockmap", "darwin/amd64", "blockmap"),
        ("My App-1.2.0.dmg", "darwin/amd64", "installer"),
        ("My App-1.2.0.dmg.blockmap", "darwin/amd64", "blockmap"),
        ("my-app-1.2.0-arm64.AppImage", "linux/arm64*", "installer"),
        ("my-app-1.2.0.AppImage", "linux/amd64*", "installer"),
        ("my-app_1.2.0_amd64.deb", "linux/amd64", "installer"),
    ]
    assert plan.metadata == {"darwin": {"electron": {"minimumSystemVersion": "21.6.0"}}}
    assert "linux/arm64/my-app-1.2.0-arm64.AppImage" in plan.require and len(plan.require) == 13
    assert all(re.fullmatch("[0-9a-f]{64}", file.sha256) for file in plan.files)


def test_what_tauri_leaves(tmp_path: Path) -> None:
    plan = good(makers.tauri(tmp_path, makers.MinisignKey()))
    assert sorted(map(short, plan.files)) == [
        ("My App.app.tar.gz", "darwin/arm64", "archive"),
        ("My App_1.2.0_aarch64.dmg", "darwin/arm64*", "installer"),
        ("My App_1.2.0_x64-setup.exe", "windows/amd64*", "installer"),
        ("My App_1.2.0_x64_en-US.msi", "windows/amd64", "installer"),
        ("my-app-1.2.0-1.x86_64.rpm", "linux/amd64", "installer"),
        ("my-app_1.2.0_amd64.AppImage", "linux/amd64*", "installer"),
        ("my-app_1.2.0_amd64.deb", "linux/amd64", "installer"),
    ]
    assert [file.name for file in plan.files if "minisign" not in file.signatures] == ["My App_1.2.0_aarch64.dmg"]


@pytest.mark.parametrize(("word", "platform"), [("win", "windows"), ("osx", "darwin"), ("linux", "linux")])
def test_what_velopack_leaves(tmp_path: Path, word: str, platform: str) -> None:
    plan = good(makers.velopack(tmp_path, word=word))
    assert (plan.version, plan.notes) == ("1.2.0", "# News of 1.2.0")
    end = "" if word == "win" else f"-{word}"
    assert {each[0]: each[2] for each in map(short, plan.files)} == {
        f"My.App-1.2.0{end}-full.nupkg": "package",
        f"My.App-1.2.0{end}-delta.nupkg": "delta",
        f"My.App-{word}-Setup.{'pkg' if word == 'osx' else 'exe'}": "installer",
    }
    assert {str(target) for target in plan.targets} == {f"{platform}/amd64"}
    primary = [file.name for file in plan.files if file.primary_of]
    assert len(primary) == 1 and "Setup" in primary[0]


def test_a_word_of_velopack_that_names_no_system_takes_it_from_its_installer(tmp_path: Path) -> None:
    makers.velopack(tmp_path, word="osx")
    for path in sorted(tmp_path.iterdir()):
        path.write_bytes(path.read_bytes().replace(b"osx", b"inside"))
        path.rename(path.with_name(path.name.replace("osx", "inside")))
    plan = plan_of(tmp_path)
    assert {str(target) for target in plan.targets} == {"darwin/amd64"}


def test_an_older_version_of_velopack_is_published_without_the_newest_setup(tmp_path: Path) -> None:
    assert names(good(makers.velopack(tmp_path), version="1.1.0")) == ["My.App-1.1.0-full.nupkg"]


def test_what_squirrel_leaves(tmp_path: Path) -> None:
    plan = good(makers.squirrel(tmp_path))
    assert names(plan) == ["My App-1.2.0 Setup.exe", "my_app-1.2.0-delta.nupkg", "my_app-1.2.0-full.nupkg"]


def test_what_sparkle_leaves(tmp_path: Path) -> None:
    key = makers.SparkleKey()
    plan = good(makers.sparkle(tmp_path, key), architecture="universal")
    assert sorted(map(short, plan.files)) == [
        ("MyApp-2.0.zip", "darwin/amd64*,darwin/arm64*", "archive"),
        ("MyApp2042-1007.delta", "darwin/amd64,darwin/arm64", "delta"),
    ]
    assert (plan.version, plan.notes) == ("2.0.0", "## News\n\n- Faster")
    assert plan.metadata == {"darwin": {"sparkle": {"version": "2042", "minimumSystemVersion": "12.0"}}}
    assert {file.name: file.delta_from for file in plan.files}["MyApp2042-1007.delta"] == "1007"
    assert all(file.signatures["ed25519"] for file in plan.files)
    assert "2.0 of appcast.xml is published as 2.0.0" in map(str, plan.remarks)


def test_a_signature_of_another_program_is_a_file_like_others(tmp_path: Path) -> None:
    makers.place(tmp_path, "app-1.0.0-linux-x64.tar.gz")
    makers.place(tmp_path, "app-1.0.0-linux-x64.tar.gz.sig", b"\x89\x01gpg")
    makers.place(tmp_path, "app-1.0.0-linux-x64.tar.gz.sha256", "abc")
    makers.place(tmp_path, "app-1.0.0-linux-x64.tar.gz.minisig", "untrusted comment: x\nRUQ\n")
    plan = good(tmp_path)
    assert names(plan) == [f"app-1.0.0-linux-x64.tar.gz{end}" for end in ("", ".sha256", ".sig")]
    assert plan.files[0].signatures["minisign"].startswith("untrusted comment: x")


def test_architectures_come_from_names_then_options_then_folders(tmp_path: Path) -> None:
    for name in ("linux-arm64/app.tar.gz", "mac-universal/App.zip", "win/app-x86.exe", "App-1.0.0.exe"):
        makers.place(tmp_path, name)
    targets = {file.place: ",".join(map(str, file.targets)) for file in good(tmp_path).files}
    assert targets == {
        "App-1.0.0.exe": "windows/amd64",
        "linux-arm64/app.tar.gz": "linux/arm64",
        "mac-universal/App.zip": "darwin/amd64,darwin/arm64",
        "win/app-x86.exe": "windows/386",
    }
    chosen = {file.place: str(file.targets[0]) for file in good(tmp_path, architecture="arm").files}
    assert chosen["App-1.0.0.exe"] == "windows/arm" and chosen["win/app-x86.exe"] == "windows/386"


def test_several_versions_are_settled_by_an_option(tmp_path: Path) -> None:
    makers.electron(tmp_path)
    makers.place(tmp_path, "My App Setup 1.1.0.exe")
    makers.place(tmp_path, "My App Setup 1.1.0.exe.blockmap")
    assert "My App Setup 1.1.0.exe is of 1.1.0, others are of 1.2.0: --version 1.2.0 leaves it out" in problems(
        tmp_path
    )
    for wishes in ({"version": "1.2.0"}, {"exclude": ("*1.1.0*",)}):
        assert len(good(tmp_path, **wishes).files) == 13


def test_feed_files_of_several_versions(tmp_path: Path) -> None:
    makers.latest_yml(tmp_path, "latest.yml", "1.1.0", [makers.place(tmp_path, "App-1.1.0.exe")])
    makers.latest_yml(tmp_path, "beta.yml", "1.2.0-beta.1", [makers.place(tmp_path, "App-1.2.0-beta.1.exe")])
    said = problems(tmp_path)
    assert "several versions are here: 1.2.0-beta.1 (beta.yml), 1.1.0 (latest.yml): take one with --version" in said
    assert names(good(tmp_path, version="1.1.0")) == ["App-1.1.0.exe"]
    assert names(good(tmp_path, version="1.2.0-beta.1")) == ["App-1.2.0-beta.1.exe"]
    assert names(good(tmp_path, exclude=("beta*", "*-beta*"))) == ["App-1.1.0.exe"]
    assert "nothing of 3.0.0 is here, but of 1.1.0, 1.2.0-beta.1" in problems(tmp_path, version="3.0.0")


def test_names_of_several_versions_without_feed_files(tmp_path: Path) -> None:
    for name in ("tool-1.0.0-linux.zip", "tool-1.1.0-linux.zip"):
        makers.place(tmp_path, name)
    assert "1.0.0 (tool-1.0.0-linux.zip), 1.1.0 (tool-1.1.0-linux.zip)" in problems(tmp_path)
    assert names(good(tmp_path, version="1.1.0")) == ["tool-1.1.0-linux.zip"]


def test_what_no_version_or_platform_tells_is_asked_for(tmp_path: Path) -> None:
    makers.place(tmp_path, "tool.zip")
    assert problems(tmp_path) == ("no version is told, neither by a feed file nor by a name: give it with --version")
    assert problems(tmp_path, version="1.0.0") == (
        "tool.zip tells no platform: give it with --platform, or leave it out with --exclude tool.zip"
    )
    assert short(good(tmp_path, version="1.0.0", platform="linux").files[0]) == ("tool.zip", "linux/amd64*", "archive")
    makers.place(tmp_path, "tool-x64-arm64.exe")
    said = problems(tmp_path, version="1.0.0", exclude=("tool.zip",))
    assert said == (
        "tool-x64-arm64.exe names several architectures: give it with --arch, or leave it out with "
        "--exclude tool-x64-arm64.exe"
    )
    assert "nothing is here" in problems(tmp_path, version="1.0.0", exclude=("*",))


@pytest.mark.parametrize(
    ("make", "file", "said"),
    [
        (makers.electron, "My App Setup 1.2.0.exe", "latest.yml says: its sha512 is another one"),
        (makers.velopack, "My.App-1.2.0-full.nupkg", "releases.win.json says: its sha1 is another one"),
        (makers.squirrel, "my_app-1.2.0-full.nupkg", "RELEASES says: its sha1 is another one"),
    ],
)
def test_a_checksum_that_does_not_hold_is_named(tmp_path: Path, make: object, file: str, said: str) -> None:
    make(tmp_path)  # type: ignore[operator]
    path = tmp_path / file
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert f"{file} is not what {said}: build both again, or leave that file out with --exclude" in problems(tmp_path)
    path.write_bytes(path.read_bytes() + b"more")
    assert f"{file} has 5004 bytes, " in problems(tmp_path)


def test_a_feed_file_that_names_what_is_not_here(tmp_path: Path) -> None:
    makers.electron(tmp_path)
    (tmp_path / "My App Setup 1.2.0.exe").unlink()
    assert problems(tmp_path) == (
        "latest.yml names My-App-Setup-1.2.0.exe, which is not here: build it again, or leave one of them out with "
        "--exclude latest.yml"
    )
    assert len(good(tmp_path, exclude=("latest.yml",)).files) == 11


def test_broken_feed_files_are_named_each(tmp_path: Path) -> None:
    makers.place(tmp_path, "App-1.0.0.exe")
    makers.place(tmp_path, "latest.yml", "version: 1.0.0\nfiles: [")
    makers.place(tmp_path, "values.yml", "{{ not yaml")
    makers.place(tmp_path, "RELEASES", "hello")
    makers.place(tmp_path, "RELEASES.md", "# hello")
    makers.place(tmp_path, "releases.win.json", "{")
    makers.place(tmp_path, "appcast.xml", "<!DOCTYPE a [<!ENTITY b 'c'>]><rss/>")
    makers.place(tmp_path, "sub/latest-mac.yml", b"\xff")
    found = [each.what.partition(":")[0] for each in plan_of(tmp_path).problems]
    assert found == ["RELEASES", "appcast.xml", "latest.yml", "releases.win.json", "sub/latest-mac.yml"]


def test_links_and_hidden_files_are_not_followed(tmp_path: Path) -> None:
    outside = makers.place(tmp_path / "outside", "secret-linux.bin")
    dist = tmp_path / "dist"
    makers.place(dist, "App-1.0.0.exe")
    makers.place(dist, ".hidden/App-1.0.0.dmg")
    makers.place(dist, ".App-1.0.0.dmg")
    (dist / "secret-linux.bin").symlink_to(outside)
    (dist / "round").symlink_to(dist)
    (dist / "broken-linux.bin").symlink_to("nowhere")
    os.mkfifo(dist / "pipe-linux.bin")
    plan = good(dist)
    assert names(plan) == ["App-1.0.0.exe"]
    assert {each.place: str(each) for each in plan.left_out} == {
        "secret-linux.bin": "a link: --include with its name takes it",
        "round": "a link: --include with its name takes it",
        "broken-linux.bin": "a link: --include with its name takes it",
        "pipe-linux.bin": "no regular file",
    }
    assert names(good(dist, version="1.0.0", include=("secret*",))) == ["secret-linux.bin"]


def test_what_installers_are_made_of_is_not_looked_at(tmp_path: Path) -> None:
    makers.place(tmp_path, "make/App-1.0.0.exe")
    makers.place(tmp_path, "App-win32-x64/App.exe")
    makers.place(tmp_path, "App-win32-x64/resources.pak")
    makers.place(tmp_path, "linux-arm64-unpacked/tool-linux.zip")
    makers.place(tmp_path, "mac/App.app/Contents/Helper-mac.zip")
    makers.place(tmp_path, "deb/app_1.0.0_amd64/data-linux.tar.gz")
    makers.place(tmp_path, "deb/app_1.0.0_amd64.deb")
    makers.place(tmp_path, "old_updates/App-0.9.0-mac.zip")
    assert names(good(tmp_path)) == ["App-1.0.0.exe", "app_1.0.0_amd64.deb"]


def test_a_link_that_a_feed_file_names(tmp_path: Path) -> None:
    makers.latest_yml(tmp_path, "latest.yml", "1.0.0", [makers.place(tmp_path, "App-1.0.0.exe")])
    (tmp_path / "App-1.0.0.exe").rename(tmp_path / "other.bin")
    (tmp_path / "App-1.0.0.exe").symlink_to(tmp_path / "other.bin")
    assert "latest.yml names App-1.0.0.exe, which is a link" in problems(tmp_path)


def test_names_with_letters_of_two_signs(tmp_path: Path) -> None:
    """macOS splits letters, and electron-builder's file does not."""
    split = unicodedata.normalize("NFD", "Größe-1.0.0.exe")
    path = makers.place(tmp_path, split)
    makers.latest_yml(tmp_path, "latest.yml", "1.0.0", [path])
    text = (tmp_path / "latest.yml").read_text()
    (tmp_path / "latest.yml").write_text(unicodedata.normalize("NFC", text))
    plan = good(tmp_path)
    assert names(plan) == [unicodedata.normalize("NFC", split)]
    assert plan.files[0].path.read_bytes() == path.read_bytes()


def test_names_that_no_system_keeps(tmp_path: Path) -> None:
    makers.place(tmp_path, "a:b-1.0.0.exe")
    makers.place(tmp_path, "c\u202ed-1.0.0.exe")
    makers.place(tmp_path, "x" * 190 + "-1.0.0.exe")
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff-1.0.0.exe"))).write_bytes(b"x")
    found = plan_of(tmp_path).problems
    assert len(found) == 4 and all("a name that not every system can keep" in each.what for each in found)


def test_two_files_that_would_be_one(tmp_path: Path) -> None:
    makers.place(tmp_path, "a/App-1.0.0.exe")
    makers.place(tmp_path, "b/app-1.0.0.EXE")
    assert "a/App-1.0.0.exe and b/app-1.0.0.EXE would be one file of windows/amd64" in problems(tmp_path)
    assert len(good(tmp_path, exclude=("b/*",)).files) == 1


def test_the_same_name_for_two_targets_is_two_files(tmp_path: Path) -> None:
    makers.place(tmp_path, "macos-arm64/My App.app.tar.gz")
    makers.place(tmp_path, "macos-x64/My App.app.tar.gz")
    plan = good(tmp_path, version="1.0.0")
    assert [str(file.targets[0]) for file in plan.files] == ["darwin/arm64", "darwin/amd64"]


def test_an_empty_file_is_a_failed_build(tmp_path: Path) -> None:
    makers.place(tmp_path, "App-1.0.0.exe", b"")
    assert problems(tmp_path) == "App-1.0.0.exe is empty: build it again, or --exclude App-1.0.0.exe"


def test_a_build_has_32_files(tmp_path: Path) -> None:
    for number in range(500):
        makers.place(tmp_path, f"part-p{number}-1.0.0-linux.bin", b"x")
    assert problems(tmp_path) == "linux/amd64 would have 500 files, at most 32 fit: choose with --include or --exclude"
    assert len(good(tmp_path, include=("part-p1?-*",)).files) == 10


def test_a_folder_of_sources_is_not_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("updater_client.folder.scan.MAX_FILES", 20)
    for number in range(30):
        makers.place(tmp_path, f"src/{number}.js", b"x")
    assert problems(tmp_path) == "the folder holds more than 20 files: give the one with the installers alone"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    makers.place(tmp_path, "App-1.0.0.exe").chmod(0)
    code = "import sys; from tests.client.folder.test_plans import *; plan_of(Path(sys.argv[1]))"
    ran = run_bound_by_modes("-c", code, tmp_path)
    assert ran.stderr.splitlines()[-1].startswith("PermissionError: ")


def test_include_takes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    makers.velopack(tmp_path)
    makers.place(tmp_path, "LICENSE.txt")
    plan = good(tmp_path, include=("*-Setup.exe", "*-Portable.zip", "LICENSE.txt"), platform="windows")
    assert names(plan) == ["LICENSE.txt", "My.App-win-Portable.zip", "My.App-win-Setup.exe"]
    assert plan.version == "1.2.0"
    assert {each.why for each in plan.left_out if each.place.endswith(".nupkg")} == {"not among those to be included"}


def test_the_wishes_of_the_caller_come_first(tmp_path: Path) -> None:
    makers.electron(tmp_path, releaseNotes="from the feed file")
    plan = good(tmp_path, channel="beta", notes="mine")
    assert (plan.channel, plan.notes) == ("beta", "mine")
    assert good(tmp_path, notes="").notes == ""


def test_a_list_of_blocks_alone(tmp_path: Path) -> None:
    makers.place(tmp_path, "app-1.0.0-x86_64.AppImage.zsync")
    makers.place(tmp_path, "app-1.0.0.exe.blockmap")
    plan = good(tmp_path)
    assert list(map(short, plan.files)) == [("app-1.0.0-x86_64.AppImage.zsync", "linux/amd64", "zsync")]
