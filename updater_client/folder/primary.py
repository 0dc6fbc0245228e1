"""Which file of each build is its primary one: what a client gets that asks for the build alone. PURE."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from updater_client.folder.model import PlannedFile
from updater_client.model import Target

_NEVER = frozenset({"blockmap", "zsync", "delta"})
_OF_ELECTRON = {
    "windows": (".exe",),
    "darwin": (".zip",),
    "linux": (".appimage", ".deb", ".rpm", ".pacman"),
}
_ENDINGS = (".exe", ".msi", ".msix", ".dmg", ".appimage", ".deb")


def with_primaries(files: Iterable[PlannedFile]) -> list[PlannedFile]:
    """Return the files with `primary_of` filled in.

    The primary file is what electron-updater takes where electron-builder made it, else the setup, disk image,
    AppImage or Debian package, else the largest. A target of which only maps and deltas are here has none.
    """
    found = list(files)
    targets = dict.fromkeys(target for file in found for target in file.targets)
    chosen = {target: _choose([file for file in found if target in file.targets], target) for target in targets}
    return [
        replace(file, primary_of=tuple(target for target in file.targets if chosen[target] == file.place))
        for file in found
    ]


def _choose(files: list[PlannedFile], target: Target) -> str | None:
    """Return the place of the primary file of a target."""
    candidates = [file for file in files if file.kind not in _NEVER]
    if not candidates:
        return None
    return min(candidates, key=lambda file: _rank(file, target)).place


def _rank(file: PlannedFile, target: Target) -> tuple[int, int, int, int, str]:
    """Return a key that sorts the primary file first."""
    lower = file.name.lower()
    wanted = _OF_ELECTRON.get(target.platform, ())
    electron = (
        next((at for at, end in enumerate(wanted) if lower.endswith(end)), None) if "electron" in file.feeds else None
    )
    ending = next((at for at, end in enumerate(_ENDINGS) if lower.endswith(end)), len(_ENDINGS))
    is_setup = "setup" in lower or "install" in lower
    return (
        len(wanted) if electron is None else electron,
        ending,
        0 if is_setup else 1,
        -file.size_bytes,
        file.place,
    )
