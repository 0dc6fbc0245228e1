"""A backup has what TUF repositories use, and what is damaged of them is named as people know it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.actors import TESTER
from tests.backups.test_backup_checks import restore, rot
from tests.backups.test_backups import back_up, blob_path
from tests.tuf.developer import Developer
from tests.tuf.serving import FEED, publish
from updater.backups.manifest import get_manifest

pytestmark = pytest.mark.sqlite("a backup holds a copy of the embedded database; for others pg_dump makes it")


async def test_a_repository_is_backed_up_collected_and_restored(service: Any, tmp_path: Path) -> None:
    developer = Developer()
    developer.release("app/x.zip", b"target" * 1000)
    await publish(service, developer)
    removed = [each async for each in service.services.artifacts.collect(actor=TESTER, grace_s=-1)]
    assert removed == []
    wanted = {hashlib.sha256(each).hexdigest() for each in (*developer.files.values(), b"target" * 1000)}
    await back_up(service, tmp_path / "backup")
    assert set(get_manifest(tmp_path / "backup").blobs) == wanted
    target = hashlib.sha256(b"target" * 1000).hexdigest()
    rot(blob_path(tmp_path / "backup", target))
    rot(blob_path(tmp_path / "backup", hashlib.sha256(developer.files["1.root.json"]).hexdigest()))
    done = restore(tmp_path / "backup", tmp_path / "restored")
    assert done.returncode == 9
    assert f"{len(wanted) - 2} files restored and verified" in done.stdout
    assert "    my-app stable/tuf/targets/app/x.zip\n" in done.stderr
    assert "    my-app stable/tuf/metadata/1.root.json\n" in done.stderr
    assert (await service.exchange("GET", f"{FEED}/targets/app/x.zip", status=200))[1] == b"target" * 1000
