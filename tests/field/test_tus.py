"""Real clients of tus: tuspy and tus-js-client, through a relay that cuts them off wherever it likes."""

from __future__ import annotations

import hashlib
import os
import random
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.field.conftest import Npm
from tests.field.running import HERE, drive_python
from tests.field.shop import Shop
from tests.processes.serving import call, serving
from tests.servers import node as nodejs
from tests.threaded import threaded
from tests.web.tus.cutting import CuttingRelay, cutting

Drive = Callable[..., dict[str, Any]]
KIB = 1024
FORGETS = """
from updater.artifacts.partial_file import PartialFile
async def count_at_last(self, count): pass
PartialFile._count_at_last = count_at_last
from updater.cli import main
main()
"""


@pytest.fixture(scope="session")
def tus_js(pytestconfig: pytest.Config) -> Npm:
    """Install what `tus_node/` pins."""
    node = nodejs.find_node()
    folder = nodejs.install(HERE / "tus_node", node, pytestconfig.cache.mkdir("tus"))
    return Npm(node.program, folder / "node_modules")


@pytest.fixture(params=["tuspy", "tus-js-client"])
def drive(request: pytest.FixtureRequest) -> Drive:
    """Return a function that lets a client upload; the test runs with each of them."""
    if request.param == "tuspy":
        return lambda **asked: drive_python("tus_app.py", asked)
    npm: Npm = request.getfixturevalue("tus_js")
    return lambda **asked: npm.drive("tus_app.js", **asked)


@contextmanager
def cutting_relay(shop: Shop, next_cut: Callable[[], int | None]) -> Iterator[CuttingRelay]:
    with threaded(lambda: cutting(shop.url, next_cut)) as relay:
        yield relay


@pytest.fixture
def app(shop: Shop) -> str:
    name = f"tus-{uuid.uuid4().hex[:8]}"
    shop.open(name)
    return name


def said(app: str, version: str = "1.0.0", **more: str) -> dict[str, str]:
    return {
        "application_id": app,
        "version": version,
        "platform": "linux",
        "architecture": "amd64",
        "file_name": "Größe.bin",
        **more,
    }


def digest_published(shop: Shop, app: str, version: str = "1.0.0") -> str:
    status, body = call(f"{shop.url}/api/v1/updates/{app}/download/{version}/linux/amd64")
    assert status == 200
    return hashlib.sha256(body).hexdigest()


def cut_off_at_random_points(
    shop: Shop, drive: Drive, app: str, tmp_path: Path, *, cuts: int, size: int, chunk: int | None
) -> None:
    """The right bytes are published, once; nothing is sent twice beyond the piece that was cut."""
    if chunk is None and cuts > 100:
        size //= 10  # clients read all of the rest for each try
    chosen = random.Random(int(os.environ.get("FAULT_SEED", "11")))
    content = chosen.randbytes(size)
    (tmp_path / "file").write_bytes(content)
    mean = size // cuts

    with cutting_relay(shop, lambda: chosen.randrange(2 * mean)) as relay:
        told = drive(
            endpoint=f"{relay.url}/api/v1/uploads",
            key=shop.key,
            file=str(tmp_path / "file"),
            chunk=chunk or 10**9,
            metadata=said(app),
            retries=2 * cuts + 100,
        )
        assert told["error"] is None, told
        assert digest_published(shop, app) == hashlib.sha256(content).hexdigest()
        print(f"{relay.cuts} cuts, {relay.sent_bytes - size} of {size} bytes twice, {len(relay.sent)} pieces")
        assert relay.cuts >= cuts // 2
        # What the relay handed on just before a cut may not have been read; far less than a chunk of 256 KiB.
        assert relay.sent_bytes <= size + relay.cuts * 256 * KIB
    history = shop.ask("GET", f"/updates/{app}/history")["entries"]
    assert [each["action"] for each in history].count("build.published") == 1


@pytest.mark.parametrize(("cuts", "size"), [(20, 3_000_017), pytest.param(1_000, 66_000_017, marks=pytest.mark.long)])
@pytest.mark.parametrize("chunk", [256 * KIB, None])
def test_cut_off_at_random_points(
    shop: Shop, drive: Drive, app: str, tmp_path: Path, cuts: int, size: int, chunk: int | None
) -> None:
    cut_off_at_random_points(shop, drive, app, tmp_path, cuts=cuts, size=size, chunk=chunk)


@pytest.mark.long
def test_bytes_that_are_forgotten_at_a_cut_are_noticed(tmp_path: Path) -> None:
    """The control: a service that keeps nothing of a piece that was cut."""
    with serving(
        tmp_path / "storage", command=(sys.executable, "-c", FORGETS), UPDATER_RATE_LIMIT__ENABLED="false"
    ) as (
        url,
        key,
    ):
        shop = Shop(url, str(key))
        shop.open("my-app")
        with pytest.raises(AssertionError) as found:
            cut_off_at_random_points(
                shop,
                lambda **asked: drive_python("tus_app.py", asked),
                "my-app",
                tmp_path,
                cuts=20,
                size=3_000_017,
                chunk=None,
            )
    print(str(found.value)[:300])


def test_a_refusal_is_told_as_one(shop: Shop, drive: Drive, app: str, tmp_path: Path) -> None:
    """A wrong field at the beginning; and at the end, bytes that are not the announced ones."""
    (tmp_path / "file").write_bytes(b"bytes" * 100_000)
    given = {"endpoint": f"{shop.url}/api/v1/uploads", "key": shop.key, "file": str(tmp_path / "file")}
    given |= {"chunk": 200_000, "retries": 2}
    refused = drive(**given, metadata=said(app, channel="nightly"))
    assert refused["error"] is not None
    assert "channel" in refused["error"]
    refused = drive(**given, metadata=said(app, checksum="0" * 64))
    assert refused["error"] is not None
    shop.ask("GET", f"/updates/{app}/releases")
    assert shop.ask("GET", f"/updates/{app}/releases")["releases"] == []


def test_with_the_creation(shop: Shop, tus_js: Npm, app: str, tmp_path: Path) -> None:
    content = random.Random(1).randbytes(500_000)
    (tmp_path / "file").write_bytes(content)
    for version, chunk in (("1.0.0", None), ("1.0.1", 100_000)):
        told = tus_js.drive(
            "tus_app.js",
            endpoint=f"{shop.url}/api/v1/uploads",
            key=shop.key,
            file=str(tmp_path / "file"),
            chunk=chunk,
            withCreation=True,
            metadata=said(app, version),
            retries=2,
        )
        assert told["error"] is None
        assert digest_published(shop, app, version) == hashlib.sha256(content).hexdigest()
