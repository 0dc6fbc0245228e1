"""An application with the Velopack SDK for Python: `python velopack_app.py JSON`; prints one line of JSON.

In: {url, version, folder, package_id, headers?: {name: value}, downgrade?, install_only?}. The folder is made into an
installed application; `{folder}/packages` keeps what the updater fetches.
Out: {offered: {version, notes, ...}|null, downgrade, deltas: [name], files: {name: {sha256, size}}, error}.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import velopack

# The SDK leaves patching to the program that `vpk` packs beside the application. No registry has that program, so this
# one stands in for it, with patches of its own kind.
UPDATER = """#!{python}
import argparse, shutil, zipfile
from pathlib import Path
import bsdiff4
asked = argparse.ArgumentParser()
asked.add_argument("command", choices=["patch"])
asked.add_argument("--old", type=Path), asked.add_argument("--output", type=Path)
asked.add_argument("--delta", action="append", type=Path)
given, _ = asked.parse_known_args()
package = given.old.read_bytes()
for delta in given.delta:
    package = bsdiff4.patch(package, zipfile.ZipFile(delta).read("lib/net45/package.bsdiff"))
given.output.write_bytes(package)
"""
MANIFEST = """<?xml version="1.0" encoding="utf-8"?>
<package xmlns="http://schemas.microsoft.com/packaging/2010/07/nuspec.xsd"><metadata>
<id>{package_id}</id><title>Field</title><description>Field</description><authors>Field</authors>
<version>{version}</version><channel>linux</channel><mainExe>field</mainExe><os>linux</os><rid>linux-x64</rid>
</metadata></package>"""


def install(folder: Path, package_id: str, version: str) -> velopack.VelopackLocatorConfig:
    """Make the folder what an installer would have left."""
    (folder / "packages").mkdir(parents=True, exist_ok=True)
    (folder / "current").mkdir(exist_ok=True)
    manifest = folder / "current" / "sq.version"
    manifest.write_text(MANIFEST.format(package_id=package_id, version=version))
    updater = folder / "UpdateNix"
    updater.write_text(UPDATER.format(python=sys.executable))
    updater.chmod(0o755)
    return velopack.VelopackLocatorConfig(
        RootAppDir=folder,
        UpdateExePath=updater,
        PackagesDir=folder / "packages",
        ManifestPath=manifest,
        CurrentBinaryDir=folder / "current",
        IsPortable=True,
    )


def run(asked: dict[str, Any]) -> dict[str, Any]:
    folder = Path(asked["folder"])
    locator = install(folder, asked["package_id"], asked["version"])
    if asked.get("install_only"):
        return {}
    headers = [velopack.HttpHeader(Name=name, Value=value) for name, value in asked.get("headers", {}).items()]
    options = velopack.HttpOptions(Headers=headers, TimeoutMilliseconds=20_000)
    source = velopack.HttpSource(asked["url"], options)
    how = velopack.UpdateOptions(
        AllowVersionDowngrade=asked.get("downgrade", False),
        MaximumDeltasBeforeFallback=10,
        ExplicitChannel=None,
    )
    manager = velopack.UpdateManager(source, how, locator)
    told: dict[str, Any] = {"offered": None, "downgrade": False, "deltas": [], "files": {}, "error": None}
    try:
        found = manager.check_for_updates()
        if found is not None:
            target = found.TargetFullRelease
            names = ("PackageId", "Version", "Type", "FileName", "SHA1", "SHA256", "Size", "NotesMarkdown", "NotesHtml")
            told["offered"] = {name: getattr(target, name) for name in names}
            told["downgrade"] = found.IsDowngrade
            told["deltas"] = [each.FileName for each in found.DeltasToTarget]
            manager.download_updates(found)
    except Exception as error:
        told["error"] = str(error)
    for path in (folder / "packages").glob("*.nupkg"):
        content = path.read_bytes()
        told["files"][path.name] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    return told


if __name__ == "__main__":
    print(json.dumps(run(json.loads(sys.argv[1]))))
