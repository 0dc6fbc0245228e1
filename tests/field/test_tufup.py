"""tufup, its repository and its client, against the service; targets and metadata go up with the documented curl."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.actors import TESTER
from tests.conftest import KEYS, Service
from tests.tuf.serving import FEED, UPLOADS, closed

pytest.importorskip("tufup")
from tufup.client import Client
from tufup.common import TargetMeta
from tufup.repo import Repository

pytestmark = pytest.mark.field

DOCUMENT = Path(__file__).parents[2] / "docs" / "integrate" / "tuf.md"


class Shop:
    """A developer with tufup: folders for repository and keys."""

    def __init__(self, service: Service, folder: Path) -> None:
        self.service, self.folder = service, folder
        self.repository = Repository(
            app_name="my_app", repo_dir=folder / "repository", keys_dir=folder / "keys", expiration_days=None
        )
        self.repository.save_config()
        self.repository.initialize()

    def release(self, version: str, content: bytes, **more: Any) -> None:
        bundle = self.folder / f"bundle-{version}"
        shutil.rmtree(bundle, ignore_errors=True)
        bundle.mkdir()
        (bundle / "my_app.bin").write_bytes(content)
        self.repository.add_bundle(bundle, new_version=version, **more)
        self.sign()

    def sign(self) -> None:
        self.repository.publish_changes(private_key_dirs=[self.repository.keys_dir])

    def publish(self) -> subprocess.CompletedProcess[str]:
        """Run the lines that the document has for it."""
        lines = re.search(r"```bash\n(U=[^\n]*tuf/stable\n.*?)```", DOCUMENT.read_text(), re.DOTALL)
        assert lines is not None
        script = lines[1].replace("https://updates.example.com", self.service.url)
        return subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", script],
            env={"KEY": KEYS["write"], "PATH": "/usr/bin:/bin"},
            cwd=self.folder,
            capture_output=True,
            text=True,
        )


def install(src_dir: Path, dst_dir: Path) -> None:
    """Put an unpacked application in place; tufup's own way ends the process."""
    shutil.copytree(src_dir, dst_dir, dirs_exist_ok=True)


class Installed:
    """An application that tufup updates: it has the first root, and the archive that it came in."""

    def __init__(self, service: Service, folder: Path, shop: Shop, prefix: str = "") -> None:
        self.base, self.folder = f"{service.url}{prefix}{FEED}", folder
        for name in ("metadata", "targets", "install"):
            (folder / name).mkdir(parents=True)
        shutil.copy(shop.repository.metadata_dir / "1.root.json", folder / "metadata" / "root.json")

    def update(self, current: str, **options: Any) -> tuple[str | None, list[str], bytes | None]:
        """Return the version found, the files fetched for it, and the application as installed."""
        client = Client(
            app_name="my_app",
            current_version=current,
            app_install_dir=self.folder / "install",
            metadata_dir=self.folder / "metadata",
            metadata_base_url=f"{self.base}/metadata/",
            target_dir=self.folder / "targets",
            target_base_url=f"{self.base}/targets/",
            extract_dir=self.folder / f"extracted-{current}",
            refresh_required=True,
        )
        with closed(client):
            found = client.check_for_updates(**options)
            client.download_and_apply_update(skip_confirmation=True, install=install)
        program = self.folder / "install" / "my_app.bin"
        fetched = sorted(path.name for path in client.downloaded_target_files.values())
        return str(found.version) if found else None, fetched, program.read_bytes() if program.exists() else None


