"""What all feeds share: what is asked, what is rendered from, and what comes of it. PURE."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from updater.catalog.files import FileKind, name_key
from updater.catalog.model import Application, Build, BuildFile
from updater.catalog.platforms import ARCHITECTURES, Target
from updater.offers.feed_choice import Candidate, Choice, FeedBuild, FeedClient, FeedStatus, Judgement, Shape

JSON = "application/json"
FileUrl = Callable[[Build, BuildFile], str]
"""Returns the absolute address of a file, percent-encoded; `+` stays as it is."""


@dataclass(frozen=True, slots=True)
class Page:
    """What an answer is rendered from: `choices` has one for each group of targets that was asked for."""

    application: Application
    client: FeedClient
    choices: tuple[Choice, ...]
    file_url: FileUrl

    @property
    def choice(self) -> Choice:
        """Return the choice of a question about one group of targets."""
        return self.choices[0]


class Rendered(NamedTuple):
    """An answer. `media_type` is the whole header, with its charset if it has one."""

    body: bytes
    media_type: str = ""
    status: int = 200


NOTHING_NEW = Rendered(b"", status=204)
"""How a client is told that it is up to date, where it would install whatever it is given."""


class Question(Protocol):
    """What is asked of a feed, once its address is read. Hashable: equal questions of alike clients get equal bytes.

    It holds only what the feed's own words allow, so that there are few of them: never a version, a channel or an id.
    """

    def __hash__(self) -> int:
        """Return the hash: questions are keys."""

    @property
    def groups(self) -> tuple[tuple[Target, ...], ...]:
        """Return the targets that are asked for, those of one platform that count as one together."""

    @property
    def shape(self) -> Shape:
        """Return what of the choices an answer holds."""

    def judge(self, each: FeedBuild) -> Judgement | None:
        """Return whether the files of a build are complete for this, and which are listed."""

    def render(self, page: Page) -> Rendered | None:
        """Return the answer; None when there is nothing to show, which is 404."""


@dataclass(frozen=True, slots=True)
class OneTarget:
    """What questions about one target are made of."""

    target: Target

    @property
    def groups(self) -> tuple[tuple[Target, ...], ...]:
        """Return the one target."""
        return ((self.target,),)


class Feed(NamedTuple):
    """A feed: its word in addresses, and what it says of builds.

    `url` returns what stands in the configuration of a client of a target, behind the channel; None for a target that
    the feed has no clients of. An application without the feed's own settings has no such feed where it
    `needs_settings`. `together` are the platforms whose architectures one address asks as one.
    """

    name: str
    judge: Callable[[FeedBuild], Judgement | None]
    url: Callable[[Target], str | None]
    needs_settings: bool = False
    together: tuple[str, ...] = ()

    def beside(self, target: Target) -> tuple[Target, ...]:
        """Return the targets that are asked as one with a target, itself among them."""
        if target.platform not in self.together:
            return (target,)
        return tuple(Target(target.platform, each) for each in ARCHITECTURES)

    def is_of(self, application: Application) -> bool:
        """Tell whether an application has the feed."""
        return not self.needs_settings or self.name in application.feeds


_KINDS_BY_FEEDS = (FileKind.INSTALLER, FileKind.ARCHIVE)


def fitting_files(each: FeedBuild, endings: Iterable[str]) -> list[BuildFile]:
    """Return the installers and archives of a build whose names end so, by ending; those of one ending as they come.

    Endings are in lower case. What its developer says is something else, such as a portable program of kind `other`,
    is for nobody, whatever its name.
    """
    files = [file for file in each.files if file.kind in _KINDS_BY_FEEDS]
    return [file for end in endings for file in files if file.name.lower().endswith(end)]


def judge_files(files: Iterable[BuildFile], *, digest: str | None = None) -> Judgement:
    """Return the judgement about files that a feed lists, at least one: all must be whole.

    `digest`: the attribute of a further digest that the feed names, such as `sha512`.
    """
    files = tuple(files)
    if digest is not None and any(getattr(each, digest) is None for each in files):
        return Judgement(FeedStatus.DIGEST_PENDING)
    if any(each.quarantined for each in files):
        return Judgement(FeedStatus.DAMAGED)
    return Judgement(FeedStatus.LISTED, files)


def files_of(candidate: Candidate) -> Iterator[tuple[Build, BuildFile]]:
    """Give what a release lists, by architecture; equal bytes under an equal name once, at the first one."""
    given = set()
    for build, files, _ in candidate.builds:
        for each in files:
            same = name_key(each.name), each.digest
            if same not in given:
                given.add(same)
                yield build, each
