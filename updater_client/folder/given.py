"""Plan a folder that lies elsewhere: its files as somebody tells them, with the bytes of those that matter. PURE."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

from updater_client.folder.contents import must_be_read, read_contents
from updater_client.folder.model import ELSEWHERE, FoundFile, LeftOut, Plan, Wishes
from updater_client.folder.names import fits
from updater_client.folder.plan import make_plan
from updater_client.folder.walking import MAX_DEPTH, walk

MAX_FEED_BYTES = 256 << 10


@dataclass(frozen=True)
class GivenPlan:
    """A plan, and the places of files whose bytes must be told before it is what the folder says."""

    plan: Plan
    must_be_told: tuple[str, ...]


def plan_given(sizes: Mapping[str, int], contents: Mapping[str, bytes], wishes: Wishes) -> GivenPlan:
    """Plan a folder: the bytes of each file by its place, with slashes, and what some of them hold.

    The same as `make_plan(read_folder(...), wishes)` of a folder on the disk, once nothing must be told any more. What
    lies in more than `MAX_DEPTH` folders is not looked at.
    """
    files = [file for file in _scan(sizes) if not fits(wishes.exclude, file.place)]
    untold = {file.place for file in must_be_read(files, MAX_FEED_BYTES) if file.place not in contents}
    told = [file for file in files if file.place not in untold]
    found = read_contents(told, wishes.version, lambda file: contents[file.place], max_bytes=MAX_FEED_BYTES)
    left_out = (LeftOut(place, "its bytes are not told yet") for place in sorted(untold))
    plan = make_plan(replace(found, left_out=(*found.left_out, *left_out)), wishes)
    return GivenPlan(plan, tuple(sorted(untold)))


@dataclass(frozen=True)
class _Entry:
    """A file, which alone has a place, or a folder with its folders and files."""

    name: str
    place: str = ""
    folders: dict[str, _Entry] = field(default_factory=dict)
    files: list[_Entry] = field(default_factory=list)

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        return not self.place


def _scan(sizes: Mapping[str, int]) -> Iterator[FoundFile]:
    root = _Entry("")
    for place in sizes:
        *parts, name = place.split("/")
        if len(parts) > MAX_DEPTH:
            continue
        here = root
        for part in parts:
            here = here.folders.setdefault(part, _Entry(part))
        here.files.append(_Entry(name, place))

    def open_folder(entry: _Entry | None) -> AbstractContextManager[Iterable[_Entry]]:
        opened = root if entry is None else entry
        return nullcontext([*opened.folders.values(), *opened.files])

    for entry, place in walk(open_folder):
        name = unicodedata.normalize("NFC", entry.name)
        yield FoundFile(ELSEWHERE, place, name, sizes[entry.place])
