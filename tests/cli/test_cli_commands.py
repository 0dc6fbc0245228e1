"""Every command as a process against a running server: what it does, prints and returns."""

from __future__ import annotations

import asyncio
import hashlib
import os
import pty
import signal
import sys
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.faults import CutAnswer, CutRequest, FaultProxy, LoseAnswer, Refuse
from updater_client import ApplicationChanges, NewBuild

HERE = ("--platform", "linux", "--arch", "amd64")
BUILD = ("--app", "my-app", "--version", "1.1.0", *HERE)


async def test_the_main_job_from_publication_to_report(updater, build: NewBuild, tmp_path: Path) -> None:
    notes = tmp_path / "notes.md"
    notes.write_text("Schneller und größer\n" * 2000, encoding="utf-8")
    published = await updater(
        "publish", build.path, *BUILD, "--create", "--name", "My App", "--notes-file", notes,
        "--metadata", '{"commit": "ab12"}', "--json",
    )  # fmt: skip
    assert (published.status, published.err) == (0, "")
    digest = hashlib.sha256(build.path.read_bytes()).hexdigest()
    assert published.json["checksum"] == digest
    assert (published.json["platform"], published.json["file_size_bytes"]) == ("linux", 5_000_000)

    checked = await updater("check", "--app", "my-app", "--current-version", "1.0.0", *HERE, "--json", key="")
    assert checked.status == 0
    assert checked.json["update_available"] is True
    assert checked.json["release"]["release_notes"] == notes.read_text(encoding="utf-8")
    assert checked.json["release"]["metadata"] == {"commit": "ab12"}

    target = tmp_path / "got.bin"
    fetched = await updater("fetch", "--app", "my-app", *HERE, "--output", target, key="")
    assert (fetched.status, fetched.err) == (0, "")
    assert digest in fetched.out
    assert target.read_bytes() == build.path.read_bytes()

    reported = await updater(
        "report", "--app", "my-app", "--current-version", "1.0.0", "--target-version", "1.1.0", *HERE,
        "--status", "completed", "--install-time", "3", "--report-id", "r-1", "--json", key="",
    )  # fmt: skip
    assert (reported.status, reported.json) == (0, {"recorded": True, "report_id": "r-1"})


async def test_nothing_newer_is_status_3_for_check_and_fetch(client, updater, build, tmp_path) -> None:
    await client.publish("my-app", build)
    words = ("--app", "my-app", "--current-version", "1.1.0", *HERE)
    checked = await updater("check", *words, "--json")
    assert (checked.status, checked.json["update_available"], checked.err) == (3, False, "")
    assert (await updater("fetch", *words, "--output", tmp_path)).status == 3


async def test_applications_and_releases(client, updater, build) -> None:
    assert (await updater("app", "create", "other", "--platform", "windows", "--json")).json["id"] == "other"
    assert "My App" in (await updater("app", "list")).out
    assert [a["id"] for a in (await updater("app", "list", "--json")).json["items"]] == ["my-app", "other"]
    changed = await updater("app", "update", "my-app", "--name", "Neu", "--config", '{"auto_update": true}')
    assert changed.status == 0
    shown = await updater("app", "show", "my-app", "--json")
    assert (shown.json["name"], shown.json["config"]["auto_update"]) == ("Neu", True)

    await client.publish("my-app", build)
    registered = await updater(
        *("release", "register", "--app", "my-app", "--version", "2.0.0", "--platform", "windows"),
        *("--arch", "arm64", "--url", "https://example.com/x.msi", "--checksum", "ab" * 32),
    )
    assert registered.status == 0
    listed = await updater("release", "list", "--app", "my-app", "--platform", "windows", "--json")
    assert [r["version"] for r in listed.json["items"]] == ["2.0.0"]
    table = (await updater("release", "list", "--app", "my-app")).out
    assert "1.1.0" in table
    assert max(map(len, table.splitlines())) <= 80

    asked = await updater("release", "delete", *BUILD, stdin=b"n\n")
    assert (asked.status, (await client.list_releases("my-app")).total_count) == (1, 2)
    assert (await updater("release", "delete", *BUILD, "--yes", "--json")).json["deleted"] is True
    assert (await updater("app", "delete", "other", stdin=b"y\n")).status == 0


async def test_each_refusal_has_its_status_and_one_line(client, updater, build, tmp_path) -> None:
    await client.publish("my-app", build)
    assert "with these very bytes" in (await updater("publish", build.path, *BUILD)).out
    other = tmp_path / "other.bin"
    other.write_bytes(b"other bytes")
    empty = tmp_path / "empty-folder"
    empty.mkdir()
    for status, words, more in (
        (4, ("app", "list"), {"key": "wrong"}),
        (5, ("app", "show", "missing"), {}),
        (5, ("fetch", "--app", "my-app", "--version", "9.9.9", *HERE), {}),
        (5, ("publish", build.path, "--app", "missing", "--version", "1.0.0", *HERE), {}),
        (6, ("publish", other, *BUILD), {}),
        (7, ("app", "show", ".."), {}),
        (10, ("fetch", "--app", "my-app", *HERE, "--output", empty / "no" / "such" / "file"), {}),
        (2, ("publish", build.path, *BUILD, "--metadata", "[1]"), {}),
        (2, ("publish", build.path, *BUILD, "--notes", "a", "--notes-file", "-"), {}),
        (2, ("publish", tmp_path, *BUILD), {}),
        (2, ("check", "--app", "my-app", "--current-version", "1.0.0", "--platform", "bsd"), {}),
        (2, ("app", "update", "my-app"), {}),
        (2, ("nonsense",), {}),
    ):
        ran = await updater(*words, **more)
        assert ran.status == status, (words, ran)
        assert ran.out == ""
        assert ran.err.splitlines()[-1].startswith("Error: "), (words, ran)
        assert status == 2 or len(ran.err.splitlines()) == 1, (words, ran)


