"""AppImages that update themselves by zsync: which control file is shown. PURE.

The control file is stored, and may have some megabytes, so that an answer says which one it is and how it is changed.
Source: the AppImage specification, "Update information", transport `zsync`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import orjson

from updater.catalog.files import name_key
from updater.catalog.model import BuildFile
from updater.catalog.platforms import Target
from updater.feeds.model import Feed, OneTarget, Page, Rendered, fitting_files, judge_files
from updater.offers.feed_choice import FeedBuild, FeedStatus, Judgement, Shape

MEDIA_TYPE: Final = "application/x-zsync"
ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64", "i686": "386", "armhf": "arm"}
"""The architectures in the words of AppImage, and in those of the catalog."""
MAX_ZSYNC_BYTES: Final = 64 << 20
"""An image of 2 GiB has a control file of 4 MiB; what is larger than this is none that anybody means."""
_ENDING: Final = ".appimage"


@dataclass(frozen=True, slots=True)
class ControlFile:
    """Which stored control file an answer is made of, by its digest, and the two lines that it gets."""

    digest: str
    size_bytes: int
    file_name: str
    url: str


@dataclass(frozen=True, slots=True)
class AppImageZsync(OneTarget):
    """The question of one architecture."""

    @property
    def shape(self) -> Shape:
        """Return the shape: the client compares bytes, and takes what is shown."""
        return Shape.SHOWN

    def judge(self, each: FeedBuild) -> Judgement | None:
        """Judge a build."""
        return judge(each)

    def render(self, page: Page) -> Rendered | None:
        """Return the recipe of the answer, which `read_recipe` reads."""
        shown = page.choice.shown
        if shown is None:
            return None
        listed = shown.builds[0]
        image, zsync = listed.files
        recipe = ControlFile(zsync.digest, zsync.size_bytes, image.name, page.file_url(listed.build, image))
        return Rendered(orjson.dumps(recipe), MEDIA_TYPE)


def read_word(word: str) -> AppImageZsync | None:
    """Return the question of a file's name without `.zsync`, such as `x86_64`; None for another word."""
    architecture = ARCHITECTURES.get(word)
    return None if architecture is None else AppImageZsync(Target("linux", architecture))


def read_recipe(body: bytes) -> ControlFile:
    """Return what `AppImageZsync.render` wrote."""
    return ControlFile(**orjson.loads(body))


def judge(each: FeedBuild) -> Judgement | None:
    """Return what the feed says of a build: its first image that has a control file, and that file behind it."""
    if each.build.target.platform != "linux":
        return None
    images = fitting_files(each, (_ENDING,))
    if not images:
        return None
    by_name = {name_key(file.name): file for file in each.files}
    pairs = [(image, by_name.get(name_key(f"{image.name}.zsync"))) for image in images]
    found = next(((image, zsync) for image, zsync in pairs if zsync is not None and _is_usable(zsync)), None)
    return Judgement(FeedStatus.MAKING_ZSYNC) if found is None else judge_files(found)


def _is_usable(zsync: BuildFile) -> bool:
    return zsync.size_bytes <= MAX_ZSYNC_BYTES


def _url(target: Target) -> str | None:
    word = next((word for word, architecture in ARCHITECTURES.items() if architecture == target.architecture), None)
    return None if target.platform != "linux" or word is None else f"appimage/{word}.zsync"


FEED: Final = Feed("appimage", judge, _url)
