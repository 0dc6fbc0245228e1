"""What of the state of each part needs a person's attention, and in which words. PURE."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import updater.rollouts.evidence as evidence
from updater.access.keys import ApiKey
from updater.backups.record import BackupRecord
from updater.database.uses import FileUse
from updater.deployments.model import DeploymentStatus, Outcome
from updater.feeds.registry import FeedSeen
from updater.offers.feed_choice import FeedStatus
from updater.overview.model import Item, Kind, Severity
from updater.rollouts.describe import ABOVE_MAX_FAILURE_RATE, WORSE_THAN_CONTROL
from updater.rollouts.evidence import Arm, Series
from updater.rollouts.model import Rollout
from updater.rollouts.plan import HaltRules
from updater.tuf.store import Expiry
from updater.webhooks.model import Receiver

KEY_AHEAD = timedelta(days=14)
"""How long before it expires a key is told of, and how long after."""
CERTIFICATE_AHEAD = timedelta(days=14)
BACKUP_AGE = timedelta(days=7)
# Roles that machines sign anew are short-lived by intent; those that people sign need time.
_TUF_AHEAD = {"timestamp": timedelta(hours=6), "snapshot": timedelta(days=2), "targets": timedelta(days=2)}
_TUF_LONGEST_AHEAD = timedelta(days=14)
# Free space above the reserve that is little: as much as the reserve itself, and no less than this.
_LITTLE_BYTES = 256 << 20
_FILES_LISTED = 20
_RULES = HaltRules()
# Reasons of feeds that a publisher should do something about, and those that may be meant so. Others pass by
# themselves, are the publisher's own doing, or are told as what they are: halts, damaged files.
_WRONG = frozenset({FeedStatus.MISSING_SIGNATURE.value, FeedStatus.MISSING_ZIP.value, FeedStatus.NOT_SEMANTIC.value})
_MEANT = (FeedStatus.ABOVE_MAX_VERSION.value, "minimum_version ")


def halted(rollouts: Iterable[Rollout]) -> Iterator[Item]:
    """Yield an item for each halted platform."""
    for each in rollouts:
        for arm in each.platforms:
            if arm.halt is not None:
                words = f"The rollout of {each.version} is halted on {arm.platform}: {_halt(arm.halt.facts)}"
                yield Item(
                    Severity.PROBLEM,
                    Kind.ROLLOUT_HALTED,
                    words,
                    arm.platform,
                    each.application_id,
                    each.version,
                    arm.halt.at,
                )


def _halt(facts: Mapping[str, Any]) -> str:
    """Say why a platform was halted, with the numbers of that moment."""
    why = {WORSE_THAN_CONTROL: "worse than what others have", ABOVE_MAX_FAILURE_RATE: "worse than its plan allows"}
    numbers = facts.get("rollout", {})
    failed, completed = numbers.get("failed", 0), numbers.get("completed", 0)
    return f"{why.get(facts.get('reason', ''), 'too many failures')}, {failed} of {failed + completed} installs failed"


def failing(application_id: str, counts: Mapping[str, tuple[int, int]], offered: Iterable[str]) -> Iterator[Item]:
    """Yield an item for each offered version that fails far more often than all others together.

    The evidence is that of rollouts: against the rate that is expected from the others, with the default limit.

    Args:
        application_id: the application.
        counts: completed and failed installs of the last days by version, in this order.
        offered: the versions that clients are offered.
    """
    all_completed, all_failed = (sum(each[index] for each in counts.values()) for index in (0, 1))
    for version in sorted(set(offered) & set(counts)):
        completed, failed = counts[version]
        others = Arm(all_completed - completed, all_failed - failed)
        expected = evidence.baseline_rate(others, _RULES.max_failure_rate)
        if evidence.above_ceiling(Series(rollout=Arm(completed, failed)), expected) >= _RULES.limit:
            share = f"{100 * failed / (completed + failed):.3g} %"
            rest = f", of other versions {100 * others.failed / others.counted:.3g} %" if others.counted else ""
            words = f"{version} fails: {failed} of {completed + failed} installs of the last 7 days ({share}){rest}"
            yield Item(Severity.PROBLEM, Kind.RELEASE_FAILING, words, application=application_id, version=version)


def damaged(uses: Sequence[FileUse]) -> Iterator[Item]:
    """Yield an item for each file of damaged bytes; of very many, the first and how many more there are."""
    for use in uses[:_FILES_LISTED]:
        of = f" of {use.version} for {use.platform}/{use.architecture}" if use.version else ""
        words = f"The file {use.name}{of} is damaged and is not served; upload it again or restore it from a backup"
        version = use.version or None
        yield Item(Severity.PROBLEM, Kind.FILE_DAMAGED, words, use.name, use.application, version)
    more = len(uses) - _FILES_LISTED
    if more > 0:
        yield Item(Severity.PROBLEM, Kind.FILE_DAMAGED, f"{more} more files are damaged: run updater verify")


def passed_over(application_id: str, seen: Iterable[tuple[str, FeedSeen]]) -> Iterator[Item]:
    """Yield an item for each release that feeds pass over for one reason; of each feed, for the newest such release.

    A feed counts that shows an older release instead: somebody relies on it. Where no feed of a target shows anything,
    those that pass its newest release over are told as a note; else the target has the feeds that it needs.

    `seen` has the name of a channel, and a feed as its clients see it.
    """
    views = list(seen)
    served = {(channel, each.target) for channel, each in views if each.view.version is not None}
    found: dict[tuple[Severity, str, str], tuple[set[str], set[str], set[str]]] = {}
    for channel, each in views:
        if not each.view.passed_over or (each.view.version is None and (channel, each.target) in served):
            continue
        newest = each.view.passed_over[0]
        severity = _severity_of(newest.reason, shows=each.view.version is not None)
        if severity is not None:
            feeds, targets, channels = found.setdefault((severity, *newest), (set(), set(), set()))
            feeds.add(each.feed)
            targets.add(f"{each.target.platform}/{each.target.architecture}")
            channels.add(channel)
    for (severity, version, reason), (feeds, targets, channels) in found.items():
        names = ", ".join(sorted(feeds))
        who = f"The feed {names} passes" if len(feeds) == 1 else f"The feeds {names} pass"
        words = f"{who} over {version} for {', '.join(sorted(targets))} on {', '.join(sorted(channels))}: {reason}"
        yield Item(severity, Kind.FEED_PASSES_OVER, words, names, application_id, version)


def _severity_of(reason: str, *, shows: bool) -> Severity | None:
    if reason in _WRONG:
        return Severity.WARNING if shows else Severity.NOTE
    return Severity.NOTE if reason.startswith(_MEANT) and shows else None


def deployment(status: DeploymentStatus) -> Iterator[Item]:
    """Yield what is wrong with a deployment, and what waits for it."""
    run = status.last_run
    if run is not None and run.finished and run.outcome is not Outcome.SUCCEEDED:
        ended = {
            Outcome.BROKEN: "is broken: its last run failed, and so did the way back",
            Outcome.RESTORED: "could not be updated: its last run failed and was taken back",
        }.get(run.outcome, "could not be updated: its last run failed before anything was changed")
        step = f" in {run.failed_step}" if run.failed_step else ""
        severity = Severity.PROBLEM if run.outcome is Outcome.BROKEN else Severity.WARNING
        words = f"The deployment {status.deployment} {ended}{step}"
        yield Item(severity, Kind.DEPLOYMENT_BROKEN, words, status.deployment, at=run.finished_at)
    if status.updates_available:
        commits = f"{status.updates_available} commit{'s' if status.updates_available > 1 else ''}"
        words = f"The deployment {status.deployment} is {commits} behind {status.branch}"
        yield Item(Severity.NOTE, Kind.DEPLOYMENT_BEHIND, words, status.deployment)


def keys(found: Iterable[ApiKey], now: datetime) -> Iterator[Item]:
    """Yield the keys in use that expire soon, or expired lately. For administrators."""
    for each in found:
        if each.expires_at is None or each.revoked_at is not None or abs(each.expires_at - now) > KEY_AHEAD:
            continue
        over = each.expires_at <= now
        words = (
            f"The key {each.name} ({each.level.word}) {'expired' if over else 'expires'} {_when(each.expires_at, now)}"
        )
        severity, kind = (Severity.NOTE, Kind.KEY_EXPIRED) if over else (Severity.WARNING, Kind.KEY_EXPIRES)
        yield Item(severity, kind, words, each.name, each.application, at=each.expires_at, admin=True)


def metadata(expiries: Iterable[Expiry], now: datetime) -> Iterator[Item]:
    """Yield the TUF metadata that expires soon, or has expired: clients then take no update."""
    for each in expiries:
        if each.at - now > _TUF_AHEAD.get(each.role, _TUF_LONGEST_AHEAD):
            continue
        over = each.at <= now
        words = f"The TUF role {each.role} of {each.channel} {'expired' if over else 'expires'} {_when(each.at, now)}"
        words += "; clients take no update" if over else "; sign it anew"
        severity, kind = (Severity.PROBLEM, Kind.TUF_EXPIRED) if over else (Severity.WARNING, Kind.TUF_EXPIRES)
        yield Item(severity, kind, words, f"{each.channel}/{each.role}", each.application_id, at=each.at)


def certificate(host: str, ends_at: datetime | None, now: datetime) -> Iterator[Item]:
    """Yield the certificate of the public address when it ends soon, or has ended: clients then reach nothing."""
    if ends_at is None or ends_at - now > CERTIFICATE_AHEAD:
        return
    over = ends_at <= now
    words = f"The certificate of {host} {'expired' if over else 'expires'} {_when(ends_at, now)}"
    words += "; no client accepts it" if over else "; does its renewal run?"
    severity, kind = (
        (Severity.PROBLEM, Kind.CERTIFICATE_EXPIRED) if over else (Severity.WARNING, Kind.CERTIFICATE_EXPIRES)
    )
    yield Item(severity, kind, words, host, at=ends_at)


def backup(record: BackupRecord | None, now: datetime) -> Iterator[Item]:
    """Yield a backup that failed, and one that is old or was never made."""
    if record is not None and record.failed_at is not None:
        words = f"The last backup failed: {record.error}"
        yield Item(Severity.PROBLEM, Kind.BACKUP_FAILED, words, at=record.failed_at)
    made_at = None if record is None else record.made_at
    if made_at is None:
        yield Item(Severity.NOTE, Kind.BACKUP_OLD, "No backup was made yet: run updater backup")
    elif now - made_at > BACKUP_AGE:
        yield Item(Severity.WARNING, Kind.BACKUP_OLD, f"The last backup was made {_when(made_at, now)}", at=made_at)


def disk(free_bytes: int, reserve_bytes: int) -> Iterator[Item]:
    """Yield little room beside the reserve."""
    room = free_bytes - reserve_bytes
    if room < 0:
        words = "The disk is full up to the reserve: uploads and reports are refused"
        yield Item(Severity.PROBLEM, Kind.DISK_FULL, words)
    elif room < max(reserve_bytes, _LITTLE_BYTES):
        words = f"The disk is nearly full: {room / (1 << 20):,.0f} MiB are left for uploads and reports"
        yield Item(Severity.WARNING, Kind.DISK_FULL, words)


def parked(receivers: Iterable[Receiver]) -> Iterator[Item]:
    """Yield the receivers of events that are not tried any more. Of their addresses the host is told alone."""
    for each in receivers:
        if each.state == "parked":
            words = f"The webhook {each.name or each.id} is parked: {each.host} {each.last_error}"
            yield Item(Severity.WARNING, Kind.WEBHOOK_PARKED, words, each.id, each.application_id, admin=True)


def jobs(failing_jobs: Iterable[str]) -> Iterator[Item]:
    """Yield the background jobs that fail."""
    for each in failing_jobs:
        words = f"The background job {each} fails; the log says why"
        yield Item(Severity.WARNING, Kind.JOB_FAILS, words, each)


def _when(at: datetime, now: datetime) -> str:
    hours = round(abs(at - now).total_seconds() / 3_600)
    span = f"{hours} hour{'s' if hours != 1 else ''}" if hours < 48 else f"{round(hours / 24)} days"
    span = "less than an hour" if hours == 0 else span
    return f"{span} ago" if at <= now else f"in {span}"
