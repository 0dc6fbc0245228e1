"""Clean Debian roots, and commands inside of them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

# Everything in a mount namespace of its own, so that nothing stays mounted. Arguments: root, volume or nothing, "ro" or
# "rw", the user, and the command.
_INSIDE = """
root=$1 volume=$2 mode=$3 user=$4
shift 4
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
[ -z "$volume" ] || mount --bind "$volume" "$root/var/lib/updater"
[ "$mode" = rw ] || mount -o remount,ro,bind "$root"
cd /
exec chroot "$root" setpriv --reuid "$user" --regid "$user" --clear-groups "$@"
"""


def inside(root: Path, user: str, *words: str, volume: Path | None = None, mode: str = "rw") -> tuple[str, ...]:
    """Return the command that runs these words as a user inside a root; see that it has no other environment."""
    namespace = ("unshare", "--mount", "--propagation", "private", "sh", "-ec", _INSIDE, "sh")
    return (*namespace, str(root), str(volume or ""), mode, user, *words)


def as_root(root: Path, *words: str) -> str:
    """Run words in a root as its root to their good end; return what they said."""
    given = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
    command = inside(root, "root", *words)
    done = subprocess.run(command, env=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, (words, done.stdout)
    return done.stdout


def make_root(folder: Path) -> Path:
    """Make a clean root of Debian 12 with its Python; TEST_DEBIAN_ROOT names one that is copied instead."""
    kept = os.environ.get("TEST_DEBIAN_ROOT")
    if kept is None:
        words = ["--variant=minbase", "--include=python3,ca-certificates,adduser", "bookworm", str(folder)]
        subprocess.run(["debootstrap", *words], check=True, stdout=subprocess.DEVNULL)
    else:
        copy_root(Path(kept), folder)
    return folder


def copy_root(root: Path, copy: Path) -> Path:
    subprocess.run(["cp", "-a", "--reflink=auto", root, copy], check=True)
    return copy


def lacking(*commands: str) -> str | None:
    """Return why this machine cannot do it: not root, or a command that is missing."""
    if os.geteuid() != 0:
        return "needs root"
    missing = [each for each in commands if shutil.which(each) is None]
    return f"not installed: {', '.join(missing)}" if missing else None
