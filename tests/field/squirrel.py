"""Applications that Squirrel.Windows installed, whose Update.exe runs under Mono."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.field.made import content, package, sha256
from tests.field.running import HERE, run

ID = "Field"
Install = Callable[[str], "Installed"]


@dataclass
class Installed:
    """An application in its folder, as Setup.exe leaves it."""

    mono: str
    folder: Path

    def update_exe(self, *words: str) -> str:
        """Run the program that every such application has; return what it said."""
        ran = run([self.mono, "Update.exe", *words], cwd=self.folder, HOME=str(self.folder))
        logs = "".join(path.read_text("utf-8-sig") for path in self.folder.glob("*.log"))
        assert ran.returncode == 0, ran.stdout + ran.stderr + logs
        return ran.stdout

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
