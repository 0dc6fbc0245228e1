"""Make the plan of what to publish from what a folder holds. PURE."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from updater_client.folder.choosing import Said, feeds_of, find_said, find_version, is_of, others_of, some
from updater_client.folder.model import (
    MAX_FILES_OF_A_BUILD,
    Contents,
    Feed,
    FoundFile,
    LeftOut,
    Plan,
    PlannedFile,
    Problem,
    Remark,
    Wishes,
)
from updater_client.folder.names import (
    UNIVERSAL,
    architectures_of,
    fits,
    is_dull,
    is_kept,
    kind_of,
    platform_in,
    platform_of,
)
from updater_client.folder.primary import with_primaries
from updater_client.folder.versions import versions_in
from updater_client.model import Target

_FOR_NO_INSTALLER = "for people who want no installer"
_FOR_NO_PLATFORM = "for no platform that its name tells"
# Of what is left out, what a wish alone takes all the same.
_INCLUDED = frozenset({_FOR_NO_INSTALLER, _FOR_NO_PLATFORM})
_INCLUDE = "--include takes it"


def make_plan(contents: Contents, wishes: Wishes) -> Plan:
    """Return the plan; what stands in its way is in `problems`, and nothing may be sent while there is one."""
    if contents.problems and not contents.files and not contents.feeds:
        return Plan("", wishes.channel, "", (), left_out=contents.left_out, problems=contents.problems)
    wanted = [file for file in contents.files if _may_be_wanted(file, wishes)]
    version, problems = find_version(contents, wishes, [file.name for file in wanted])
    problems = [*contents.problems, *problems]
    if not version:
        return Plan("", wishes.channel, "", (), left_out=contents.left_out, problems=tuple(problems))
    mine, aside = feeds_of(version, contents.feeds)
    sorting = _Sorting(contents, wishes, version, mine, aside)
    files = with_primaries(sorting.run())
    problems += sorting.problems
    problems += _problems_of(files)
    if not files and not problems:
        problems.append(_nothing(contents, version))
    return Plan(
        version=version,
        channel=wishes.channel or next((feed.channel for feed in mine if feed.channel), None),
        notes=wishes.notes if wishes.notes is not None else _notes(mine),
        files=tuple(files),
        metadata=_metadata(mine, sorting.platforms),
        left_out=tuple(sorted((*contents.left_out, *sorting.left_out), key=lambda each: each.place)),
        remarks=tuple(dict.fromkeys((*(remark for feed in mine for remark in feed.remarks), *sorting.remarks))),
        problems=tuple(problems),
    )


def _may_be_wanted(file: FoundFile, wishes: Wishes) -> bool:
    """Say whether the version in a file's name counts: it is something that a client could be given."""
    if wishes.include:
        return fits(wishes.include, file.place)
    return kind_of(file.name) != "other" or (platform_of(file.name) is not None and not is_dull(file.name))


@dataclass(frozen=True)
class _Taken:
    """A file that is taken, and what its feed files say."""

    file: FoundFile
    said: tuple[Said, ...]


