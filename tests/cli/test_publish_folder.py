"""`updater publish FOLDER` and what goes with it, against the real service: real folders, digests and signatures."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Command, Ran, Updater
from tests.client.folder import makers
from tests.conftest import KEYS, Running
from tests.ports import free_port
from tests.unprivileged import run_bound_by_modes
from updater_client import NewApplication, NewFile, Target, UpdateClient


def publish(remote: Command, folder: Path, app: str, *words: str, **more: Any) -> Ran:
    return remote("publish", folder, "--app", app, "--create", "--yes", *words, **more)


def done(ran: Ran) -> Any:
    """Return the document of a command that succeeded."""
    assert (ran.status, ran.err) == (0, ""), ran.out + ran.err
    return ran.json


def builds(remote: Command, app: str, version: str) -> dict[str, Any]:
    """Return the builds of a release by their target."""
    items = done(remote("release", "list", "--app", app, "--version", version, "--json"))["items"]
    return {f"{each['platform']}/{each['architecture']}": each for each in items}


def stored(remote: Command, app: str, version: str = "1.2.0") -> dict[str, str]:
    """Return the SHA-256 of what the developer uploaded of a release, by target and name."""
    return {
        f"{target}/{file['name']}": file["sha256"]
        for target, build in builds(remote, app, version).items()
        for file in build["files"]
        if file["made_by"] == "developer"
    }


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_electron_builder_left_is_live_as_one_step(remote: Command, tmp_path: Path) -> None:
    makers.electron(tmp_path, releaseNotes="# Größer")
    said = done(publish(remote, tmp_path, "electron", "--json"))
    assert (said["version"], said["status"], said["sent_files"]) == ("1.2.0", "published", 13)
    assert said["feeds"]["windows/amd64"]["electron"] == "listed"
    found = builds(remote, "electron", "1.2.0")
    assert set(found) == {"windows/amd64", "darwin/amd64", "darwin/arm64", "linux/amd64", "linux/arm64"}
    assert {each["status"] for each in found.values()} == {"active"}
    assert {each["release_notes"] for each in found.values()} == {"# Größer"}
    primary = {target: each["files"][0]["name"] for target, each in found.items()}
    assert primary["darwin/arm64"] == "My App-1.2.0-arm64-mac.zip" and primary["windows/amd64"].endswith(".exe")
    sent = stored(remote, "electron")
    assert sent["windows/amd64/My App Setup 1.2.0.exe"] == sha256(tmp_path / "My App Setup 1.2.0.exe")
    assert len(sent) == 13

    again = done(publish(remote, tmp_path, "electron", "--json"))
    assert (again["status"], again["sent_files"], again["sent_bytes"]) == ("published", 0, 0)
    assert again["published_at"] == said["published_at"]
    words = publish(remote, tmp_path, "electron").out
    assert "published  electron 1.2.0, nothing to send" in words
    assert "electron   listed: darwin/amd64, darwin/arm64, linux/amd64" in words


def test_what_tauri_left_is_verified_with_the_keys_of_the_application(remote: Command, tmp_path: Path) -> None:
    key, other = makers.MinisignKey(), makers.MinisignKey()
    makers.tauri(tmp_path / "dist", key)
    (tmp_path / "key.pub").write_text(other.public_text)
    assert remote("app", "create", "tauri", "--minisign-key", tmp_path / "key.pub").status == 0
    refused = publish(remote, tmp_path / "dist", "tauri", "--json")
    assert refused.status == 7 and "minisign" in refused.json["error"]["fields"]
    assert remote("app", "update", "tauri", "--minisign-key", key.tauri_public_key).status == 0
    said = done(publish(remote, tmp_path / "dist", "tauri", "--json"))
    assert said["feeds"]["linux/amd64"]["tauri"] == "listed"
    found = builds(remote, "tauri", "1.2.0")["windows/amd64"]["files"]
    assert {file["name"]: file["signatures"] for file in found} == {
        "My App_1.2.0_x64-setup.exe": ["minisign"],
        "My App_1.2.0_x64_en-US.msi": ["minisign"],
    }


def test_what_velopack_left(remote: Command, tmp_path: Path) -> None:
    makers.velopack(tmp_path, ("1.1.0", "1.2.0"))
    first = done(publish(remote, tmp_path, "velopack", "--version", "1.1.0", "--json"))
    assert [file["name"] for file in first["files"]] == ["My.App-1.1.0-full.nupkg"]
    said = done(publish(remote, tmp_path, "velopack", "--json"))
    assert said["feeds"]["windows/amd64"]["velopack"] == "listed"
    assert set(stored(remote, "velopack")) == {
        "windows/amd64/My.App-1.2.0-full.nupkg",
        "windows/amd64/My.App-1.2.0-delta.nupkg",
        "windows/amd64/My.App-win-Setup.exe",
    }


def test_what_sparkle_left_for_two_processors(remote: Command, tmp_path: Path) -> None:
    key = makers.SparkleKey()
    makers.sparkle(tmp_path, key)
    assert remote("app", "create", "sparkle", "--ed25519-key", key.public_text).status == 0
    said = done(publish(remote, tmp_path, "sparkle", "--arch", "universal", "--json"))
    assert said["feeds"]["darwin/amd64"]["appcast"] == "listed"
    assert (said["version"], said["sent_files"]) == ("2.0.0", 2)
    found = builds(remote, "sparkle", "2.0.0")
    assert set(found) == {"darwin/amd64", "darwin/arm64"}
    delta = next(each for each in found["darwin/arm64"]["files"] if each["kind"] == "delta")
    assert (delta["delta_from"], delta["signatures"]) == ("1007", ["ed25519"])
    assert found["darwin/amd64"]["release_notes"] == "## News\n\n- Faster"


def test_a_pre_release_is_for_the_channel_that_it_names(remote: Command, tmp_path: Path) -> None:
    remote("app", "create", "channels", "--channel", "stable", "--channel", "beta")
    makers.electron(tmp_path, "1.3.0-beta.2")
    shown = remote("publish", tmp_path, "--app", "channels", "--dry-run")
    assert (shown.status, shown.err) == (0, "")
    assert "channel  beta, which its version names" in shown.out and "dry run  nothing was sent" in shown.out
    assert builds(remote, "channels", "1.3.0-beta.2") == {}
    said = done(publish(remote, tmp_path, "channels", "--rollout", "5", "--json"))
    assert said["channel"] == "beta"
    build = builds(remote, "channels", "1.3.0-beta.2")["windows/amd64"]
    assert (build["channel"], build["percent"]) == ("beta", 5)
    again = publish(remote, tmp_path, "channels", "--rollout", "50")
    assert again.status == 0 and "nothing to send" in again.out
    assert "note     the release is live and keeps its rollout" in again.out
    moved = publish(remote, tmp_path, "channels", "--channel", "stable")
    assert moved.status == 6 and "version 1.3.0-beta.2 is on beta: `updater release promote` moves it" in moved.err
    makers.place(tmp_path / "next", "App-1.4.0-beta.1.exe")
    wished = remote("publish", tmp_path / "next", "--app", "channels", "--dry-run", "--channel", "stable", "--json")
    assert wished.json["channel"] == "stable"


def test_a_draft_is_published_when_all_jobs_have_come(remote: Command, tmp_path: Path) -> None:
    makers.electron(tmp_path / "all")
    check = ("check", "--app", "matrix", "--current-version", "1.0.0", "--platform", "win", "--arch", "x64")
    jobs = {"windows": ("*.exe*", "latest.yml"), "darwin": ("*.dmg*", "*.zip*", "latest-mac.yml")}
    for name, patterns in jobs.items():
        for pattern in patterns:
            for path in (tmp_path / "all").glob(pattern):
                makers.place(tmp_path / name, path.name, path.read_bytes())
    first = publish(remote, tmp_path / "windows", "matrix", "--draft")
    assert first.status == 0 and "publish  updater release publish matrix 1.2.0" in first.out
    require = ("--require", "windows/x64", "--require", "macos/arm64/My App-1.2.0-arm64-mac.zip")
    early = remote("release", "publish", "matrix", "1.2.0", *require)
    assert early.status == 6 and "darwin/arm64/My App-1.2.0-arm64-mac.zip" in early.err
    assert remote(*check).status == 3
    assert done(publish(remote, tmp_path / "darwin", "matrix", "--draft", "--json"))["status"] == "draft"
    shown = remote("release", "show", "--app", "matrix", "--version", "1.2.0")
    assert "status      draft" in shown.out and "archive, primary" in shown.out
    published = remote("release", "publish", "matrix", "1.2.0", *require, "--reason", "all jobs")
    assert published.status == 0, published.err
    assert "published  matrix 1.2.0, 3 builds, " in published.out
    assert "electron   listed: darwin/amd64, darwin/arm64, windows/amd64" in published.out
    assert remote("release", "publish", "matrix", "1.2.0", *require).status == 0
    assert remote(*check).status == 0


def test_a_failed_run_costs_no_version_number(remote: Command, tmp_path: Path) -> None:
    path = makers.place(tmp_path, "App-1.2.0.exe")
    makers.latest_yml(tmp_path, "latest.yml", "1.2.0", [path])
    assert publish(remote, tmp_path, "rebuilt", "--draft").status == 0
    makers.place(tmp_path, "App-1.2.0.exe", b"built again")
    makers.place(tmp_path, "App-1.2.0.msi", b"a second one")
    makers.latest_yml(tmp_path, "latest.yml", "1.2.0", [path])
    assert done(publish(remote, tmp_path, "rebuilt", "--json"))["sent_files"] == 2
    assert stored(remote, "rebuilt")["windows/amd64/App-1.2.0.exe"] == hashlib.sha256(b"built again").hexdigest()
    makers.place(tmp_path, "App-1.2.0.msi", b"and again")
    refused = publish(remote, tmp_path, "rebuilt")
    assert refused.status == 6
    assert "version 1.2.0 is live, with other bytes for windows/amd64/App-1.2.0.msi" in refused.err


async def test_a_companion_of_a_draft_becomes_its_primary_file(
    server: Running, updater: Updater, tmp_path: Path
) -> None:
    """A run that broke may have left the files of another plan."""
    path = makers.place(tmp_path / "dist", "App-1.2.0.exe")
    async with UpdateClient(server.url, server.key) as client:
        await client.create_application(NewApplication("turned", "Turned"))
        file = NewFile(path, path.name, "1.2.0", Target("windows", "amd64"), draft=True)
        await client.releases.add_file("turned", file)
        ran = await updater("publish", tmp_path / "dist", "--app", "turned", "--yes")
        assert (ran.status, ran.err) == (0, "")
        (build,) = await client.releases.list_builds("turned", "1.2.0")
    assert build.status == "active" and build.files is not None
    assert [(each.name, each.primary) for each in build.files if each.made_by == "developer"] == [(path.name, True)]


def test_a_file_that_is_added_to_a_live_release(remote: Command, tmp_path: Path) -> None:
    makers.place(tmp_path, "App-1.2.0.exe")
    assert publish(remote, tmp_path, "added").status == 0
    makers.place(tmp_path, "App-1.2.0-ia32.exe")
    makers.place(tmp_path, "App-1.2.0.msi")
    draft = publish(remote, tmp_path, "added", "--draft")
    assert draft.status == 6 and "is live" in draft.err
    said = publish(remote, tmp_path, "added")
    assert said.status == 0 and "release  added 1.2.0, live" in said.out
    assert len(stored(remote, "added")) == 3
    assert done(publish(remote, tmp_path, "added", "--draft", "--json"))["status"] == "published"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("wrong", "My App Setup 1.2.0.exe is not what latest.yml says: its sha512 is another one"),
        ("versions", "My App Setup 1.1.0.exe is of 1.1.0, others are of 1.2.0: --version 1.2.0 leaves it out"),
        ("unknown", "tool.zip tells no platform: give it with --platform"),
        ("many", "linux/amd64 would have 502 files, at most 32 fit: choose with --include or --exclude"),
    ],
)
def test_what_stands_in_the_way_is_named_and_nothing_is_sent(
    remote: Command, tmp_path: Path, change: str, said: str
) -> None:
    makers.electron(tmp_path)
    match change:
        case "wrong":
            path = tmp_path / "My App Setup 1.2.0.exe"
            path.write_bytes(b"x" + path.read_bytes()[1:])
        case "versions":
            makers.place(tmp_path, "My App Setup 1.1.0.exe")
        case "unknown":
            makers.place(tmp_path, "tool.zip")
        case "many":
            for number in range(500):
                makers.place(tmp_path, f"part-p{number}-1.2.0-linux.bin", b"x")
    ran = publish(remote, tmp_path, f"refused-{change}", url=f"http://127.0.0.1:{free_port()}")
    assert (ran.status, ran.out) == (2, "")
    assert said in ran.err and ran.err.splitlines()[-1] == "Error: nothing was uploaded: one thing stands in the way"
    document = publish(remote, tmp_path, f"refused-{change}", "--json").json
    assert document["exit_status"] == 2 and len(document["error"]["problems"]) == 1
    assert remote("app", "show", f"refused-{change}").status == 5


def test_nothing_is_sent_without_a_yes(remote: Command, tmp_path: Path) -> None:
    makers.electron(tmp_path)
    for more in ((), ("--json",)):
        ran = remote("publish", tmp_path, "--app", "unasked", "--create", *more, stdin="y\n")
        assert ran.status == 2 and "give --yes" in ran.err
    assert remote("app", "show", "unasked").status == 5


def test_a_plan_is_confirmed_on_a_terminal(shared: Running, tmp_path: Path) -> None:
    import pty
    import subprocess
    import sys

    makers.place(tmp_path, "App-1.2.0.exe")
    environment = {"UPDATER_SERVER": shared.url, "UPDATER_KEY": shared.key, "PATH": "", "TERM": "xterm"}
    for answer, status in ((b"n\n", 1), (b"y\n", 0)):
        primary, secondary = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "updater", "publish", str(tmp_path), "--app", "asked", "--create"],
            stdin=secondary, stdout=secondary, stderr=secondary,
            env={**environment, "PYTHONPATH": ":".join(sys.path)},
        )  # fmt: skip
        os.close(secondary)
        os.write(primary, answer)
        said = b""
        try:
            while chunk := os.read(primary, 65536):
                said += chunk
        except OSError:
            pass
        os.close(primary)
        assert process.wait() == status, said.decode()
        assert b"Send and publish it? [y/N]" in said


def test_no_server_no_key_and_no_application(remote: Command, tmp_path: Path) -> None:
    makers.place(tmp_path, "App-1.2.0.exe")
    nowhere = f"http://127.0.0.1:{free_port()}"
    assert publish(remote, tmp_path, "a", "--retries", "0", url=nowhere).status == 8
    dry = remote("publish", tmp_path, "--app", "a", "--dry-run", "--retries", "0", url=nowhere)
    assert dry.status == 0 and "the server could not be asked" in dry.err and "App-1.2.0.exe" in dry.out
    for key in ("", "wrong", KEYS["read"]):
        ran = publish(remote, tmp_path, "unreachable", key=key)
        assert ran.status == 4, ran.err
    missing = remote("publish", tmp_path, "--app", "no-such", "--yes")
    assert missing.status == 5 and "--create makes it" in missing.err


def test_options_that_do_not_go_together(remote: Command, tmp_path: Path) -> None:
    path = makers.place(tmp_path, "App-1.2.0.exe")
    file = ("publish", path, "--app", "a", "--version", "1.0.0", "--platform", "win", "--arch", "x64")
    for words, said in (
        ((*file, "--include", "*"), "--include goes with a folder"),
        ((*file, "--dry-run"), "--dry-run goes with a folder"),
        (("publish", tmp_path, "--app", "a", "--draft", "--rollout", "5"), "a draft is offered to nobody"),
        (("publish", tmp_path, "--app", "a", "--arch", "aarch46"), "Did you mean 'aarch64'?"),
        (("release", "publish", "a", "1.0.0", "--require", "windows"), "is no target such as windows/amd64"),
        (("release", "publish", "a", "1.0.0", "--require", "widnows/amd64"), "Did you mean 'windows'?"),
        (("publish", path, "--app", "a", "--platform", "win", "--arch", "x64"), "Missing option '--version'"),
    ):
        ran = remote(*words)
        assert ran.status == 2 and said in ran.err, ran.err


def test_a_file_for_both_processors_and_a_draft_of_one(remote: Command, tmp_path: Path) -> None:
    path = makers.place(tmp_path, "App-1.2.0.dmg")
    words = ("publish", path, "--app", "single", "--create", "--version", "1.2.0", "--platform", "mac")
    ran = remote(*words, "--arch", "universal", "--draft")
    assert ran.status == 0 and "offered to  nobody, while the release is a draft" in ran.out
    assert set(builds(remote, "single", "1.2.0")) == {"darwin/amd64", "darwin/arm64"}
    assert done(publish(remote, tmp_path, "single", "--arch", "universal", "--json"))["sent_files"] == 0
    assert {each["status"] for each in builds(remote, "single", "1.2.0").values()} == {"active"}


def test_names_of_macos_links_and_hidden_files(remote: Command, tmp_path: Path) -> None:
    split = unicodedata.normalize("NFD", "Größe-1.2.0.exe")
    path = makers.place(tmp_path, split)
    makers.latest_yml(tmp_path, "latest.yml", "1.2.0", [path])
    makers.place(tmp_path, ".DS_Store")
    (tmp_path / "link-1.2.0.dmg").symlink_to(path)
    ran = publish(remote, tmp_path, "letters")
    assert ran.status == 0, ran.err
    assert "link-1.2.0.dmg: a link" in ran.out
    assert set(stored(remote, "letters")) == {f"windows/amd64/{unicodedata.normalize('NFC', split)}"}
    assert "nothing to send" in publish(remote, tmp_path, "letters").out


def test_a_file_that_cannot_be_read(shared: Running, tmp_path: Path) -> None:
    makers.place(tmp_path, "App-1.2.0.exe").chmod(0)
    words = ("-m", "updater", "publish", tmp_path, "--app", "unreadable", "--create", "--yes")
    ran = run_bound_by_modes(*words, UPDATER_SERVER=shared.url, UPDATER_KEY=shared.key)
    assert ran.returncode == 10
    assert "App-1.2.0.exe" in ran.stderr


def test_a_folder_that_is_none(remote: Command, tmp_path: Path) -> None:
    ran = publish(remote, tmp_path, "empty")
    assert ran.status == 2 and "no version is told" in ran.err
    told = publish(remote, tmp_path, "empty", "--version", "1.0.0")
    assert "nothing is here that clients of 1.0.0 could be given" in told.err
    assert "does not exist" in publish(remote, tmp_path / "no", "empty").err


def test_public_keys_of_an_application(remote: Command, tmp_path: Path) -> None:
    first, second, sparkle = makers.MinisignKey(), makers.MinisignKey(), makers.SparkleKey()
    (tmp_path / "a.pub").write_text(first.public_text)
    one_each = ("--minisign-key", tmp_path / "a.pub", "--ed25519-key", sparkle.public_text)
    created = remote("app", "create", "keys", *one_each)
    assert created.status == 0, created.err
    more = ("--minisign-key", first.tauri_public_key, "--minisign-key", second.public_text)
    assert remote("app", "update", "keys", *more).status == 0
    keys = remote("app", "show", "keys", "--json").json["keys"]
    assert (len(keys["minisign"]), keys["ed25519"]) == (2, [sparkle.public_text])
    assert "ed25519 key" in remote("app", "show", "keys").out
    assert remote("app", "update", "keys", "--minisign-key", "nonsense").status == 7
    assert remote("app", "update", "keys", "--no-keys").status == 0
    assert not any(remote("app", "show", "keys", "--json").json["keys"].values())


def test_a_draft_and_its_files_are_deleted_by_who_may_write(remote: Command, tmp_path: Path) -> None:
    makers.electron(tmp_path)
    assert publish(remote, tmp_path, "gone", "--draft").status == 0
    build = ("release", "delete", "--app", "gone", "--version", "1.2.0", "--yes")
    target = ("--platform", "mac", "--arch", "arm64")
    key = KEYS["write"]
    deleted = remote(*build, *target, "--file", "My App-1.2.0-arm64.dmg", "--json", key=key)
    assert done(deleted)["file"] == "My App-1.2.0-arm64.dmg"
    primary = remote(*build, *target, "--file", "My App-1.2.0-arm64-mac.zip", key=key)
    assert primary.status == 6
    assert remote(*build, "--all", *target).status == 2
    assert done(publish(remote, tmp_path, "gone", "--draft", "--json"))["sent_files"] == 1
    assert remote(*build, "--all", key=key).out == "deleted  gone 1.2.0\n"
    assert builds(remote, "gone", "1.2.0") == {}
    assert publish(remote, tmp_path, "gone").status == 0
    assert remote(*build, "--all", key=key).status == 4
    assert remote(*build, "--all").status == 0


def test_feeds_of_an_application(remote: Command, tmp_path: Path) -> None:
    makers.electron(tmp_path)
    assert publish(remote, tmp_path, "fed").status == 0
    shown = remote("feeds", "fed")
    assert shown.status == 0, shown.err
    assert any(line.split()[:3] == ["electron", "windows/amd64", "1.2.0"] for line in shown.out.splitlines())
    assert remote("feeds", "fed", "--json").json["feeds"]
    assert remote("feeds", "fed", "--channel", "none").status in (5, 7)
    assert remote("feeds", "no-such").status == 5


async def test_a_run_that_is_killed_goes_on_by_file(updater: Updater, server: Running, tmp_path: Path) -> None:
    """The process is ended hard once the first files are there, and the next run sends what is missing."""
    import asyncio
    import json
    import sys

    dist = tmp_path / "dist"
    for number in range(6):
        makers.place(dist, f"part-p{number}-1.2.0-linux.tar.gz", makers.content(str(number), 3_000_000))
    words = ("publish", str(dist), "--app", "killed", "--create", "--yes", "--json")
    environment = {"UPDATER_SERVER": server.url, "UPDATER_KEY": server.key, "PATH": ""}
    environment["PYTHONPATH"] = ":".join(sys.path)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "updater", *words, env=environment, stdout=asyncio.subprocess.PIPE
    )
    there = 0
    while there == 0 and process.returncode is None:
        listed = await updater("release", "list", "--app", "killed", "--json")
        there = sum(len(each["files"]) for each in listed.json.get("items", ())) if listed.out else 0
    if process.returncode is None:
        process.kill()
    await process.communicate()
    again = json.loads((await updater(*words)).out)
    assert again["status"] == "published" and again["sent_files"] <= 6 - there
    final = await updater("release", "list", "--app", "killed", "--json")
    files = [file for each in final.json["items"] for file in each["files"]]
    assert len(files) == 6 and {each["sha256"] for each in files} == {sha256(path) for path in dist.iterdir()}


async def test_the_client_library_publishes_a_folder(server: Running, tmp_path: Path) -> None:
    from updater_client.folder import Details, Wishes, compare, make_plan, read_digests, read_folder, send

    makers.electron(tmp_path / "dist")
    wishes = Wishes(exclude=("*.deb", "latest-linux.yml"))
    plan = await read_digests(make_plan(read_folder(tmp_path / "dist", wishes), wishes))
    assert plan.problems == () and len(plan.files) == 12
    async with UpdateClient(server.url, server.key) as client:
        await client.create_application(NewApplication("library", "Library"))
        work = compare(plan, await client.releases.list_builds("library", plan.version))
        await send(client, "library", plan, work, Details(required=True, metadata={"commit": "ab12"}))
        published = await client.releases.publish("library", plan.version, require=plan.require)
        assert (published["status"], published["builds"]) == ("active", 5)
        build = await client.latest("library", Target("mac", "x64"), include_metadata=True)
        assert build.required
        assert build.metadata == {"electron": {"minimumSystemVersion": "21.6.0"}, "commit": "ab12"}
        assert compare(plan, await client.releases.list_builds("library", plan.version)).steps == ()


async def test_two_jobs_at_the_same_time(updater: Updater, tmp_path: Path) -> None:
    import asyncio

    makers.place(tmp_path / "a", "App-1.2.0.exe", makers.content("a", 400_000))
    makers.place(tmp_path / "a", "App-1.2.0.msi")
    makers.place(tmp_path / "b", "App-1.2.0.dmg", makers.content("b", 400_000))
    makers.place(tmp_path / "b", "App-1.2.0-mac.zip")
    runs = await asyncio.gather(
        *(updater("publish", tmp_path / job, "--app", "jobs", "--create", "--draft", "--yes") for job in ("a", "b"))
    )
    assert [(ran.status, ran.err) for ran in runs] == [(0, ""), (0, "")]
    require = ("--require", "windows/amd64", "--require", "mac/x64")
    published = await updater("release", "publish", "jobs", "1.2.0", *require)
    assert published.status == 0 and "2 builds, 4 files" in published.out
