"""What the server says of rollouts, releases and changes, in plain words and lines of 80 columns at most."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from updater.rollouts.words import Verbs, as_percent, counted, halt_in_words, held_back, hold_in_words, plan_in_words
from updater.times import in_minutes

Json = Mapping[str, Any]
Rows = list[tuple[str, Any]]

_VERBS = Verbs("`updater rollout resume`", "`updater rollout resume --accept`", "`updater rollout complete`")
_WIDTH = 66  # beside the names in front, within 80


def wrapped(text: str, width: int = _WIDTH) -> str:
    """Break a text into lines that have room beside a name."""
    return "\n".join(textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False))


def rollout_rows(rollout: Json) -> Rows:
    """Return a rollout as rows: where it stands, what comes next, and what is halted."""
    stage = rollout["stage"]
    rows: Rows = [
        ("rollout", f"{rollout['application_id']} {rollout['version']} on {rollout['channel']}"),
        ("state", f"{rollout['state']}, at {as_percent(rollout['percent'])} of the clients"),
        ("plan", wrapped(plan_in_words(rollout["plan"]) or "")),
    ]
    if stage is not None:
        since = f"{stage['number']} of {stage['of']}, since {in_minutes(stage['started_at'])}"
        rows.append(("stage", f"{since}, {counted(stage['reports'], 'report')}"))
    rows.append(("next", wrapped(hold_in_words(rollout, _VERBS))))
    rows += [
        ("halted", wrapped(halt_in_words(each["platform"], each["halt"], rollout)))
        for each in rollout["platforms"]
        if each["halt"]
    ]
    return rows + [("near", wrapped(text)) for each in rollout["platforms"] if (text := held_back(each, rollout))]


def release_rows(release: Json) -> Rows:
    """Return a release as rows."""
    rollout = release["rollout"]
    share = "everybody" if rollout is None else f"{as_percent(rollout['percent'])} of the clients"
    stands = None if rollout is None else f"{rollout['state']}: {hold_in_words(rollout, _VERBS)}"
    if release["status"] != "active":
        share, stands = "nobody", None if rollout is None else f"{rollout['state']}, stands still until it is restored"
    return [
        ("channel", release["channel"]),
        ("status", release["status"]),
        ("offered to", share),
        ("rollout", None if stands is None else wrapped(stands)),
        ("builds", wrapped(", ".join(f"{each['platform']}/{each['architecture']}" for each in release["builds"]))),
    ]


def feed_rows(feeds: Mapping[str, Json]) -> Rows:
    """Return what feeds say of the builds of a release, a row for each feed and state; `feeds` is by target."""
    found: dict[tuple[str, str], list[str]] = {}
    for target, each in sorted(feeds.items()):
        for feed, state in each.items():
            found.setdefault((feed, state), []).append(target)
    return [(feed, wrapped(f"{state}: {', '.join(targets)}")) for (feed, state), targets in sorted(found.items())]
