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

from typing import Final

from updater.catalog.model import Application
from updater.feeds import appcast, appimage, electron, scoop, squirrel, tauri, velopack, winget
from updater.feeds.model import Feed
from updater.offers.feed_choice import FeedBuild, status_of

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


def feed_statuses(application: Application, each: FeedBuild) -> dict[str, str]:
    """Return what each feed does with a build in any status; those its files have nothing to do with are absent."""
    found = ((feed.name, status_of(application, each, feed.judge)) for feed in FEEDS if feed.is_of(application))
    return {name: judgement.status.value for name, judgement in found if judgement is not None}
