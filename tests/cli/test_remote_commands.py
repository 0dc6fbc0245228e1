"""Commands that talk to a server, in this process against one service: what they print, and how they end."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import click
import pytest
from aiohttp import web

from tests.cli.conftest import Command, invoke
from tests.conftest import KEYS
from tests.ports import free_port
from tests.threaded import running_answers, threaded
from updater.cli import COMMANDS, main
from updater.cli.exits import Exit
from updater.cli.remote import exit_of
from updater_client import BadAnswer, DigestMismatch, FileChanged, Unreachable, UpdateError

HERE = ("--platform", "linux", "--arch", "amd64")
CHECK = ("check", "--app", "a", "--current-version", "1.0.0")
REPORT = ("report", "--app", "a", "--current-version", "1.0.0", "--target-version", "1.1.0")
REGISTER = ("release", "register", "--app", "a", "--version", "1.0.0", *HERE, "--url", "https://x/y")


def publish(remote: Command, folder: Path, app: str, version: str = "1.0.0", *words: str) -> dict[str, Any]:
    path = folder / f"{app}-{version}.bin"
    path.write_bytes(f"{app} {version}".encode() * 1000)
    ran = remote("publish", path, "--app", app, "--version", version, *HERE, "--create", "--json", *words)
    assert (ran.status, ran.err) == (0, "")
    published: dict[str, Any] = ran.json
    return published


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "Usage: updater"),
        (("nonsense",), "No such command 'nonsense'"),
        (("app", "nonsense"), "No such command 'nonsense'"),
        (("app", "show"), "Missing argument 'APP_ID'"),
        (("app", "list", "--limit", "0"), "0 is not in the range"),
        (("app", "list", "--limit", "1001"), "1001 is not in the range"),
        (("app", "list", "--offset", "-1"), "-1 is not in the range"),
        (("app", "list", "--retries", "-1"), "-1 is not in the range"),
        (("app", "list", "--colour", "red"), "No such option"),
        (("app", "create", "x", "--platform", "amiga"), "'amiga' is not one of"),
        (("app", "create", "x", "--config", "{"), "not valid JSON"),
        (("app", "create", "x", "--config", "[1]"), "must be a JSON object"),
        (("app", "update", "x"), "nothing to change"),
        (("check", "--app", "a"), "Missing option '--current-version'"),
        ((*CHECK, "--arch", "mips"), "'mips' is not one of"),
        ((*CHECK, "--arch", "aarch46"), "Did you mean 'aarch64'?"),
        (("app", "create", "x", "--platform", "widnows"), "Did you mean 'windows'?"),
        (("fetch", "--app", "a", "--version", "1.0.0", "--current-version", "1.0.0"), "not both"),
        (("fetch",), "Missing option '--app'"),
        (("publish", "/no/such/file", "--app", "a", "--version", "1.0.0", *HERE), "does not exist"),
        (("publish", __file__, "--app", "a", "--version", "1.0.0"), "Missing option '--platform'"),
        (("publish", __file__, "--app", "a", "--version", "1.0.0", *HERE, "--name", "A"), "--name goes with --create"),
        (("publish", __file__, "--app", "a", "--version", "1", *HERE, "--notes", "a", "--notes-file", "-"), "not both"),
        ((*REPORT, "--status", "great"), "'great' is not one of"),
        ((*REPORT, "--status", "failed", "--install-time", "-3"), "-3 is not in the range"),
        (("release", "list"), "Missing option '--app'"),
        (("release", "list", "--app", "a", "--sort-by", "size"), "'size' is not one of"),
        (("release", "delete", "--app", "a", "--version", "1.0.0", "--yes"), "Missing option '--platform'"),
        (REGISTER, "Missing option '--checksum'"),
        ((*REGISTER, "--checksum", "ab", "--checksum-type", "crc32"), "'crc32' is not one of"),
        ((*REGISTER, "--checksum", "ab", "--size", "-1"), "-1 is not in the range"),
        (("figures",), "give one application: --app APP"),
        (("figures", "a", "--app", "b"), "give one application: --app APP"),
        (("figures", "a", "--bucket", "week"), "'week' is not one of"),
    ],
)
def test_a_wrong_command_line_is_status_2_and_asks_no_server(words: tuple[str, ...], said: str) -> None:
    ran = invoke(*words, environment={"UPDATER_SERVER": "http://127.0.0.1:1"})
    assert (ran.status, ran.out) == (2, "")
    assert said in ran.err


def commands(group: click.Group, context: click.Context, *words: str) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        found.append((*words, name))
        if isinstance(command, click.Group):
            found += commands(command, context, *words, name)
    return found


def test_help_of_every_command_is_for_people() -> None:
    """What a docstring says to programmers stays out of it."""
    every = commands(main, click.Context(main))
    assert len(every) > len(COMMANDS) + 20
    for words in every:
        ran = invoke(*words, "--help")
        assert (ran.status, ran.err) == (0, ""), words
        assert "Raises" not in ran.out and "Exception" not in ran.out and "\f" not in ran.out, words
        lines = ran.out.splitlines()
        assert lines[0].startswith(f"Usage: updater {' '.join(words)} "), words
        assert lines[2].strip(), f"{words} says nothing of itself"


def test_an_application_from_creation_to_deletion(remote: Command) -> None:
    config = '{"auto_update": true, "update_interval": 7200}'
    created = remote("app", "create", "life", "--description", "größer 🚀", "--platform", "linux", "--config", config)
    assert (created.status, created.out, created.err) == (0, "created  life\n", "")
    shown = remote("app", "show", "life", "--json").json
    keys = ["id", "name", "description", "platforms", "created_at", "updated_at", "config", "stats", "private"]
    keys += ["channels", "default_rollout", "feeds", "keys"]
    assert list(shown) == keys
    assert (shown["name"], shown["description"], shown["platforms"]) == ("life", "größer 🚀", ["linux"])
    assert shown["created_at"].endswith("Z")
    words = remote("app", "show", "life")
    assert "description" in words.out and "größer 🚀" in words.out
    assert ["update_interval", "7200"] in [line.split() for line in words.out.splitlines()]

    updated = remote("app", "update", "life", "--name", "Leben", "--platform", "linux", "--platform", "darwin")
    assert (updated.status, updated.out) == (0, "updated  life\n")
    changed = remote("app", "show", "life", "--json").json
    assert (changed["name"], changed["platforms"], changed["description"]) == (
        "Leben",
        ["linux", "darwin"],
        "größer 🚀",
    )

    for option, private in (("--private", True), ("--no-private", False)):
        assert remote("app", "update", "life", option).status == 0
        assert remote("app", "show", "life", "--json").json["private"] is private
        assert ["private", "yes" if private else "no"] in [
            line.split() for line in remote("app", "show", "life").out.splitlines()
        ]

    said = '{"scoop": {"license": "MIT"}}'
    assert remote("app", "update", "life", "--feeds", "-", stdin=said).status == 0
    assert remote("app", "show", "life", "--json").json["feeds"] == {"scoop": {"license": "MIT"}}
    assert ["feeds", "scoop"] in [line.split() for line in remote("app", "show", "life").out.splitlines()]
    for text, problem in (("[]", "must be a JSON object"), ("{", "not valid JSON")):
        wrong = remote("app", "update", "life", "--feeds", "-", stdin=text)
        assert wrong.status == 2 and problem in wrong.err
    wrong = remote("app", "update", "life", "--feeds", "nowhere.json")
    assert wrong.status == 2 and "cannot read nowhere.json: No such file" in wrong.err
    wrong = remote("app", "update", "life", "--feeds", "-", stdin='{"winget": {}}')
    assert wrong.status != 0 and "feeds.winget.package_identifier" in wrong.err

    kept = remote("app", "delete", "life", stdin="n\n")
    assert (kept.status, kept.out) == (1, "")
    assert "Delete life and all its releases?" in kept.err and "Aborted!" in kept.err
    gone = remote("app", "delete", "life", "--yes", "--json")
    assert (gone.status, gone.json) == (0, {"id": "life", "deleted": True})
    assert remote("app", "delete", "life", "--yes").status == 5


def test_the_list_of_applications_is_a_table_or_a_page(remote: Command) -> None:
    for number in range(3):
        assert remote("app", "create", f"list-{number}", "--name", f"Nr. {number}").status == 0
    table = remote("app", "list", "--limit", "1000").out.splitlines()
    assert table[1].split() == ["id", "name", "platforms", "updated"]
    assert set(table[2].strip()) == {"─"}
    assert any(line.split()[:3] == ["list-1", "Nr.", "1"] for line in table)
    page = remote("app", "list", "--limit", "2", "--json").json
    assert list(page) == ["items", "total_count", "has_more"]
    assert (len(page["items"]), page["has_more"]) == (2, True)
    assert page["total_count"] >= 3
    beyond = remote("app", "list", "--offset", "1000", "--json").json
    assert (beyond["items"], beyond["has_more"]) == ([], False)


def test_check_has_the_same_keys_whether_there_is_an_update_or_not(remote: Command, tmp_path: Path) -> None:
    publish(remote, tmp_path, "checked", "1.1.0", "--notes", "Schneller.", "--metadata", '{"größe": 1}', "--required")
    words = ("check", "--app", "checked", *HERE, "--json")
    newer = remote(*words, "--current-version", "1.0.0")
    assert newer.status == 0
    assert list(newer.json) == ["update_available", "current_version", "release", "required"]
    assert list(newer.json["release"]) == [
        *("version", "platform", "architecture", "download_url", "checksum", "checksum_type", "file_size_bytes"),
        *("release_notes", "release_date", "required", "minimum_version", "metadata", "id"),
    ]
    assert newer.json["required"] is newer.json["release"]["required"] is True
    assert newer.json["release"]["metadata"] == {"größe": 1}
    none = remote(*words, "--current-version", "1.1.0")
    assert (none.status, none.err) == (3, "")
    assert none.json == {"update_available": False, "current_version": "1.1.0", "release": None, "required": False}


def test_platforms_and_architectures_in_the_words_that_people_use(remote: Command, tmp_path: Path) -> None:
    publish(remote, tmp_path, "spoken", "1.1.0")
    words = ("check", "--app", "spoken", "--current-version", "1.0.0", "--platform", "Linux", "--arch", "x86_64")
    assert remote(*words).out.splitlines()[0] == "update    1.0.0 -> 1.1.0 linux/amd64"
    assert remote("app", "update", "spoken", "--platform", "macOS", "--platform", "win").status == 0
    assert remote("app", "show", "spoken", "--json").json["platforms"] == ["darwin", "windows"]


def test_check_in_words(remote: Command, tmp_path: Path) -> None:
    published = publish(remote, tmp_path, "worded", "1.1.0", "--notes", "First.\nSecond.")
    words = remote("check", "--app", "worded", *HERE, "--current-version", "1.0.0").out.splitlines()
    assert words[0] == "update    1.0.0 -> 1.1.0 linux/amd64"
    assert words[1] == "required  no"
    assert f"sha256    {published['checksum']}" in words
    assert words[-2:] == ["notes     First.", "          Second."]
    assert remote("check", "--app", "worded", *HERE, "--current-version", "2.0.0").out == "up to date  2.0.0\n"


def test_releases_are_registered_listed_in_order_and_deleted(remote: Command, tmp_path: Path) -> None:
    publish(remote, tmp_path, "listed", "1.0.0")
    external = ("release", "register", "--app", "listed", "--version", "2.0.0", "--platform", "windows")
    more = ("--arch", "arm64", "--url", "https://example.com/x.msi", "--checksum", "AB" * 64)
    typed = ("--checksum-type", "sha512", "--size", "12", "--notes", "Neu", "--minimum-version", "1.0.0")
    registered = remote(*external, *more, *typed, "--json")
    assert (registered.status, list(registered.json)) == (0, ["id", "created_at"])
    again = remote(*external, *more, *typed)
    assert again.status == 0, "what is there already, with this address and checksum, is what the caller wanted"
    assert "listed 2.0.0 windows/arm64, already" in again.out
    other = remote(*external, *more, *typed, "--url", "https://example.com/y.msi")
    assert (other.status, other.out) == (6, "")
    refused = remote(*external, "--arch", "amd64", "--url", "ftp://example.com/x", "--checksum", "ab")
    assert (refused.status, refused.out) == (7, "")
    assert "; download_url: expected an absolute http or https URL" in refused.err

    listed = remote("release", "list", "--app", "listed", "--sort-by", "version", "--sort-order", "asc", "--json").json
    assert [each["version"] for each in listed["items"]] == ["1.0.0", "2.0.0"]
    assert listed["items"][1]["minimum_version"] == "1.0.0"
    assert "target" not in listed["items"][1] and listed["items"][1]["architecture"] == "arm64"
    header = remote("release", "list", "--app", "listed").out.splitlines()[1]
    assert header.split() == ["version", "target", "released", "required", "bytes", "channel", "for"]
    only = remote("release", "list", "--app", "listed", "--version", "2.0.0", "--arch", "arm64", "--not-required")
    assert "windows/arm64" in only.out and "linux/amd64" not in only.out
    assert remote("release", "list", "--app", "listed", "--required", "--json").json["items"] == []

    build = ("--app", "listed", "--version", "1.0.0", *HERE)
    asked = remote("release", "delete", *build, stdin="n\n")
    assert (asked.status, asked.out) == (1, "")
    assert "Delete listed 1.0.0 linux/amd64?" in asked.err
    gone = remote("release", "delete", *build, "--yes", "--json").json
    assert list(gone.items()) == [
        ("application", "listed"), ("version", "1.0.0"), ("platform", "linux"),
        ("architecture", "amd64"), ("deleted", True),
    ]  # fmt: skip
    assert remote("release", "delete", *build, "--yes").status == 5


def test_publish_and_fetch_say_what_they_did(remote: Command, tmp_path: Path) -> None:
    published = publish(remote, tmp_path, "fetched")
    assert list(published) == [
        *("id", "version", "platform", "architecture", "checksum", "checksum_type", "file_size_bytes"),
        *("download_url", "created_at", "repeated"),
    ]
    target = tmp_path / "größer.bin"
    fetched = remote("fetch", "--app", "fetched", "--version", "1.0.0", *HERE, "--output", target, "--json")
    assert (fetched.status, fetched.err) == (0, "")
    size = target.stat().st_size
    assert fetched.json == {
        "version": "1.0.0", "platform": "linux", "architecture": "amd64", "path": str(target), "size_bytes": size,
        "checksum": hashlib.sha256(target.read_bytes()).hexdigest(), "checksum_type": "sha256",
        "received_bytes": size, "resumed_bytes": 0,
    }  # fmt: skip
    again = remote("fetch", "--app", "fetched", *HERE, "--output", target)
    assert again.out.splitlines()[0] == "fetched          fetched 1.0.0 linux/amd64"
    assert f"resumed at       {size}" in again.out.splitlines()
    target.write_bytes(b"something else")
    assert remote("fetch", "--app", "fetched", *HERE, "--output", target, key="").status == 0
    assert hashlib.sha256(target.read_bytes()).hexdigest() == published["checksum"]


def test_notes_come_from_a_file_or_from_stdin_in_utf_8(remote: Command, tmp_path: Path) -> None:
    path = tmp_path / "app.bin"
    path.write_bytes(b"bytes")
    marked, wrong = tmp_path / "marked.md", tmp_path / "latin.md"
    marked.write_bytes("\ufeffGrüße".encode())
    wrong.write_bytes("Grüße".encode("latin-1"))
    words = ("publish", path, "--app", "noted", *HERE, "--create")
    assert remote(*words, "--version", "1.0.0", "--notes-file", marked).status == 0
    assert remote(*words, "--version", "1.1.0", "--notes-file", "-", stdin="aus der Röhre 🚀\n").status == 0
    refused = remote(*words, "--version", "1.2.0", "--notes-file", wrong)
    assert (refused.status, refused.err.splitlines()[-1]) == (2, "Error: the notes file is not UTF-8")
    listed = remote("release", "list", "--app", "noted", "--json").json["items"]
    assert sorted(each["release_notes"] for each in listed) == ["Grüße", "aus der Röhre 🚀\n"]


def test_a_report_is_recorded_once_under_its_id(remote: Command, tmp_path: Path) -> None:
    publish(remote, tmp_path, "reported")
    words = ("report", "--app", "reported", "--current-version", "0.9.0", "--target-version", "1.0.0", *HERE)
    failed = (*words, "--status", "failed", "--error-message", "größer als die Platte", "--report-id", "r-1")
    assert remote(*failed).out.splitlines() == ["recorded   reported 1.0.0 linux/amd64 failed", "report id  r-1"]
    assert remote(*failed, key="").status == 0
    made = remote(*words, "--status", "completed", "--install-time", "3", "--json").json
    assert made["recorded"] is True and len(made["report_id"]) == 36
    figures = remote("figures", "reported", "--json").json
    assert (figures["reports"]["completed"], figures["reports"]["failed"]) == (1, 1)
    assert remote("figures", "reported", "--from", "2026-13-01").status == 7


@pytest.mark.parametrize(
    ("status", "words", "more"),
    [
        (4, ("app", "list"), {"key": "wrong"}),
        (4, ("app", "list"), {"key": ""}),
        (4, ("app", "delete", "a", "--yes"), {"key": KEYS["read"]}),
        (4, ("app", "create", "a"), {"key": KEYS["read"]}),
        (5, ("app", "show", "missing"), {}),
        (5, ("check", "--app", "missing", "--current-version", "1.0.0", *HERE), {}),
        (5, ("release", "list", "--app", "missing"), {}),
        (5, ("figures", "missing"), {}),
        (7, ("app", "show", ".."), {}),
        (7, ("app", "create", "not an id"), {}),
        (7, ("app", "list"), {"url": "ftp://127.0.0.1"}),
        (7, ("app", "list"), {"url": "not an address"}),
        (8, ("app", "list", "--retries", "0"), {"url": f"http://127.0.0.1:{free_port()}"}),
        (8, ("app", "list", "--retries", "0"), {"url": "http://no-such-host.invalid"}),
    ],
)
def test_a_refusal_is_one_line_or_one_document(remote: Command, status: int, words: Any, more: Any) -> None:
    ran = remote(*words, **more)
    assert (ran.status, ran.out) == (status, "")
    assert ran.err.startswith("Error: ") and ran.err.count("\n") == 1
    told = remote(*words, "--json", **more)
    assert (told.status, told.json["exit_status"]) == (status, status)
    assert list(told.json["error"]) == ["message", "code", "status", "fields", "request_id"]
    assert told.err.startswith(f"Error: {told.json['error']['message']}")


def answer(status: int = 200, body: Any = None, text: str | None = None, **headers: str) -> Any:
    async def handle(_request: web.Request) -> web.Response:
        if text is not None:
            return web.Response(status=status, text=text, headers=headers)
        return web.json_response(body, status=status, headers=headers)

    return handle


@pytest.mark.parametrize(
    ("status", "said", "handle"),
    [
        (1, "the answer is not JSON", answer(text="<html>welcome</html>")),
        (1, "the answer is no JSON object", answer(body=[1, 2])),
        (1, "lacks 'applications'", answer(body={"hello": "world"})),
        (1, "lacks 'id'", answer(body={"applications": [{}], "total_count": 1, "has_more": False})),
        (1, "no list of objects", answer(body={"applications": [7], "total_count": 1, "has_more": False})),
        (1, "use that address", answer(301, {}, Location="https://elsewhere.example")),
        (1, "the answer is 500, without a reason", answer(500, text="oops")),
        (1, "out of coffee (418 TEAPOT, request r-7)", answer(418, {"message": "out of coffee", "code": "TEAPOT",
                                                                   "request_id": "r-7"})),
        (6, "taken (409", answer(409, {"message": "taken"})),
        (7, "wrong; name: too long (422", answer(422, {"message": "wrong", "errors": {"name": "too long"}})),
        (8, "the answer is 503, without a reason", answer(503, text="<h1>Bad Gateway</h1>")),
        (8, "slow down", answer(429, {"message": "slow down"})),
    ],
)  # fmt: skip
def test_a_server_that_is_none_or_refuses(status: int, said: str, handle: Any) -> None:
    with threaded(lambda: running_answers(handle)) as url:
        ran = invoke("app", "list", "--retries", "0", "--key", "k", "--server", url)
    assert (ran.status, ran.out) == (status, "")
    assert said in ran.err and ran.err.count("\n") == 1


def test_what_a_hostile_server_says_is_printed_without_its_control_characters() -> None:
    nasty = "\x1b[2Jowned\x07\u202e\r\nError: second line"
    with threaded(lambda: running_answers(answer(400, {"message": nasty, "errors": {nasty: nasty}}))) as url:
        ran = invoke("app", "list", "--retries", "0", "--key", "k", "--server", url)
    assert ran.status == 7
    assert ran.err.count("\n") == 1 and not set("\x1b\x07\u202e\r") & set(ran.err)


def test_retries_are_as_many_as_asked_for() -> None:
    asked: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=503, headers={"Retry-After": "0"})

    with threaded(lambda: running_answers(handle)) as url:
        assert invoke("app", "list", "--retries", "1", "--key", "k", "--server", url).status == 8
    assert asked == ["/api/v1/applications"] * 2


def test_an_interruption_is_status_130(remote: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(coroutine: Any) -> None:
        coroutine.close()
        raise KeyboardInterrupt

    monkeypatch.setattr(asyncio, "run", interrupt)
    ran = remote("app", "list", "--json")
    assert (ran.status, ran.err) == (130, "Error: interrupted\n")
    assert ran.json == {"error": {"message": "interrupted"}, "exit_status": 130}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DigestMismatch("x"), Exit.DIGEST_MISMATCH),
        (FileChanged("x"), Exit.LOCAL_FILE),
        (Unreachable("x", transient=False), Exit.UNAVAILABLE),
        (BadAnswer("x", status=200), Exit.FAILURE),
        (UpdateError("x", status=500), Exit.FAILURE),
        (UpdateError("x", status=507), Exit.FAILURE),
        (UpdateError("x", status=403), Exit.FORBIDDEN),
        (UpdateError("x", status=413), Exit.INVALID),
        (UpdateError("x", status=415), Exit.INVALID),
        (UpdateError("x", status=408), Exit.UNAVAILABLE),
        (UpdateError("x", code="UNKNOWN_CHECKSUM"), Exit.FAILURE),
        (UpdateError("x", code="UNAUTHORIZED"), Exit.FORBIDDEN),
    ],
)
def test_every_kind_of_failure_has_its_exit_status(error: UpdateError, status: Exit) -> None:
    assert exit_of(error) is status


def test_a_file_that_cannot_be_written_is_status_10(remote: Command, tmp_path: Path) -> None:
    publish(remote, tmp_path, "unwritten")
    ran = remote("fetch", "--app", "unwritten", *HERE, "--output", tmp_path / "no" / "such" / "file")
    assert (ran.status, ran.out) == (10, "")
    assert ran.err.startswith("Error: No such file or directory: ")


def test_other_bytes_than_announced_are_status_9(tmp_path: Path) -> None:
    async def handle(request: web.Request) -> web.Response:
        if request.path == "/file":
            return web.Response(body=b"other bytes")
        body = {"version": "1.0.0", "download_url": "/file", "checksum": "00" * 32, "checksum_type": "sha256"}
        return web.json_response(body)

    with threaded(lambda: running_answers(handle)) as url:
        ran = invoke("fetch", "--app", "a", *HERE, "--output", tmp_path / "got", "--server", url)
    assert (ran.status, ran.out) == (9, "")
    assert list(tmp_path.iterdir()) == []