class _Sorting:
    """Sorts the files of a folder: those that are published, those left out, those that stand in the way."""

    def __init__(self, contents: Contents, wishes: Wishes, version: str, mine: list[Feed], aside: list[Feed]) -> None:
        self.problems: list[Problem] = []
        self.left_out: list[LeftOut] = []
        self._told: list[tuple[str, str]] = []
        self._guessed: list[tuple[str, str]] = []
        self.platforms: dict[str, set[str]] = {}
        self._contents = contents
        self._wishes = wishes
        self._version = version
        self._said, missing = find_said(contents.files, mine)
        self._others = others_of(mine, aside)
        self._others = {name: why for name, why in self._others.items() if name not in self._names(mine)}
        self._by_place = {file.place: file for file in contents.files}
        self._planned: dict[str, PlannedFile] = {}
        self._alone = _architecture_of_disk_image(contents.files)
        self._tell_missing(missing)

    def _names(self, feeds: list[Feed]) -> set[str]:
        return {each.name.casefold() for feed in feeds for each in feed.files}

    def _tell_missing(self, missing: list[Said]) -> None:
        places = {each.place.rpartition("/")[2]: each.why for each in self._contents.left_out}
        for said in missing:
            name, place = said.file.name, said.feed.place
            beside = f"{place.rpartition('/')[0]}/{name}".removeprefix("/")
            if not fits(self._wishes.exclude, beside):
                why = places.get(name, "which is not here").partition(":")[0]
                what = f"{place} names {name}, {why if why.startswith('which') else f'which is {why}'}"
                remedy = f"build it again, or leave one of them out with --exclude {_quoted(place.rpartition('/')[2])}"
                self.problems.append(Problem(what, remedy, place=place))

    def run(self) -> list[PlannedFile]:
        """Return the files to publish, in the order of the folder."""
        followers = []
        for file in self._contents.files:
            if file.place not in self._said and self._find_base(file) is not None:
                followers.append(file)
            elif (taken := self._take(file)) is not None:
                self._add(taken)
        for file in followers:
            self._follow(file)
        return [self._planned[file.place] for file in self._contents.files if file.place in self._planned]

    @property
    def remarks(self) -> list[Remark]:
        """Say what was taken for granted: where nothing tells the processor of what runs on a Mac."""
        names = sorted(name for _, name in self._guessed)
        if not names or any(platform == "darwin" for platform, _ in self._told):
            return []
        return [
            Remark(
                f"no processor is told by {some(names)}, so amd64 is taken",
                "--arch arm64 or --arch universal says otherwise",
            )
        ]

    def _take(self, file: FoundFile) -> _Taken | None:
        """Decide on one file."""
        said, include = tuple(self._said.get(file.place, ())), self._wishes.include
        why = None
        if include and not fits(include, file.place):
            why = "not among those to be included"
        elif include or said:
            pass
        elif other := self._others.get(file.name.casefold()):
            why = other
        elif file.name.lower().endswith("-portable.zip") and any(feed.maker == "velopack" for feed in self._feeds):
            why = _FOR_NO_INSTALLER
        elif kind_of(file.name) == "blockmap":
            why = "the file that it describes is not here"
        elif kind_of(file.name) == "other" and (is_dull(file.name) or platform_of(file.name) is None):
            why = _FOR_NO_PLATFORM
        elif not is_of(self._version, file.name):
            there = versions_in(file.name)[0]
            if not self._wishes.version:
                remedy = f"--version {self._version} leaves it out, so does --exclude {_quoted(file.name)}"
                what = f"{file.place} is of {there}, others are of {self._version}"
                self.problems.append(Problem(what, remedy, place=file.place))
                return None
            why = f"of {there}, says its name"
        if why is not None:
            self.left_out.append(LeftOut(file.place, why, _INCLUDE if why in _INCLUDED else ""))
            return None
        return _Taken(file, said)

    @property
    def _feeds(self) -> tuple[Feed, ...]:
        return self._contents.feeds

    def _find_base(self, file: FoundFile) -> FoundFile | None:
        """Return the file that another one is named after and lies beside: a map, a list of blocks, a checksum."""
        base = self._by_place.get(file.place.rpartition(".")[0])
        kind = kind_of(file.name)
        return base if kind in ("blockmap", "zsync", "other") and not is_dull(file.name) else None

    def _follow(self, file: FoundFile) -> None:
        base = self._find_base(file)
        if self._wishes.include and not fits(self._wishes.include, file.place):
            self.left_out.append(LeftOut(file.place, "not among those to be included"))
        elif base is not None and (planned := self._planned.get(base.place)) is not None:
            self._planned[file.place] = _planned(file, planned.targets)
        else:
            self.left_out.append(LeftOut(file.place, "the file that it describes is left out"))

    def _add(self, taken: _Taken) -> None:
        file = taken.file
        if not is_kept(file.name):
            self.problems.append(
                Problem(
                    f"{file.place} has a name that not every system can keep",
                    "rename it, or leave it out with --exclude",
                    place=file.place,
                )
            )
        elif file.size_bytes == 0:
            self.problems.append(
                Problem(
                    f"{file.place} is empty", f"build it again, or --exclude {_quoted(file.name)}", place=file.place
                )
            )
        elif targets := self._targets(taken):
            for said in taken.said:
                self.platforms.setdefault(said.feed.place, set()).update(each.platform for each in targets)
            self._planned[file.place] = self._plan_file(taken, targets)

    def _plan_file(self, taken: _Taken, targets: tuple[Target, ...]) -> PlannedFile:
        file, said = taken.file, taken.said
        signatures = {"minisign": self._contents.signatures.get(file.place)}
        signatures["ed25519"] = next((each.file.ed25519 for each in said if each.file.ed25519), None)
        checksums = [(kind, text, each.feed.place) for each in said for kind, text in each.file.checksums.items()]
        for each in said:
            if each.file.size_bytes not in (None, file.size_bytes):
                what = f"{file.place} has {file.size_bytes} bytes, {each.feed.place} says {each.file.size_bytes}"
                remedy = f"build both again, or --exclude {_quoted(each.feed.place.rpartition('/')[2])}"
                self.problems.append(Problem(what, remedy, place=file.place))
        return replace(
            _planned(file, targets),
            signatures={kind: text for kind, text in signatures.items() if text},
            delta_from=next((each.file.delta_from for each in said if each.file.delta_from), None),
            checksums=tuple(dict.fromkeys(checksums)),
            feeds=tuple(dict.fromkeys(each.feed.maker for each in said)),
        )

    def _targets(self, taken: _Taken) -> tuple[Target, ...]:
        """Return the targets of a file; none, with a problem, when they cannot be told."""
        file, said = taken.file, taken.said
        platform = (
            next((each for one in said if (each := one.file.platform or one.feed.platform)), None)
            or platform_of(file.name)
            or _in_folders(file, platform_in)
            or self._wishes.platform
        )
        if platform is None:
            remedy = f"give it with --platform, or leave it out with --exclude {_quoted(file.name)}"
            self.problems.append(Problem(f"{file.place} tells no platform", remedy, "platform", file.place))
            return ()
        architectures = self._architectures(taken, platform)
        return tuple(Target(platform, each) for each in architectures)

    def _architectures(self, taken: _Taken, platform: str) -> tuple[str, ...]:
        file, wished = taken.file, self._wishes.architecture
        chosen = UNIVERSAL if wished == "universal" else (wished,) if wished else ()
        found = architectures_of(file.name)
        if found is None and not chosen:
            remedy = f"give it with --arch, or leave it out with --exclude {_quoted(file.name)}"
            what = f"{file.place} names several architectures"
            self.problems.append(Problem(what, remedy, "architecture", file.place))
        if found is None:
            return chosen
        by_feed = next((each for one in taken.said if (each := one.file.architecture or one.feed.architecture)), None)
        told = found or ((by_feed,) if by_feed else ()) or chosen or _in_folders(file, architectures_of) or ()
        if not told and file.name.lower().endswith((".app.tar.gz", ".app.zip")):
            told = self._alone
        (self._guessed if platform == "darwin" and not told else self._told).append((platform, file.name))
        return told or ("amd64",)


