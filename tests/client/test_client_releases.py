"""What the calls about files, drafts and feeds send, and what they read."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.client.conftest import Answers
from updater_client import BadAnswer, NewBuild, NewFile, RetryPolicy, Target, UpdateClient, UpdateError

FILE = {
    "name": "App 1.0.exe", "kind": "installer", "primary": True, "size": 5, "sha256": "ab", "sha512": None,
    "sha1": None,
    "signatures": ["minisign"], "delta_from": None, "made_by": "developer", "download_url": "https://x/y",
    "created_at": "2026-01-02T03:04:05Z",
}  # fmt: skip
BUILD = {
    "version": "1.0.0", "platform": "windows", "architecture": "amd64", "download_url": "https://x", "checksum": "ab",
    "checksum_type": "sha256", "status": "draft", "channel": "beta", "feeds": {"electron": "draft"}, "files": [FILE],
}  # fmt: skip
ADDED = {
    "id": "file-1", "version": "1.0.0+1", "platform": "windows", "architecture": "amd64", "file_name": "a b.zip",
    "kind": "archive", "checksum": "ab", "checksum_type": "sha256", "file_size": 5, "download_url": "https://x",
    "created_at": "2026-01-02T03:04:05Z", "status": "draft",
}  # fmt: skip


def client(answers: Answers) -> UpdateClient:
    return UpdateClient(answers.url, "key", retry=RetryPolicy(attempts=2, first_delay_s=0))


async def test_a_companion_is_a_raw_body(answers: Answers, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"12345")
    answers.handle = lambda request: answers.json(ADDED, 201)
    signatures = {"minisign": "untrusted comment: ü\nabc=\n", "ed25519": "a+b/="}
    file = NewFile(
        path, "a b+ü.zip", "1.0.0+1", Target("win", "x64"), ("arm64", "386"), True, "archive", "7", signatures
    )
    seen: list[tuple[int, int | None]] = []
    async with client(answers) as calls:
        added = await calls.releases.add_file("my-app", file, lambda done, total: seen.append((done, total)))
    assert (added.id, added.name, added.status, str(added.target)) == ("file-1", "a b.zip", "draft", "windows/amd64")
    request = answers.requests[0]
    assert (request.method, answers.bodies[0]) == ("PUT", b"12345")
    assert request.raw_path.partition("?")[0] == (
        "/api/v1/updates/my-app/builds/1.0.0%2B1/windows/amd64/files/a%20b%2B%C3%BC.zip"
    )
    digest = hashlib.sha256(b"12345").hexdigest()
    assert dict(request.query) == {
        "draft": "true", "also": "arm64,386", "kind": "archive", "checksum": digest, "delta_from": "7", **signatures,
    }  # fmt: skip
    assert request.content_type == "application/octet-stream" and request.content_length == 5
    assert seen == [(5, 5)]


async def test_a_build_says_its_name_further_architectures_and_signatures(answers: Answers, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"12345")
    answers.handle = lambda request: answers.json({**ADDED, "id": "rel-1"}, 201)
    build = NewBuild(
        path,
        "1.0.0",
        Target("darwin", "amd64"),
        file_name="Größe.zip",
        also=("arm64",),
        draft=True,
        signatures={"ed25519": "x"},
    )
    async with client(answers) as calls:
        await calls.publish("my-app", build)
    body = answers.bodies[0].decode()
    for wanted in ('filename="Größe.zip"', 'name="also"', 'name="draft"', 'name="ed25519"'):
        assert wanted in body
    assert 'name="minisign"' not in body


async def test_a_release_is_listed_with_its_files(answers: Answers) -> None:
    answers.handle = lambda request: answers.json({"releases": [BUILD], "total_count": 1, "has_more": False})
    async with client(answers) as calls:
        (build,) = await calls.releases.list_builds("my-app", "1.0.0")
    assert answers.requests[0].query["version"] == "1.0.0"
    assert (build.status, build.feeds) == ("draft", {"electron": "draft"})
    assert build.files is not None and build.files[0].signatures == ("minisign",)


@pytest.mark.parametrize("files", [{}, [1], [{**FILE, "size": "5"}], [{**FILE, "primary": None}]])
async def test_files_of_another_form_are_a_bad_answer(answers: Answers, files: Any) -> None:
    body = {"releases": [{**BUILD, "files": files}], "total_count": 1, "has_more": False}
    answers.handle = lambda request: answers.json(body)
    async with client(answers) as calls:
        with pytest.raises(BadAnswer):
            await calls.releases.list_builds("my-app", "1.0.0")


async def test_the_other_calls(answers: Answers) -> None:
    answers.handle = lambda request: answers.json({"signatures": ["minisign"], "feeds": [], "status": "active"})
    target = Target("linux", "amd64")
    async with client(answers) as calls:
        assert await calls.releases.sign("a", "1.0.0", target, "f.zip", {"minisign": "t"}) == ("minisign",)
        await calls.releases.publish("a", "1.0.0", require=("linux/amd64",), rollout=5, reason="why")
        await calls.releases.publish("a", "1.0.0")
        await calls.releases.delete_file("a", "1.0.0", target, "f.zip")
        await calls.releases.delete("a", "1.0.0")
        await calls.releases.list_feeds("a", "beta")
    asked = [f"{each.method} {each.path_qs.removeprefix('/api/v1/updates/a/')}" for each in answers.requests]
    assert asked == [
        "PUT builds/1.0.0/linux/amd64/files/f.zip/signatures",
        "POST releases/1.0.0/publish",
        "POST releases/1.0.0/publish",
        "DELETE builds/1.0.0/linux/amd64/files/f.zip",
        "DELETE releases/1.0.0",
        "GET feeds?channel=beta",
    ]
    assert json.loads(answers.bodies[0]) == {"minisign": "t"}
    assert json.loads(answers.bodies[1]) == {"require": ["linux/amd64"], "rollout": {"percent": 5}, "reason": "why"}
    assert json.loads(answers.bodies[2]) == {}


async def test_what_is_missing_is_told(answers: Answers) -> None:
    body = {"message": "lacks it", "code": "CONFLICT", "details": {"missing": ["linux/amd64"]}}
    answers.handle = lambda request: answers.json(body, 409)
    async with client(answers) as calls:
        with pytest.raises(UpdateError) as refused:
            await calls.releases.publish("a", "1.0.0", require=("linux/amd64",))
    assert refused.value.details == {"missing": ["linux/amd64"]}
