"""What the services tell at `/metrics`, beside what the gate counts. Everything is in memory when it is read."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator

from updater.clock import utc_now
from updater.logs import count_dropped
from updater.services import Services
from updater.web.gate.metrics import Metrics

_ATTENTION_LABELS = ("kind", "severity", "application", "version", "subject")


def add_figures(metrics: Metrics, services: Services) -> None:
    """Add the figures of all services; they are read at each scrape."""
    _add_telemetry(metrics, services)
    _add_background(metrics, services)
    _add_releases(metrics, services)
    _add_storage(metrics, services)
    _add_attention(metrics, services)


def _add_telemetry(metrics: Metrics, services: Services) -> None:
    telemetry = services.telemetry
    metrics.add_gauge("updater_report_queue_depth", "Events waiting to be written", lambda: telemetry.queue_depth)
    metrics.add_gauge("updater_log_lines_dropped", "Log lines that nobody read in time", count_dropped)
    metrics.add_gauge("updater_reports_shortened", "Reports counted, not kept in full", lambda: telemetry.shortened)
    metrics.add_gauge("updater_download_counts_dropped", "Counts lost to a full queue", lambda: telemetry.dropped)


def _add_background(metrics: Metrics, services: Services) -> None:
    failures, delivery = services.jobs.failures, services.webhooks.delivery
    tries = "Tries to deliver events to receivers"
    metrics.add_counts("updater_webhook_deliveries", tries, "outcome", lambda: delivery.outcomes)
    metrics.add_gauge("updater_webhooks_parked", "Receivers that are parked", lambda: delivery.parked)
    retried = "Receivers that refused an event, which is tried again"
    metrics.add_gauge("updater_webhooks_retried", retried, lambda: delivery.retried)
    metrics.add_counts("updater_job_failures", "Failures of jobs in the background", "job", lambda: failures)
    for name in ("database", "storage", "background"):
        healthy = functools.partial(services.health.is_healthy, name)
        metrics.add_gauge(f"updater_{name}_healthy", f"1 while health finds nothing wrong: {name}", healthy)


def _add_releases(metrics: Metrics, services: Services) -> None:
    metrics.add_labelled(
        "updater_tuf_expires_in_seconds",
        "Seconds until the present TUF metadata of a role expires",
        ("application", "channel", "role"),
        lambda: (
            ((each.application_id, each.channel, each.role), (each.at - utc_now()).total_seconds())
            for each in services.tuf.expiries()
        ),
    )
    offers = services.offers
    metrics.add_labelled(
        "updater_rollout_percent",
        "Share of clients that a release under rollout is for, in percent",
        ("application", "version"),
        lambda: (((each.application_id, each.version), each.hundredths / 100) for each in offers.open_rollouts()),
    )
    metrics.add_labelled(
        "updater_rollout_halted",
        "1 while a release under rollout is halted on a platform",
        ("application", "version", "platform"),
        lambda: (
            ((each.application_id, each.version, arm.platform), float(arm.halt is not None))
            for each in offers.open_rollouts()
            for arm in each.platforms
        ),
    )


def _add_storage(metrics: Metrics, services: Services) -> None:
    artifacts = services.artifacts
    metrics.add_gauge("updater_damaged_blobs", "Damaged files in quarantine", lambda: artifacts.totals.damaged)
    metrics.add_gauge("updater_blobs", "Blobs in the store", lambda: artifacts.totals.blobs)
    metrics.add_gauge("updater_blob_bytes", "Bytes in the store", lambda: artifacts.totals.size_bytes)
    metrics.add_figure(
        "updater_disk_free_bytes",
        "Free bytes where files are stored, seconds old; none in an object store",
        lambda: None if artifacts.room is None else artifacts.room.free_bytes,
    )
    metrics.add_figure(
        "updater_disk_reserve_bytes",
        "How many of the free bytes are kept for the database",
        lambda: None if artifacts.room is None else artifacts.room.reserve_bytes,
    )


def _add_attention(metrics: Metrics, services: Services) -> None:
    attention, certificate = services.overview.attention, services.overview.certificate

    def count_items() -> Iterator[tuple[tuple[str, ...], float]]:
        seen = attention.find_seen()
        # The page is public where no proxy closes it: names of keys, and what else is for administrators, stay out.
        items = Counter(
            (
                each.kind.value,
                each.severity.word,
                each.application or "",
                each.version or "",
                "" if each.admin else each.subject or "",
            )
            for each in (() if seen is None else seen[1])
        )
        yield from items.items()

    def find_age_s() -> float | None:
        seen = attention.find_seen()
        return None if seen is None else seen[0]

    def find_certificate_s() -> float | None:
        return None if certificate.ends_at is None else (certificate.ends_at - utc_now()).total_seconds()

    text = "What needs attention, as on the overview; told by the process that looks each minute"
    metrics.add_labelled("updater_attention", text, _ATTENTION_LABELS, count_items)
    metrics.add_figure("updater_attention_age_seconds", "Seconds since something looked for it", find_age_s)
    text = "Seconds since the last good backup of this data folder, where backups are made"
    metrics.add_figure("updater_backup_age_seconds", text, attention.find_backup_age_s)
    text = "Seconds until the certificate of server.public_url expires, as seen within the last hour"
    metrics.add_figure("updater_certificate_expires_in_seconds", text, find_certificate_s)
