"""Plans of folders and previews of notes: what they take, how much of it, and what no hostile folder gets."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from typing import Any

import pytest

from updater.web.api.plan_schemas import MAX_FILES

PLAN, PREVIEW = "/api/v1/updates/my-app/plan", "/api/v1/updates/my-app/preview"


def file(path: str, size: int = 5, **more: Any) -> dict[str, Any]:
    return {"path": path, "size": size, **more}


def told(path: str, content: bytes) -> dict[str, Any]:
    return file(path, len(content), content=base64.b64encode(content).decode())


async def plan(service: Any, *files: Any, status: int = 200, **wishes: Any) -> Any:
    return await send(service, {"files": list(files), **wishes}, status)


async def send(service: Any, body: Any, status: int) -> Any:
    headers = {"Content-Type": "application/json"}
    data = io.BytesIO(body if isinstance(body, bytes) else json.dumps(body).encode())
    return await service.call("POST", PLAN, key="write", data=data, headers=headers, status=status)


async def test_bytes_are_asked_for_where_they_matter_and_nowhere_else(service: Any) -> None:
    files = [file("App-1.0.0.exe"), file("App-1.0.0.exe.sig", 300), file("lone.sig"), file("win/latest.yml", 300)]
    answer = await plan(service, *files, file("notes.md"), file("huge.yml", 10 << 20))
    assert answer["must_be_told"] == ["App-1.0.0.exe.sig", "win/latest.yml"]
    assert {each["path"]: each["why"] for each in answer["left_out"]}["win/latest.yml"] == "its bytes are not told yet"
    text = b"untrusted comment: x\nRUQ\n"
    signature = told("App-1.0.0.exe.sig", text)
    answer = await plan(service, files[0], signature, told("win/latest.yml", b"no: feed"), version="1.0.0")
    assert answer["must_be_told"] == []
    (setup,) = answer["files"]
    assert setup["signatures"] == {"minisign": text.decode().strip()}
    assert setup["targets"] == setup["primary_of"] == [{"platform": "windows", "architecture": "amd64"}]


async def test_what_is_beside_a_file_and_no_signature_counts_as_none(service: Any) -> None:
    """Of any bytes: what is no base64, and not even ASCII, is not a failure of the server."""
    for content in ("é".encode(), b"\xff", b"=", b"YQ", "ÿ".encode("utf-16")):
        answer = await plan(service, file("App-1.0.0.exe"), told("App-1.0.0.exe.sig", content), version="1.0.0")
        assert answer["files"][0]["signatures"] == {}


async def test_the_same_paths_in_another_case_or_as_a_folder(service: Any) -> None:
    answer = await plan(service, file("App-1.0.0.exe"), file("App-1.0.0.exe/App-1.0.0.exe"), file("a/App-1.0.0.EXE"))
    assert [(each["path"], each["message"]) for each in answer["problems"]] == [
        (path, f"App-1.0.0.exe/App-1.0.0.exe and {path} would be one file of windows/amd64")
        for path in ("App-1.0.0.exe", "a/App-1.0.0.EXE")
    ]


@pytest.mark.parametrize(
    ("files", "field"),
    [
        ([], "files"),
        ("x", "files"),
        ([file("a")] * (MAX_FILES + 1), "files"),
        ([file("a"), file("a")], "files.1"),
        ([["a", 1]], "files.0"),
        ([file("")], "files.0"),
        ([file("x" * 1_025)], "files.0"),
        ([file("a", -1)], "files.0"),
        ([file("a", True)], "files.0"),
        ([file("a", 2**63)], "files.0"),
        ([file("a", 1, content="!")], "files.0"),
        ([file("a", 1, content="ééé")], "files.0"),
        ([file("a", 7, content="eA==")], "files.0"),
        ([file("a", more=1)], "files.0"),
        ([told("latest.yml", b"x" * (257 << 10))], "files.0"),
        ([told(f"{number}.yml", b"x" * (256 << 10)) for number in range(4)], "files"),
    ],
)
async def test_what_does_not_fit_is_named(service: Any, files: Any, field: str) -> None:
    answer = await send(service, {"files": files}, 422)
    assert set(answer["errors"]) == {field}


@pytest.mark.parametrize(
    "wishes",
    [{"version": ""}, {"platform": "beos"}, {"architecture": "x64"}, {"exclude": "*"}, {"include": [""]}, {"x": 1}],
)
async def test_wishes_that_do_not_fit_are_named(service: Any, wishes: dict[str, Any]) -> None:
    answer = await plan(service, file("App-1.0.0.exe"), status=422, **wishes)
    assert [each.partition(".")[0] for each in answer["errors"]] == list(wishes)


async def test_bodies_are_bounded(service: Any) -> None:
    await send(service, b" " * ((2 << 20) + 1), 413)
    notes = {"release_notes": "x" * ((64 << 10) + 1)}
    answer = await service.call("POST", PREVIEW, key="write", json=notes, status=422)
    assert set(answer["errors"]) == {"release_notes"}


async def test_hostile_paths_harm_nothing(service: Any) -> None:
    paths = ["../../etc/passwd-1.0.0.exe", "/etc/App-1.0.0.exe", "a" * 500 + ".exe", "\ud800-1.0.0.exe", "\x00.exe"]
    paths += ["/".join("d" * 400) + ".exe", "//", "a//b-1.0.0.exe", "[!*?-1.0.0.exe", "<script>alert(1)</script>.exe"]
    answer = await plan(service, *(file(path) for path in paths), version="1.0.0")
    assert {"[!*?-1.0.0.exe has a name that not every system can keep"} <= {
        each["message"] for each in answer["problems"]
    }


async def test_a_full_body_keeps_nobody_waiting(service: Any) -> None:
    """The plan of as many files as there may be, and of the slowest feed files, is made beside answering."""
    many = [file(f"resources/app/{number:05d}-some-name-of-a-file-1.0.0-x64.exe") for number in range(MAX_FILES - 3)]
    slow = b"version: 1.0.0\nfiles:\n" + b"- {url: a.exe, sha512: x}\n" * 9_000
    feeds = [told(f"latest{each}.yml", slow) for each in ("", "-mac", "-linux")]
    planning = asyncio.ensure_future(plan(service, *many, *feeds))
    asked = 0
    while not planning.done():
        await service.call("GET", "/health", status=200)
        asked += 1
    assert len((await planning)["files"]) == len(many) and asked > 3


async def test_notes_become_html_that_holds_nothing_of_theirs(service: Any) -> None:
    notes = "# News\n\n<script>alert(1)</script>\n\n[x](javascript:alert(1)) **faster**"
    answer = await service.call("POST", PREVIEW, key="write", json={"release_notes": notes}, status=200)
    assert "<h1>News</h1>" in answer["html"] and "<strong>faster</strong>" in answer["html"]
    assert "<script" not in answer["html"] and 'href="javascript' not in answer["html"]
    empty = await service.call("POST", PREVIEW, key="write", json={"release_notes": ""}, status=200)
    assert empty == {"html": ""}
