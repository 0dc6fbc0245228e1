"""What an application does that has the client's wheel and nothing else: run as a program, with no part of the tests.

    python stranger.py SERVER KEY FOLDER APPLICATION [windows]

With `windows` it first takes away what Windows does not have, as far as that can be done elsewhere.
"""

import asyncio
import importlib
import importlib.metadata
import json
import os
import pickle
import pkgutil
import sys
from pathlib import Path

# What the client stands on, before anything is taken away: it has its own ways for each system.
import aiohttp
import yaml

POSIX_MODULES = ("fcntl", "grp", "posix", "pwd", "pty", "resource", "syslog", "termios", "tty")
POSIX_CALLS = (
    *("chown", "chroot", "fchmod", "fchown", "fork", "geteuid", "getuid", "getpgid", "killpg", "lchown", "mkfifo"),
    *("openpty", "posix_fadvise", "posix_fallocate", "pread", "pwrite", "register_at_fork"),
    *("sendfile", "setsid", "statvfs", "sync", "uname", "O_NONBLOCK", "O_DIRECTORY", "O_NOFOLLOW", "O_CLOEXEC"),
)


def become_poorer() -> None:
    """Take away what Windows does not have."""
    sys.modules.update(dict.fromkeys(POSIX_MODULES))  # type: ignore[arg-type]
    for name in POSIX_CALLS:
        if hasattr(os, name):
            delattr(os, name)
    sys.platform = "win32"


def main(server: str, key: str, place: str, app_id: str, *more: str) -> None:
    """Do everything once; print what is loaded and installed as JSON."""
    if "windows" in more:
        become_poorer()
    import updater_client

    for each in pkgutil.walk_packages(updater_client.__path__, "updater_client."):
        importlib.import_module(each.name)
    folder = Path(place)
    blocking(server, key, folder, app_id)
    asyncio.run(asynchronous(server, key, folder, app_id))
    installed = sorted(each.name.lower() for each in importlib.metadata.distributions())
    told = {
        "file": updater_client.__file__,
        "installed": installed,
        "loaded": sorted({name.split(".")[0] for name in sys.modules}),
        "versions": [aiohttp.__version__, yaml.__version__],
    }
    print(json.dumps(told))


class Enough(Exception):
    """Stops a transfer."""


def stop(done: int, total: int | None) -> None:
    """Stop a transfer once something has arrived."""
    if done:
        raise Enough


def blocking(server: str, key: str, folder: Path, app_id: str) -> None:
    """Publish a large file in pieces and a folder, then update: check, a cut download, the rest, a report."""
    from updater_client import InstallReport, NewApplication, NewBuild, SyncUpdateClient, Target, UpdateError
    from updater_client.folder import Details, Wishes

    here = Target("windows", "x64")
    large, got = folder / "large.exe", folder / "got"
    large.write_bytes(os.urandom(17 << 20))
    dist = folder / "dist"
    dist.mkdir()
    (dist / "App-3.0.0.exe").write_bytes(b"MZ")
    (dist / "latest.yml").write_text("version: 3.0.0\nfiles: []\npath: App-3.0.0.exe\n", encoding="utf-8")
    with SyncUpdateClient(server, key, client_id="stranger") as client:
        new = NewApplication(app_id, "Ä stranger")
        build = NewBuild(large, "2.0.0", here, "Schneller: 5 €\n", file_name="Prüfung groß.exe")
        published = client.publish(app_id, build, create=new, progress=lambda done, total: None)
        assert client.publish(app_id, build).repeated
        found = client.check(app_id, "1.0.0", here).build
        assert found is not None
        assert (found.version, found.release_notes.strip()) == ("2.0.0", "Schneller: 5 €")
        try:
            client.fetch(found, got, progress=stop)
        except Enough:
            assert not got.exists()
        fetched = client.fetch(found, got)
        assert fetched.resumed_bytes > 0
        assert (fetched.checksum, got.read_bytes()) == (published.checksum, large.read_bytes())
        client.report(app_id, InstallReport("1.0.0", "2.0.0", here, "completed"))
        plan = client.folders.read(dist, Wishes(architecture="x64"))
        client.folders.publish(app_id, plan, Details(required=True))
        assert client.latest(app_id, here).version == "3.0.0"
        try:
            client.check(app_id, "not a version", Target("beos", "x64"))
        except UpdateError as error:
            assert "platform: " in str(pickle.loads(pickle.dumps(error)))


async def asynchronous(server: str, key: str, folder: Path, app_id: str) -> None:
    """Update: check, a cut download, the rest, a report."""
    from updater_client import InstallReport, Target, UpdateClient

    here = Target("windows", "x64")
    async with UpdateClient(server, client_id="stranger") as client:
        found = (await client.check(app_id, "1.0.0", here)).build
        assert found is not None
        assert await client.find_file_name(found) == "App-3.0.0.exe"
    async with UpdateClient(server, key, client_id="stranger") as client:
        large, got = await client.get_release(app_id, "2.0.0", here), folder / "again"
        try:
            await client.fetch(large, got, progress=stop)
        except Enough:
            assert not got.exists()
        assert (await client.fetch(large, got)).resumed_bytes > 0
        await client.report(app_id, InstallReport("1.0.0", "3.0.0", here, "failed", "Fehler: ä"))


if __name__ == "__main__":
    main(*sys.argv[1:])