async def test_a_failure_with_json_is_one_document_too(updater) -> None:
    ran = await updater("app", "show", "missing", "--json")
    assert (ran.status, ran.json["exit_status"]) == (5, 5)
    assert (ran.json["error"]["code"], ran.json["error"]["status"]) == ("APPLICATION_NOT_FOUND", 404)


async def test_nobody_there_is_status_8(updater, unused_tcp_port: int) -> None:
    words = ("check", "--app", "my-app", "--current-version", "1.0.0", "--retries", 0)
    ran = await updater(*words, url=f"http://127.0.0.1:{unused_tcp_port}")
    assert ran.status == 8
    assert "no answer from http://127.0.0.1" in ran.err


async def test_publish_and_fetch_get_through_a_bad_line(client, server, updater, build, tmp_path) -> None:
    faults = [CutRequest(1_000_000), Refuse(503, ("Retry-After: 0",)), LoseAnswer()]
    async with FaultProxy(server.port, faults) as proxy:
        published = await updater("publish", build.path, *BUILD, "--json", url=proxy.url)
        assert (published.status, published.json["repeated"]) == (0, True), published
        before = proxy.connections
        proxy.faults.extend([CutAnswer(200_000), CutAnswer(900_000)])
        target = tmp_path / "got.bin"
        fetched = await updater("fetch", "--app", "my-app", *HERE, "--output", target, url=proxy.url)
        assert (fetched.status, proxy.connections - before) == (0, 3), fetched
    assert target.read_bytes() == build.path.read_bytes()
    assert (await client.list_releases("my-app")).total_count == 1


async def test_an_interrupted_fetch_goes_on_the_next_time(client, server, build, tmp_path: Path) -> None:
    published = await client.publish("my-app", build)
    slow = web.Application()

    async def trickle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"ETag": f'"{published.checksum}"'})
        response.content_length = 5_000_000
        await response.prepare(request)
        await response.write(build.path.read_bytes()[:2_000_000])
        await asyncio.sleep(30)
        return response

    async def latest(request: web.Request) -> web.Response:
        body = {"version": "1.1.0", "download_url": "/slow", "checksum": published.checksum}
        return web.json_response({**body, "checksum_type": "sha256", "file_size": 5_000_000})

    slow.add_routes([web.get("/slow", trickle), web.get("/api/v1/updates/my-app/latest", latest)])
    target = tmp_path / "got.bin"
    words = [sys.executable, "-m", "updater", "fetch", "--app", "my-app", *HERE, "--output", str(target)]
    async with TestServer(slow) as running:
        process = await asyncio.create_subprocess_exec(
            *words, "--server", str(running.make_url("")), stderr=asyncio.subprocess.PIPE
        )
        part = target.with_name("got.bin.part")
        while not part.exists() or part.stat().st_size < 1_000_000:
            await asyncio.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = await process.communicate()
    assert (process.returncode, err) == (130, b"Error: interrupted\n")
    have = part.stat().st_size

    process = await asyncio.create_subprocess_exec(*words, "--server", server.url, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 0
    assert "resumed at" in out.decode() and str(have) in out.decode()
    assert target.read_bytes() == build.path.read_bytes()


async def test_without_output_the_servers_name_is_taken(client, server, updater, build, tmp_path) -> None:
    await client.publish("my-app", build)
    ran = await updater("fetch", "--app", "my-app", *HERE, "--output", tmp_path, "--json")
    got = Path(ran.json["path"])
    assert got.parent == tmp_path
    assert got.read_bytes() == build.path.read_bytes()


async def test_a_bar_is_drawn_on_a_terminal_only_and_leaves_stdout_alone(client, server, build, tmp_path: Path) -> None:
    await client.publish("my-app", build)
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "updater", "fetch", "--app", "my-app", *HERE, "--json"),
        *("--server", server.url, "--output", str(tmp_path / "got.bin")),
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"},
        stdout=asyncio.subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    out, _ = await process.communicate()
    drawn = os.read(ours, 65536).decode()
    os.close(ours)
    assert process.returncode == 0
    assert "got.bin" in drawn and "5.0" in drawn
    assert out.startswith(b"{") and b"\x1b" not in out


@pytest.mark.parametrize("text", ["[bold red]x[/]", "[/nonsense]"])
async def test_what_a_server_says_is_shown_and_not_obeyed(updater, client, text: str) -> None:
    await client.update_application("my-app", ApplicationChanges(name=text))
    ran = await updater("app", "show", "my-app")
    assert ran.status == 0
    assert "\x1b" not in ran.out and "\x07" not in ran.out
    assert text.replace("\x1b", " ").replace("\x07", "").strip() in ran.out
