"""The feeds, and what each says of a build. PURE.

How a feed is added:

1. `updater/feeds/{name}.py`, PURE: a `judge(FeedBuild) -> Judgement | None` that looks at the files of a build alone
   (status, version and `max_version` are judged for it), one frozen dataclass a kind of address that follows
   `model.Question`, and `FEED = Feed(name, judge, url)`, which is listed here. `electron.py` is the example.
2. `updater/web/feeds/{name}.py`: a handler reads the address into a question, and `answering.FeedDoor.answer` does the
   rest: channel, version, identity, rollouts, cache, entity tag, figures. A question that its words do not allow is
   `NotFound("feed", ...)`.

What a question gets: `service.FeedService` finds the candidates of each of its `groups` (targets of one platform that
count as one), chooses with `offers.feed_choice.choose` and calls `render(page)`. `page.choice.new` is what the client
should move to (only where its version is known), `page.choice.shown` what it is shown, `page.choice.listed` that and
what is below it, `page.choice.way` the candidates above its version up to `shown`, `page.choice.required`. A candidate
has `builds` by architecture, each with the `files` that its judge named, in the judge's order, and `all_files`.
`render` returns `Rendered(body, media_type)`, `NOTHING_NEW` (204), or None: nothing to show, which is 404. It is not
called where there is nothing but for a digest that is being worked out: that is 503. Answers are kept by question,
channel, place of the client's version among the releases, origin and cohort. So `render` may depend on
`page.client.current` only by comparing it with versions and minimums of releases.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from updater.catalog.model import Application
from updater.catalog.platforms import ARCHITECTURES, PLATFORMS, Target
from updater.feeds import appcast, appimage, electron, scoop, squirrel, tauri, velopack, winget
from updater.feeds.model import Feed
from updater.offers.feed_choice import FeedBuild, FeedSnapshot, status_of
from updater.offers.feed_explain import FeedView, view_feed

FEEDS: Final[tuple[Feed, ...]] = (
    electron.FEED,
    squirrel.FEED,
    velopack.FEED,
    tauri.FEED,
    appcast.FEED,
    appimage.FEED,
    scoop.FEED,
    winget.FEED,
)


class FeedSeen(NamedTuple):
    """A feed as clients of a target see it; `url` is what their configuration holds, behind the channel."""

    feed: str
    target: Target
    url: str
    view: FeedView


def view_feeds(snapshot: FeedSnapshot, channel: int) -> list[FeedSeen]:
    """Return what each feed shows for each target that it has builds of, to clients of a channel by its position.

    `snapshot` has builds in any status.
    """
    seen = []
    for feed in FEEDS:
        for target in sorted(snapshot.builds, key=_place) if feed.is_of(snapshot.application) else ():
            url = feed.url(target)
            view = view_feed(snapshot, target, feed.beside(target), feed.judge, channel)
            if url is not None and view is not None:
                seen.append(FeedSeen(feed.name, target, url.replace("{app_id}", snapshot.application.id), view))
    return seen


def _place(target: Target) -> tuple[int, int]:
    return PLATFORMS.index(target.platform), ARCHITECTURES.index(target.architecture)


def feed_statuses(application: Application, each: FeedBuild) -> dict[str, str]:
    """Return what each feed does with a build in any status; those its files have nothing to do with are absent."""
    found = ((feed.name, status_of(application, each, feed.judge)) for feed in FEEDS if feed.is_of(application))
    return {name: judgement.status.value for name, judgement in found if judgement is not None}
