"""`updater migrate-blobs` as an operator types it: beside a service with another environment, and killed on the way."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.databases import place_folder
from tests.faults import FaultProxy, Throttle
from tests.servers.ceph import Ceph
from tests.workers.processes import Started, serving, wait_until


def run(started: Started, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "updater", "migrate-blobs", *words]
    return subprocess.run(command, env={**started.environment, **more}, capture_output=True, text=True, timeout=90)


def publish(started: Started, number: int) -> None:
    started.call("POST", "/api/v1/applications", {"id": "my-app", "name": "My App", "platforms": ["linux"]})
    for each in range(number):
        content = random.Random(each).randbytes(300_000)
        started.call("PUT", f"/api/v1/updates/my-app/builds/1.0.{each}/linux/amd64", content)


def keys_of(ceph: Ceph) -> dict[str, str]:
    return {"AWS_ACCESS_KEY_ID": ceph.access_key, "AWS_SECRET_ACCESS_KEY": ceph.secret}


def test_keys_come_from_the_environment_of_the_command(tmp_path: Path, ceph: Ceph) -> None:
    """The service that does the work was started before the settings named a bucket."""
    url = f"s3://{ceph.make_bucket()}?region=us-east-1&endpoint=http://127.0.0.1:{ceph.port}"
    with serving(tmp_path / "data") as started:
        publish(started, 2)
        assert run(started, "local", url, **keys_of(ceph)).stdout == "2 copied, 0 damaged\n"


def test_the_configured_store_needs_no_secret_on_the_command_line(tmp_path: Path, ceph: Ceph) -> None:
    url = ceph.url(ceph.make_bucket(), "apps")
    wanted = tmp_path / "wanted.yaml"
    wanted.write_text(json.dumps({"storage": {"blob_url": url}}))
    with serving(tmp_path / "data") as started:
        publish(started, 2)
        assert run(started, "local", "configured", "--config", str(wanted)).stdout == "2 copied, 0 damaged\n"
        assert run(started, "configured", "local", "--config", str(wanted)).stdout == "0 copied, 0 damaged\n"
        same = run(started, "local", "configured")
        assert (same.returncode, same.stdout) == (7, "")
        assert "expected another store than the source" in same.stderr


@pytest.mark.parametrize("victim", ["command", "service"])
async def test_what_is_killed_on_the_way_leaves_no_mess(tmp_path: Path, ceph: Ceph, victim: str) -> None:
    """The way to the store is slow, so that all is not copied before the first copy is seen."""
    bucket = ceph.make_bucket()
    async with FaultProxy(ceph.port) as proxy:
        proxy.standing = Throttle(100_000)
        slowly = ceph.url(bucket, port=proxy.port)
        await asyncio.to_thread(kill_on_the_way, tmp_path, ceph, victim, (bucket, slowly))


def kill_on_the_way(tmp_path: Path, ceph: Ceph, victim: str, target: tuple[str, str]) -> None:
    bucket, slowly = target
    with serving(tmp_path / "data") as started:
        publish(started, 40)
        command = [sys.executable, "-m", "updater", "migrate-blobs", "local", slowly]
        migrating = subprocess.Popen(
            command, env=started.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        wait_until(lambda: any("blobs/" in key for key in ceph.keys(bucket)), "the first copy")
        if victim == "command":
            migrating.kill()
            migrating.communicate()
            wait_until(lambda: started.events("control.interrupted"), "the line in the log")
            assert started.events("control.failed") == started.events("aiohttp.server") == []
            assert run(started, "local", ceph.url(bucket)).returncode == 0
            return
        os.kill(started.process.pid, signal.SIGKILL)
        said = migrating.communicate(timeout=60)[1]
        assert migrating.returncode == 1
        assert said == "Error: the service ended before it answered; run the command again when it is back\n"


def test_warnings_stand_beside_the_answer(tmp_path: Path) -> None:
    """No service is there, so the command works by itself, and what it would log is no part of its answer."""
    environment = {**os.environ, "UPDATER_STORAGE__ROOT": str(place_folder(tmp_path / "data"))}
    url = "s3://bucket?region=r&access_key_id=a&secret_access_key=sesame&endpoint=http://127.0.0.1:1"
    command = [sys.executable, "-m", "updater", "migrate-blobs", "local", url, "--json"]
    began_s = time.monotonic()
    said = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert time.monotonic() - began_s < 30
    assert (said.returncode, said.stdout) == (8, "")
    *warnings, last = said.stderr.splitlines()
    assert last == "Error: The object store does not answer as it should"
    assert "127.0.0.1:1" in json.loads(warnings[0])["said"]
    assert "sesame" not in said.stderr
