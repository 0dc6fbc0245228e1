"""Builds, files and pages as plain values, and the ways from an application's builds to an answer."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from updater.catalog.files import kind_of
from updater.catalog.model import CONFIG_DEFAULTS, Application, Build, BuildFile, Checksum, ReleaseStatus, StoredFile
from updater.catalog.platforms import Target
from updater.catalog.versions import Scheme, parse_version
from updater.feeds.model import Page, Question, Rendered
from updater.offers.feed_choice import FeedBuild, FeedClient, FeedSnapshot, choose, find_candidates

WHEN = datetime(2026, 1, 2, 3, 4, 5, 678_000, UTC)
MINISIGN = (
    "untrusted comment: signature from tauri secret key\n"
    + base64.b64encode(b"ED" + bytes(range(8)) + bytes(64)).decode()
    + "\ntrusted comment: timestamp:1\tfile:x\n"
    + base64.b64encode(bytes(64)).decode()
    + "\n"
)
ED25519 = base64.b64encode(bytes(64)).decode()
SIGNED = {"minisign": MINISIGN, "ed25519": ED25519}


def app(feeds: Mapping[str, Any] | None = None, scheme: Scheme = Scheme.SEMVER, **config: Any) -> Application:
    """Return an application."""
    return Application(
        id="my-app",
        name="My App",
        description="An app",
        platforms=("windows", "linux", "darwin"),
        config=CONFIG_DEFAULTS | config,
        scheme=scheme,
        created_at=WHEN,
        updated_at=WHEN,
        feeds=feeds or {},
    )


def file(name: str, signatures: Mapping[str, str] | None = None, content: str | None = None, **more: Any) -> BuildFile:
    """Return a file whose digests are those of its name, or of another content."""
    data = (name if content is None else content).encode()
    fields: dict[str, Any] = {
        "id": 1,
        "name": name,
        "kind": kind_of(name),
        "primary": False,
        "digest": hashlib.sha256(data).hexdigest(),
        "size_bytes": 1000,
        "sha512": hashlib.sha512(data).hexdigest(),
        "sha1": hashlib.sha1(data).hexdigest(),
        "signatures": signatures or {},
        "delta_from": None,
        "made_by": "developer",
        "created_at": WHEN,
        "quarantined": False,
        "facts": {},
    }
    return BuildFile(**fields | more)


def build(version: str, target: str, *files: BuildFile, scheme: Scheme = Scheme.SEMVER, **more: Any) -> FeedBuild:
    """Return a build of an active release; its first file is the primary one. Its id is that of its version."""
    minimum = more.pop("minimum", None)
    parsed, first = parse_version(version, scheme), files[0]
    number = int(hashlib.sha256(version.encode()).hexdigest()[:6], 16)
    fields: dict[str, Any] = {
        "id": number,
        "release_id": number,
        "application_id": "my-app",
        "version": parsed,
        "target": Target(*target.split("/")),
        "file": StoredFile(first.id, first.name, first.kind, first.digest, first.size_bytes),
        "url": None,
        "checksum": Checksum("sha256", first.digest),
        "size_bytes": first.size_bytes,
        "notes": f"Notes of {version}",
        "required": False,
        "minimum": None if minimum is None else parse_version(minimum, scheme),
        "metadata": {},
        "created_at": WHEN + timedelta(days=parsed.numbers or 0),
        "status": ReleaseStatus.ACTIVE,
        "complete": True,
        "quarantined": False,
        "channel": "stable",
        "channel_position": 0,
    }
    return FeedBuild(Build(**fields | more), files)


def snapshot(builds: Iterable[FeedBuild], application: Application | None = None) -> FeedSnapshot:
    """Return a snapshot of builds in any order."""
    by_target: dict[Target, list[FeedBuild]] = {}
    for each in builds:
        by_target.setdefault(each.build.target, []).append(each)
    for listed in by_target.values():
        listed.sort(key=lambda each: each.build.version.sort_key, reverse=True)
    return FeedSnapshot(
        application or app(),
        {target: tuple(listed) for target, listed in by_target.items()},
        {},
        {target: listed[-1].build.version.sort_key for target, listed in by_target.items()},
    )


def file_url(build: Build, file: BuildFile) -> str:
    """Return the address of a file."""
    version, name = quote(build.version.text, safe="+"), quote(file.name, safe="+")
    return f"https://u.example/{version}/{'/'.join(build.target)}/{name}"


def page(
    question: Question, builds: Iterable[FeedBuild], current: str | None = None, application: Application | None = None
) -> Page:
    """Return what a question about builds is answered from."""
    known = application or app()
    client = FeedClient(None if current is None else parse_version(current, known.scheme))
    seen = snapshot(builds, known)
    choices = tuple(
        choose(find_candidates(seen, targets, question.judge, client), client) for targets in question.groups
    )
    return Page(known, client, choices, file_url)


def answer(
    question: Question, builds: Iterable[FeedBuild], current: str | None = None, application: Application | None = None
) -> Rendered | None:
    """Return the answer to a question about builds."""
    return question.render(page(question, builds, current, application))