@pytest.fixture
def shop(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    (tmp_path / "shop").mkdir()
    monkeypatch.chdir(tmp_path / "shop")  # tufup keeps its settings in the working directory
    return Shop(service, tmp_path / "shop")


async def published(shop: Shop) -> str:
    done = await asyncio.to_thread(shop.publish)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


async def test_full_update_patch_and_nothing_new(service: Service, shop: Shop, tmp_path: Path) -> None:
    program = bytes(range(256)) * 400
    shop.release("1.0", program)
    await published(shop)
    app = Installed(service, tmp_path / "app", shop)
    assert await asyncio.to_thread(app.update, "0.9") == ("1.0", ["my_app-1.0.tar.gz"], program)
    assert await asyncio.to_thread(app.update, "1.0") == (None, [], program)
    # A small change: tufup makes a patch, and its client takes that alone.
    shop.release("1.1", program + b"more")
    await published(shop)
    assert await asyncio.to_thread(app.update, "1.0") == ("1.1", ["my_app-1.1.patch"], program + b"more")
    assert await asyncio.to_thread(app.update, "1.1") == (None, [], program + b"more")


async def test_a_replaced_key_of_the_root(service: Service, shop: Shop, tmp_path: Path) -> None:
    shop.release("1.0", b"one")
    await published(shop)
    app = Installed(service, tmp_path / "app", shop)
    new = shop.repository.keys.create_key_pair(
        private_key_path=shop.repository.keys_dir / "other_root", encrypted=False
    )
    shop.repository.replace_key("root", new, False)
    shop.sign()
    shop.release("2.0", b"two")
    await published(shop)
    assert await asyncio.to_thread(app.update, "1.0") == ("2.0", ["my_app-2.0.tar.gz"], b"two")
    assert b'"version": 2' in (app.folder / "metadata" / "root.json").read_bytes()


async def test_a_required_release_comes_first(service: Service, shop: Shop, tmp_path: Path) -> None:
    for version, required in (("1.0", False), ("2.0", True), ("3.0", False)):
        shop.release(version, version.encode(), required=required, skip_patch=True)
    await published(shop)
    app = Installed(service, tmp_path / "app", shop)
    assert (await asyncio.to_thread(app.update, "1.0"))[0] == "2.0"
    assert (await asyncio.to_thread(app.update, "2.0"))[0] == "3.0"


async def test_a_target_that_was_forgotten(service: Service, shop: Shop, tmp_path: Path) -> None:
    shop.release("1.0", b"one")
    await published(shop)
    shop.release("2.0", b"two", skip_patch=True)
    archive = shop.repository.targets_dir / "my_app-2.0.tar.gz"
    archive.rename(tmp_path / "forgotten")
    done = await asyncio.to_thread(shop.publish)
    assert done.returncode != 0
    assert '"problems":{"targets.json":"target my_app-2.0.tar.gz is not there"}' in done.stdout
    app = Installed(service, tmp_path / "app", shop)
    assert (await asyncio.to_thread(app.update, "0.9"))[0] == "1.0"
    (tmp_path / "forgotten").rename(archive)
    await published(shop)
    assert (await asyncio.to_thread(app.update, "1.0"))[0] == "2.0"


async def test_a_release_is_taken_back_and_made_again(service: Service, shop: Shop, tmp_path: Path) -> None:
    """Nothing that is served names its archive any more, so it may come with other bytes."""
    shop.release("1.0", b"one")
    shop.release("2.0", b"wrong", skip_patch=True)
    await published(shop)
    shop.repository.remove_latest_bundle()
    shop.sign()
    assert (
        TargetMeta(shop.repository.roles.get_latest_archive().path.name).version
        < TargetMeta("my_app-2.0.tar.gz").version
    )
    await published(shop)
    shop.release("2.0", b"right", skip_patch=True)
    await published(shop)
    app = Installed(service, tmp_path / "app", shop)
    assert await asyncio.to_thread(app.update, "1.0") == ("2.0", ["my_app-2.0.tar.gz"], b"right")
    other = {"data": b"other", "key": "write", "status": 409}
    await service.call("PUT", f"{UPLOADS}/targets/my_app-2.0.tar.gz", **other)


async def test_a_private_application(service: Service, shop: Shop, tmp_path: Path) -> None:
    shop.release("1.0", b"one")
    await service.services.catalog.update_application("my-app", {"private": True}, actor=TESTER)
    await published(shop)
    _, key = await service.services.access.create_key("laptops", "feed", application="my-app", actor=TESTER)
    app = Installed(service, tmp_path / "app", shop, prefix=f"/k/{key}")
    assert await asyncio.to_thread(app.update, "0.9") == ("1.0", ["my_app-1.0.tar.gz"], b"one")
    outside = Installed(service, tmp_path / "outside", shop)
    with pytest.raises(SystemExit):  # `refresh_required`: it can have no metadata
        await asyncio.to_thread(outside.update, "0.9")
