"""Applications that Squirrel.Windows installed, whose Update.exe runs under Mono."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.field.made import content, package, sha256
from tests.field.running import DRIVEN_S, HERE, run

ID = "Field"
Install = Callable[[str], "Installed"]


@dataclass
class Installed:
    """An application in its folder, as Setup.exe leaves it."""

    mono: str
    folder: Path

    def update_exe(self, *words: str) -> str:
        """Run the program that every such application has until its work is done; return what it said.

        Its log tells the end. Mono itself ends badly at times: it waits for a minute, or falls over its own threads.
        """
        for log in self.folder.glob("*.log"):
            log.unlink()
        out, until_s = self.folder / "said", time.monotonic() + DRIVEN_S
        with out.open("wb") as said, (self.folder / "complained").open("wb") as complained:
            environment = {**os.environ, "HOME": str(self.folder)}
            command = [self.mono, "Update.exe", *words]
            process = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=said, stderr=complained)
        try:
            while process.poll() is None and not self._is_done() and time.monotonic() < until_s:
                time.sleep(0.02)
        finally:
            process.kill()
            process.wait()
        assert self._is_done(), out.read_text() + (self.folder / "complained").read_text() + self._logs()
        return out.read_text()

    def _is_done(self) -> bool:
        return "Finished Squirrel Updater" in self._logs()

    def _logs(self) -> str:
        return "".join(path.read_text("utf-8-sig", "replace") for path in self.folder.glob("*.log"))

    def check(self, url: str) -> Any:
        """Return what it says of a feed."""
        return json.loads(self.update_exe("--checkForUpdate", url).strip().splitlines()[-1])

    def versions(self) -> dict[str, str]:
        """Return the SHA-256 of the installed file of each version."""
        found = self.folder.glob("app-*/field.bin")
        return {path.parent.name.removeprefix("app-"): sha256(path.read_bytes()) for path in found}


def compile_missing(mcs: str, folder: Path) -> Path:
    """Compile what Update.exe names of Windows' own libraries; return the library."""
    library = folder / "PresentationFramework.dll"
    ran = run([mcs, "-target:library", f"-out:{library}", str(HERE / "drivers" / "PresentationFramework.cs")])
    assert ran.returncode == 0, ran.stderr
    return library


def install_in(folder: Path, version: str, update_exe: Path, library: Path, mono: str) -> Installed:
    """Lay out a folder as Setup.exe does."""
    (folder / "packages").mkdir(parents=True)
    shutil.copy(update_exe, folder / "Update.exe")
    shutil.copy(library, folder)
    data, name = package(ID, version), f"{ID}-{version}-full.nupkg"
    (folder / "packages" / name).write_bytes(data)
    line = f"{hashlib.sha1(data).hexdigest().upper()} {name} {len(data)}\n"
    (folder / "packages" / "RELEASES").write_text(line)
    (folder / f"app-{version}").mkdir()
    (folder / f"app-{version}" / "field.bin").write_bytes(content("package", version))
    return Installed(mono, folder)
