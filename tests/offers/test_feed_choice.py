"""Which release a feed shows, held to a naive decision over all builds that follows the contract's words.

Controls: `<=` for `<` in `takes_everybody`, the oldest left out for an unknown version, `settles` for every chance, the
pre-releases of the first channel for everybody, the minimum not looked at in `_is_new`: each is found.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain, combinations
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from updater.catalog.files import FileKind
from updater.catalog.model import CONFIG_DEFAULTS, Application, Build, BuildFile, Checksum, ReleaseStatus
from updater.catalog.platforms import Target
from updater.catalog.versions import Scheme, parse_version
from updater.offers.cohorts import cohort_of
from updater.offers.feed_choice import (
    Choice,
    FeedBuild,
    FeedClient,
    FeedSnapshot,
    FeedStatus,
    Judgement,
    Shape,
    chances_of,
    choose,
    find_candidates,
    status_of,
)
from updater.rollouts.dice import Dice
from updater.rollouts.model import RolloutState

LINUX = Target("linux", "amd64")
AT = datetime(2026, 1, 1, tzinfo=UTC)
VERSIONS = ["0.9.0", "1.0.0-rc.1", "1.0.0", "1.1.0-1", "1.1.0", "1.10.0", "2.0.0-beta", "2.0.0", "3.0.0"]
TEXTS = st.sampled_from(VERSIONS)
CLIENTS = ["a", "b", "c", "d", "203.0.113.9"]


def key(text: str) -> str:
    return parse_version(text).sort_key


@dataclass(frozen=True)
class Made:
    version: str
    position: int
    minimum: str | None
    required: bool
    status: FeedStatus | None
    # None: it is for everybody; else hundredths of a percent, and whether it is halted.
    rollout: tuple[int, bool] | None


def made(version: str, position: int, minimum: str | None, required: bool, status: Any, rollout: Any) -> Made:
    fits = minimum is not None and key(minimum) <= key(version)
    return Made(version, position, minimum if fits else None, required, status, rollout)


LISTED, PENDING = FeedStatus.LISTED, FeedStatus.DIGEST_PENDING
MADE = st.builds(
    made,
    TEXTS,
    st.sampled_from([0, 0, 1]),
    st.none() | TEXTS,
    st.sampled_from([False, False, True]),
    st.sampled_from([LISTED, LISTED, LISTED, LISTED, PENDING, None]),
    st.none() | st.tuples(st.sampled_from([0, 2_000, 5_000, 10_000]), st.sampled_from([False, False, False, True])),
)
CATALOGS = st.lists(MADE, max_size=8, unique_by=lambda each: each.version)
CONFIGS = st.fixed_dictionaries(
    {"max_version": st.just("") | TEXTS, "min_version": st.just("") | TEXTS, "required_update": st.booleans()}
)


def build(number: int, each: Made, target: Target = LINUX, scheme: Scheme = Scheme.SEMVER) -> Build:
    return Build(
        id=number,
        release_id=number,
        application_id="my-app",
        version=parse_version(each.version, scheme),
        target=target,
        file=None,
        url=None,
        checksum=Checksum("sha256", "ab" * 32),
        size_bytes=None,
        notes="",
        required=each.required,
        minimum=None if each.minimum is None else parse_version(each.minimum, scheme),
        metadata={},
        created_at=AT,
        status=ReleaseStatus.ACTIVE,
        complete=each.rollout is None,
        quarantined=False,
        channel="stable",
        channel_position=each.position,
    )


def application(config: dict[str, Any], scheme: Scheme = Scheme.SEMVER) -> Application:
    return Application("my-app", "", "", ("linux",), {**CONFIG_DEFAULTS, **config}, scheme, AT, AT)


def snapshot_of(catalog: list[Made], config: dict[str, Any]) -> tuple[FeedSnapshot, Any]:
    """Return the snapshot of a catalog, and its judge."""
    newest_first = sorted(catalog, key=lambda each: key(each.version), reverse=True)
    builds = tuple(FeedBuild(build(VERSIONS.index(each.version), each), ()) for each in newest_first)
    by_version = {each.version: each for each in catalog}
    rollouts: dict[int, Any] = {
        VERSIONS.index(each.version): SimpleNamespace(
            salt=each.version,
            hundredths=each.rollout[0],
            state=RolloutState.ACTIVE,
            halted=("linux",) if each.rollout[1] else (),
        )
        for each in catalog
        if each.rollout is not None
    }

    def judge(each: FeedBuild) -> Judgement | None:
        status = by_version[each.build.version.text].status
        return None if status is None else Judgement(status)

    lowest = min((key(each.version) for each in catalog), default=None)
    lowest_keys = {} if lowest is None else {LINUX: lowest}
    return FeedSnapshot(application(config), {LINUX: builds} if builds else {}, rollouts, lowest_keys), judge


def naive(
    catalog: list[Made], config: dict[str, Any], client: FeedClient, visible: set[str]
) -> tuple[str | None, str | None, bool, list[str]]:
    """Return what is new, what is shown, whether it is required, and what is listed, by the words of the contract."""
    ceiling, floor = config["max_version"], config["min_version"]
    candidates = [
        each
        for each in catalog
        if each.status is LISTED
        and each.position <= client.channel
        and ("-" not in each.version or client.channel or client.allow_prerelease)
        and (not ceiling or key(each.version) <= key(ceiling))
        and (each.rollout is None or each.version in visible)
    ]
    candidates.sort(key=lambda each: key(each.version), reverse=True)
    if client.current is None:
        free = [
            each
            for each in candidates
            if each.minimum is None or not any(key(other.version) < key(each.minimum) for other in catalog)
        ]
        shown = free[0] if free else (candidates[-1] if candidates else None)
        required = shown is not None and (shown.required or config["required_update"])
        new = None
    else:
        current = client.current.sort_key
        above = [each for each in candidates if key(each.version) > current]
        met = [each for each in above if each.minimum is None or key(each.minimum) <= current]
        rest = [each for each in candidates if key(each.version) <= current]
        new = met[0] if met else None
        shown = new or (rest[0] if rest else None)
        skipped = shown is not None and any(each.required for each in above if key(each.version) <= key(shown.version))
        below_floor = bool(floor) and key(floor) > current
        required = shown is not None and (skipped or config["required_update"] or below_floor)
    listed = [] if shown is None else candidates[candidates.index(shown) :]
    return (
        None if new is None else new.version,
        None if shown is None else shown.version,
        required,
        [each.version for each in listed],
    )


def told(choice: Choice) -> tuple[str | None, str | None, bool, list[str]]:
    return (
        None if choice.new is None else choice.new.version.text,
        None if choice.shown is None else choice.shown.version.text,
        choice.required,
        [each.version.text for each in choice.listed],
    )


def of_shape(shape: Shape, answer: tuple[str | None, str | None, bool, list[str]]) -> Any:
    """Return what an answer of a shape holds."""
    new, shown, required, _ = answer
    if shape is Shape.NEW:
        return new, required if new else None
    return (new, shown, required) if shape is Shape.SHOWN else answer


# A release that is only listed, below one that some see, and to which the client could not move.
@example(
    catalog=[
        Made("1.0.0", 0, None, False, LISTED, None),
        Made("1.10.0", 0, "1.1.0", False, LISTED, (5_000, False)),
        Made("2.0.0", 0, None, False, LISTED, (5_000, False)),
    ],
    config={"max_version": "", "min_version": "", "required_update": False},
    current="1.0.0",
    channel=0,
    allow_prerelease=False,
    shape=Shape.LIST,
    manual=False,
)
@settings(max_examples=400)
@given(
    catalog=CATALOGS,
    config=CONFIGS,
    current=st.none() | TEXTS | st.sampled_from(["0.1.0", "1.5.0", "9.0.0"]),
    channel=st.integers(0, 1),
    allow_prerelease=st.booleans(),
    shape=st.sampled_from(list(Shape)),
    manual=st.booleans(),
)
def test_the_choice_is_that_of_a_naive_look_at_all_builds(
    catalog: list[Made],
    config: dict[str, Any],
    current: str | None,
    channel: int,
    allow_prerelease: bool,
    shape: Shape,
    manual: bool,
) -> None:
    if shape is Shape.NEW and current is None:
        current = "0.1.0"
    client = FeedClient(None if current is None else parse_version(current), channel, allow_prerelease)
    snapshot, judge = snapshot_of(catalog, config)
    found = find_candidates(snapshot, [LINUX], judge, client)
    chances = chances_of(found, client, shape)
    opened = [each for each in catalog if each.rollout and each.rollout[0] and not each.rollout[1]]
    for identity in CLIENTS:
        visible = {
            each.version
            for each in opened
            if each.rollout and (manual or Dice.of(each.version, each.rollout[0]).take(identity.encode()))
        }
        cohort = cohort_of(chances, identity, manual=manual)
        chosen = of_shape(shape, told(choose(found, client, cohort)))
        assert chosen == of_shape(shape, naive(catalog, config, client, visible))
    if not chances:  # nobody's dice may change anything
        answers = {
            str(of_shape(shape, naive(catalog, config, client, set(some))))
            for some in chain.from_iterable(
                combinations([each.version for each in opened], size) for size in range(len(opened) + 1)
            )
        }
        assert len(answers) <= 1


@given(catalog=CATALOGS, current=st.none() | TEXTS, shape=st.sampled_from([Shape.SHOWN, Shape.LIST]))
def test_nobody_outside_a_rollout_finds_an_empty_feed(catalog: list[Made], current: str | None, shape: Shape) -> None:
    """What is there without the rollout is there for those outside it."""
    client = FeedClient(None if current is None else parse_version(current))
    snapshot, judge = snapshot_of(catalog, {})
    complete, _ = snapshot_of([each for each in catalog if each.rollout is None], {})
    complete = replace(complete, lowest_keys=snapshot.lowest_keys)
    without = choose(find_candidates(complete, [LINUX], judge, client), client)
    assert told(choose(find_candidates(snapshot, [LINUX], judge, client), client)) == told(without)


def test_statuses_come_in_their_order() -> None:
    app = application({"max_version": "1.0.0"}, Scheme.PEP440)
    each = Made("2.0.0", 0, None, False, LISTED, None)
    odd = Made("2.0", 0, None, False, LISTED, None)

    def status(of: Made, judged: FeedStatus | None, release: ReleaseStatus = ReleaseStatus.ACTIVE) -> str | None:
        made_build = replace(build(1, of, scheme=Scheme.PEP440), status=release)
        found = status_of(app, FeedBuild(made_build, ()), lambda _: None if judged is None else Judgement(judged))
        return None if found is None else found.status.value

    assert status(each, None, ReleaseStatus.DRAFT) is None
    assert status(each, FeedStatus.DAMAGED, ReleaseStatus.DRAFT) == "draft"
    assert status(each, FeedStatus.DAMAGED, ReleaseStatus.WITHDRAWN) == "withdrawn"
    assert status(odd, FeedStatus.DAMAGED) == "damaged"
    assert status(odd, LISTED) == "version is not semantic"
    assert status(each, LISTED) == "above max_version"
    assert status(replace(each, version="1.0.0"), LISTED) == "listed"


@pytest.mark.parametrize(("minimums", "shown"), [((None, None), "2.0.0"), ((None, "1.5.0"), "1.0.0")])
def test_architectures_of_one_feed_count_as_one(minimums: tuple[str | None, str | None], shown: str) -> None:
    """Nobody is led across the gap of another architecture."""
    builds: dict[Target, list[FeedBuild]] = {}
    for architecture, minimum in zip(("amd64", "arm64"), minimums, strict=True):
        target = Target("windows", architecture)
        for number, version in enumerate(("2.0.0", "1.0.0")):
            each = Made(version, 0, minimum if version == "2.0.0" else None, False, LISTED, None)
            builds.setdefault(target, []).append(FeedBuild(build(number, each, target), (a_file(architecture),)))
    lowest = {target: key("1.0.0") for target in builds}
    snapshot = FeedSnapshot(application({}), {each: tuple(listed) for each, listed in builds.items()}, {}, lowest)
    found = find_candidates(snapshot, reversed(list(builds)), lambda each: Judgement(LISTED, each.files), FeedClient())
    choice = choose(found, FeedClient())
    assert choice.shown is not None and choice.shown.version.text == shown
    assert [each.files[0].name for each in choice.shown.builds] == ["amd64", "arm64"]


def a_file(name: str) -> BuildFile:
    return BuildFile(
        id=1,
        name=name,
        kind=FileKind.OTHER,
        primary=True,
        digest="ab" * 32,
        size_bytes=1,
        sha512=None,
        sha1=None,
        signatures={},
        delta_from=None,
        made_by="developer",
        created_at=AT,
        quarantined=False,
        facts={},
    )
