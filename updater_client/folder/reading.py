"""Read a folder of this machine: its files, what its feed files say, and the signatures beside the files."""

from __future__ import annotations

from pathlib import Path

from updater_client.folder.contents import read_contents
from updater_client.folder.model import Contents, Wishes
from updater_client.folder.scan import scan

MAX_FEED_BYTES = 16 << 20


def read_folder(folder: Path, wishes: Wishes) -> Contents:
    """Return what a folder holds. Feed files and signatures are read, other files are not.

    Raises:
        OSError: a folder or a feed file cannot be read.
    """
    files, left_out, problems = scan(folder, wishes)
    found = read_contents(files, wishes.version, lambda file: file.path.read_bytes(), max_bytes=MAX_FEED_BYTES)
    return Contents(
        found.files, found.feeds, found.signatures, (*left_out, *found.left_out), (*problems, *found.problems)
    )
