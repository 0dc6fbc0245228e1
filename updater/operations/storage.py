"""Operations on stored files and releases: verify, collect, retain, migrate."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import ExitStack
from pathlib import Path

from updater.artifacts.opening import open_blobs, require_usable
from updater.audit.model import Actor
from updater.catalog.retention import RetentionPolicy
from updater.errors import ConfigurationError, Invalid
from updater.operations.events import Event, describe_uses
from updater.services import Services


async def verify(services: Services, actor: Actor, *, sample: float = 1.0) -> AsyncGenerator[Event]:
    """Hash stored blobs again and quarantine those whose bytes are wrong or gone.

    `sample` is the share of blobs to check. The result holds the digests of the bad ones and `files`, which
    names the builds that have them.

    Raises:
        Invalid: `sample` is not above 0 and up to 1.
    """
    if not 0 < sample <= 1:
        raise Invalid({"sample": "expected a share above 0 and up to 1"})
    checked, bad = 0, []
    async for each in services.artifacts.verify(actor=actor, sample=sample):
        checked += 1
        if not each.good:
            bad.append(each.digest)
        yield {"done": each.done, "total": each.total}
    files = describe_uses(await services.artifacts.find_uses(bad))
    yield {"result": {"checked": checked, "bad": bad, **files}}


async def collect(
    services: Services, actor: Actor, *, grace_s: float | None = None, confirm_clock: bool = False
) -> AsyncGenerator[Event]:
    """Remove blobs that nothing uses and nothing used within `grace_s` seconds.

    `grace_s` None: the seconds of the settings. `confirm_clock` confirms the clock first. The result holds the digests
    of what was removed.

    Raises:
        Conflict: the clock is not believed.
    """
    await _require_clock(services, actor, confirm_clock)
    grace = services.settings.storage.collect_grace_s if grace_s is None else grace_s
    removed = []
    async for digest in services.artifacts.collect(actor=actor, grace_s=grace):
        removed.append(digest)
        yield {"done": len(removed)}
    yield {"result": {"removed": removed}}


async def retain(
    services: Services, actor: Actor, *, dry_run: bool = False, confirm_clock: bool = False
) -> AsyncGenerator[Event]:
    """Remove the releases that the settings do not keep, application by application.

    `confirm_clock` confirms the clock first. The result tells whether any rule is set, and names each application and
    version in the order of removal.

    Raises:
        Conflict: the clock is not believed, and it is no dry run.
    """
    if confirm_clock or not dry_run:
        await _require_clock(services, actor, confirm_clock)
    rules = services.settings.retention
    policy = RetentionPolicy(rules.keep_releases, rules.keep_days)
    removed = []
    ids = services.offers.application_ids()
    for number, application_id in enumerate(ids, 1):
        versions = await services.catalog.retire(
            application_id, policy, services.offers.still_offered, actor=actor, dry_run=dry_run
        )
        removed += [{"application": application_id, "version": version} for version in versions]
        yield {"done": number, "total": len(ids)}
    yield {"result": {"configured": bool(policy), "dry_run": dry_run, "removed": removed}}


async def _require_clock(services: Services, actor: Actor, confirm: bool) -> None:
    if confirm:
        await services.timekeeping.confirm(actor=actor)
    await services.timekeeping.require_believed()


async def migrate_blobs(services: Services, actor: Actor, *, source: str, target: str) -> AsyncGenerator[Event]:
    """Copy all stored files to another store, verified; what is there already is left alone.

    Each store is `local` or an object store's address. The result holds the digests of files that are damaged.

    Raises:
        Invalid: both stores are the same, or one of them cannot be used.
    """
    if source == target:
        raise Invalid({"target": "expected another store than the source"})
    root, shared = Path(services.settings.storage.root), services.settings.storage.group_reads
    copied, bad = 0, []
    with ExitStack() as stack:
        stores = []
        for name, where in (("source", source), ("target", target)):
            try:
                stores.append(stack.enter_context(open_blobs(where, root, group_reads=shared)))
                await require_usable(stores[-1], writes=name == "target")
            except ConfigurationError as error:
                raise Invalid({name: str(error)}) from None
        async for each in services.artifacts.migrate(*stores):
            copied += each.good
            if not each.good:
                bad.append(each.digest)
            yield {"done": each.done, "total": each.total}
    yield {"result": {"copied": copied, "bad": bad}}