def _planned(file: FoundFile, targets: tuple[Target, ...]) -> PlannedFile:
    return PlannedFile(file.path, file.place, file.name, kind_of(file.name), targets, (), file.size_bytes)


def _in_folders(file: FoundFile, read: Any) -> Any:
    """Return what the nearest folder tells whose name tells something."""
    parts = reversed(file.folder.split("/"))
    return next((found for part in parts if part and (found := read(part))), None)


def _architecture_of_disk_image(files: Iterable[FoundFile]) -> tuple[str, ...]:
    """Return the processors that the only disk image is for: Tauri names it, and not the bundle beside it."""
    found = {architectures_of(file.name) for file in files if file.name.lower().endswith(".dmg")}
    return (found.pop() or ()) if len(found) == 1 else ()


def _problems_of(files: Iterable[PlannedFile]) -> list[Problem]:
    """Return what no build can have: two files of one name, and more files than a build has."""
    found: list[Problem] = []
    of_targets: dict[Target, dict[str, PlannedFile]] = {}
    counts: dict[Target, int] = {}
    for file in files:
        for target in file.targets:
            other = of_targets.setdefault(target, {}).setdefault(file.name.casefold(), file)
            counts[target] = counts.get(target, 0) + 1
            if other is not file:
                what = f"{other.place} and {file.place} would be one file of {target}"
                found.append(Problem(what, f"leave one out with --exclude {_quoted(file.place)}", place=file.place))
    most = MAX_FILES_OF_A_BUILD
    remedy = "choose with --include or --exclude"
    found += [
        Problem(f"{target} would have {n} files, at most {most} fit", remedy)
        for target, n in counts.items()
        if n > most
    ]
    return found


def _nothing(contents: Contents, version: str) -> Problem:
    others = sorted({each.version for each in contents.feeds if each.version and each.version != version})
    if others:
        return Problem(
            f"nothing of {version} is here, but of {', '.join(others)}", "give one of them with --version", "version"
        )
    remedy = "is it the folder with the installers? --include and --platform take other files"
    return Problem(f"nothing is here that clients of {version} could be given", remedy)


def _notes(feeds: Iterable[Feed]) -> str:
    makers = ("electron", "sparkle", "velopack", "squirrel")
    ordered = sorted(feeds, key=lambda each: makers.index(each.maker))
    return next((feed.notes for feed in ordered if feed.notes.strip()), "")


def _metadata(feeds: Iterable[Feed], platforms: Mapping[str, set[str]]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for feed in feeds:
        for platform in sorted(platforms.get(feed.place, ())) if feed.metadata else ():
            found[platform] = {**feed.metadata, **found.get(platform, {})}
    return found


def _quoted(text: str) -> str:
    """Return a word as a shell takes it."""
    return text if text.replace(".", "").replace("-", "").replace("_", "").isalnum() else f"'{text}'"
