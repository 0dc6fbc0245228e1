"""A folder is one plan, whoever asks: `updater publish --dry-run` on the disk, and the REST interface told of it."""

from __future__ import annotations

import base64
import json
import unicodedata
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Command
from tests.client.folder import makers
from tests.conftest import Running


def post(server: Running, path: str, body: Any) -> Any:
    headers = {"Authorization": f"Bearer {server.key}", "Content-Type": "application/json"}
    request = urllib.request.Request(server.url + path, json.dumps(body).encode(), headers, method="POST")
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def ask(server: Running, app: str, folder: Path, **wishes: Any) -> Any:
    """Ask as a browser does: names and sizes first, then the bytes of the files that must be told."""
    told: set[str] = set()
    while True:
        files = []
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                place = path.relative_to(folder).as_posix()
                content = {"content": base64.b64encode(path.read_bytes()).decode()} if place in told else {}
                files.append({"path": place, "size": path.stat().st_size, **content})
        plan = post(server, f"/api/v1/updates/{app}/plan", {"files": files, **wishes})
        wanted = set(plan["must_be_told"])
        if not wanted:
            return plan
        assert not wanted & told
        told |= wanted


def empty(folder: Path) -> None:
    folder.mkdir(exist_ok=True)


def all_of_them(folder: Path) -> None:
    for name, make in FOLDERS.items():
        if name not in ("all of them", "two versions", "names", "empty", "odd"):
            make(folder / name.replace(" ", "-"))


def names(folder: Path) -> None:
    for name in ("App-2.0.0.exe", "App-2.0.0-arm64.dmg", "App-2.0.0.tar.gz", "notes.txt", "App-2.0.0.exe.sha256"):
        makers.place(folder, name)
    makers.place(folder, "linux/arm64/App-2.0.0.bin")
    makers.place(folder, ".hidden/App-2.0.0.exe")
    makers.place(folder, "node_modules/x/App-1.0.0.exe")
    makers.place(folder, "App-2.0.0/inner.exe")
    makers.place(folder, "App-2.0.0.zip", b"")


def odd(folder: Path) -> None:
    makers.place(folder, unicodedata.normalize("NFD", "Größe-1.2.0.exe"))
    makers.place(folder, "App:1.2.0.dmg")
    makers.place(folder, "App [1.2.0].AppImage")
    makers.place(folder, "latest.yml", "version: &a 1.2.0\nfiles: [*a]\n")
    makers.place(folder, "appcast.xml", "<!DOCTYPE x><rss/>")
    makers.place(folder, "RELEASES", "\ufeffno line of it".encode("utf-16"))
    makers.place(folder, "App-1.2.0-x64-arm64.msi")


def two_versions(folder: Path) -> None:
    makers.electron(folder / "a", "1.2.0")
    makers.electron(folder / "b", "1.3.0")


FOLDERS: dict[str, Callable[[Path], object]] = {
    "electron": lambda folder: makers.electron(folder, "1.3.0-beta.2", releaseNotes="# News", stagingPercentage=10),
    "tauri": lambda folder: makers.tauri(folder, makers.MinisignKey()),
    "velopack": makers.velopack,
    "velopack of macOS": lambda folder: makers.velopack(folder, word="osx"),
    "squirrel": makers.squirrel,
    "sparkle": lambda folder: makers.sparkle(folder, makers.SparkleKey()),
    "names": names,
    "odd": odd,
    "two versions": two_versions,
    "all of them": all_of_them,
}


@pytest.fixture(scope="module")
def app(shared: Running) -> str:
    post(
        shared,
        "/api/v1/applications",
        {"id": "twins", "name": "Twins", "platforms": ["windows"], "channels": ["stable", "beta"]},
    )
    return "twins"


WISHES: tuple[dict[str, Any], ...] = (
    {},
    {"version": "1.2.0"},
    {"platform": "linux", "architecture": "universal"},
    {"exclude": ["*.exe", "a/*", "latest.yml"]},
    {"include": ["*.exe*", "*.zip"], "channel": "stable"},
)


@pytest.mark.parametrize("wishes", WISHES, ids=lambda each: ",".join(each) or "none")
@pytest.mark.parametrize("name", FOLDERS)
def test_the_plan_is_what_the_command_shows(
    remote: Command, shared: Running, app: str, tmp_path: Path, name: str, wishes: dict[str, Any]
) -> None:
    FOLDERS[name](tmp_path)
    spelt = {"architecture": "arch"}
    options = [
        word
        for option, value in wishes.items()
        for each in (value if isinstance(value, list) else [value])
        for word in (f"--{spelt.get(option, option)}", each)
    ]
    ran = remote("publish", tmp_path, "--app", app, "--dry-run", "--json", *options)
    plan = ask(shared, app, tmp_path, **wishes)
    assert plan["must_be_told"] == []
    if ran.status == 2:
        said = [each["what"] for each in ran.json["error"]["problems"]]
        assert [each["message"] for each in plan["problems"]] == said
        assert all(each["field"] in ("version", "platform", "architecture", "exclude") for each in plan["problems"])
        return
    assert ran.status == 0, ran.err
    assert plan["problems"] == []
    command = ran.json
    assert (plan["version"], plan["channel"]) == (command["version"], command["channel"])
    assert [each["path"] for each in plan["left_out"]] == [each["place"] for each in command["left_out"]]
    for mine, theirs in zip(plan["left_out"], command["left_out"], strict=True):
        assert theirs["why"].startswith(mine["why"]) and "--" not in mine["why"]
    assert len(plan["remarks"]) == len(command["remarks"])
    assert [described(each) for each in plan["files"]] == [
        (
            *(each["name"], each["kind"], each["size_bytes"], each["targets"], each["primary_of"]),
            *(each["signatures"], each["delta_from"]),
        )
        for each in command["files"]
    ]


def described(file: dict[str, Any]) -> tuple[Any, ...]:
    targets, primary_of = (
        [f"{each['platform']}/{each['architecture']}" for each in file[name]] for name in ("targets", "primary_of")
    )
    return file["name"], file["kind"], file["size"], targets, primary_of, sorted(file["signatures"]), file["delta_from"]


def test_what_feed_files_announce_is_told_as_releases_list_it(shared: Running, app: str, tmp_path: Path) -> None:
    makers.electron(tmp_path)
    plan = ask(shared, app, tmp_path)
    setup = next(each for each in plan["files"] if each["name"].endswith(".exe"))
    (checksum,) = setup["checksums"]
    announced = makers.sha512(tmp_path / setup["name"])
    assert checksum == {"kind": "sha512", "value": announced, "said_by": "latest.yml"}
    assert plan["metadata"] == {"darwin": {"electron": {"minimumSystemVersion": "21.6.0"}}}
