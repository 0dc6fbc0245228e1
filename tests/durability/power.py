"""A file system in a file, whose power can be cut: what was not flushed is gone.

The kernel's call for it stops everything on the way to the disk at once, and writes no journal. The loop device
itself keeps what reached it in order, so a disk that lies about its cache is not what is proven against here.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
import time
from pathlib import Path

from tests.durability.conftest import require

# Source: linux/fs/ext4/ext4.h EXT4_IOC_SHUTDOWN, fs/xfs/libxfs/xfs_fs.h XFS_IOC_GOINGDOWN; 2 is NOLOGFLUSH in both.
_SHUTDOWN, _WITHOUT_LOG = 0x8004587D, 2
_SIZE_BYTES = 512 << 20
_MAKE = {"ext4": ("mkfs.ext4", "-q", "-F"), "xfs": ("mkfs.xfs", "-q", "-f")}
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def _run(*command: str | Path, accepted: tuple[int, ...] = (0,)) -> None:
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PATH": _PATH})
    assert done.returncode in accepted, f"{command}: {done.stdout}{done.stderr}"


class Disk:
    """A mounted file system of its own at `place`. Call `remove` at the end, whatever happened."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.place = folder / "disk"
        self._image = folder / "image"
        self._kind = kind

    def make(self) -> None:
        """Make and mount it. Skips without the rights; CI has root, loop devices and the tools, so there it fails."""
        maker = _MAKE[self._kind]
        require(os.geteuid() == 0, "needs root, to mount a file system")
        require(Path("/dev/loop-control").exists(), "needs loop devices")
        require(shutil.which(maker[0], path=_PATH) is not None, f"needs {maker[0]}")
        self.place.mkdir()
        with self._image.open("wb") as image:
            image.truncate(_SIZE_BYTES)
        _run(*maker, self._image)
        try:
            self._mount()
        except AssertionError as failure:
            require(False, f"needs the right to mount a file system: {failure}")

    def strike(self) -> None:
        """Cut the power: from now on nothing reaches the disk."""
        descriptor = os.open(self.place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, struct.pack("I", _WITHOUT_LOG))
        finally:
            os.close(descriptor)

    def restore(self) -> None:
        """Bring the power back, as a machine that starts does: check, then mount."""
        self._unmount()
        if self._kind == "ext4":
            _run("e2fsck", "-p", self._image, accepted=(0, 1))  # 1: it mended something
        self._mount()

    def remove(self) -> None:
        """Leave neither mount nor loop device behind."""
        if self.place.is_mount():
            self._unmount()
        self._image.unlink(missing_ok=True)

    def _mount(self) -> None:
        _run("mount", "-t", self._kind, "-o", "loop", self._image, self.place)

    def _unmount(self) -> None:
        """Unmount, which frees the loop device too. What a process that was killed held goes a moment later."""
        for _ in range(100):
            done = subprocess.run(["umount", str(self.place)], capture_output=True, env={**os.environ, "PATH": _PATH})
            if done.returncode == 0:
                return
            time.sleep(0.05)
        _run("umount", "--lazy", self.place)
        raise AssertionError(f"{self.place} was in use")
