"""What Prometheus reads at `/metrics`."""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from updater.web.messages.client_fields import MENDED

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_DURATION_BUCKETS_S = (0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0)


class Family(NamedTuple):
    """What was counted under one name, as plain values. `samples` are name, labels and value."""

    name: str
    text: str
    kind: str
    samples: Sequence[tuple[str, dict[str, str], float]]


class Metrics:
    """All counters of one process. `gauges` are read at each scrape: name -> (help, reader).

    `ask_all` gives those of all workers by their number, where there are several.
    """

    def __init__(self) -> None:
        self.ask_all: Callable[[], Awaitable[Mapping[int, list[Family]]]] | None = None
        self.registry = CollectorRegistry()
        self._requests = _Requests()
        self.registry.register(self._requests)
        self.registry.register(_Mended())
        self.received = Counter("updater_received_bytes", "Bytes of uploaded files received", registry=self.registry)
        self.limited = Counter("updater_rate_limited", "Requests refused by a rate limit", registry=self.registry)
        refused = "Connections refused: too many of one address, or in all"
        self.refused = Counter("updater_refused_connections", refused, ("bound",), registry=self.registry)
        recycled = "Idle connections closed to make room for new ones"
        self.recycled = Counter("updater_recycled_connections", recycled, registry=self.registry)
        self.observe = self._requests.observe
        ProcessCollector(registry=self.registry)

    def add_gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Add a figure that `read` returns at each scrape.

        Raises:
            ValueError: there is a figure of this name.
        """
        Gauge(name, text, registry=self.registry).set_function(read)

    def add_figure(self, name: str, text: str, read: Callable[[], float | None]) -> None:
        """Add a figure that is left out while `read` returns None."""

        def samples() -> Iterable[tuple[tuple[str, ...], float]]:
            value = read()
            return () if value is None else (((), value),)

        self.add_labelled(name, text, (), samples)

    def add_labelled(
        self, name: str, text: str, labels: Sequence[str], read: Callable[[], Iterable[tuple[tuple[str, ...], float]]]
    ) -> None:
        """Add a figure with labels; `read` gives their values and the figure of each, at each scrape."""
        self.registry.register(_Labelled(name, text, labels, read))

    def add_counts(self, name: str, text: str, label: str, read: Callable[[], Mapping[str, int]]) -> None:
        """Add counts that `read` returns at each scrape, one for each value of the label.

        Raises:
            ValueError: there is a figure of this name.
        """
        self.registry.register(_Counts(name, text, label, read))

    def render(self) -> bytes:
        """Return everything of this process in the text format of Prometheus."""
        return generate_latest(self.registry)

    async def render_all(self) -> bytes:
        """Return everything of all workers, in the order of their numbers.

        Workers that do not answer within a second are left out; `updater_workers` tells how many did.
        """
        if self.ask_all is None:
            return self.render()
        # It only collects, so anything with a `collect` is a registry to it.
        return generate_latest(_Merged(await self.ask_all()))

    def families(self) -> list[Family]:
        """Return everything as plain values, in the order in which it was registered."""
        return [
            Family(each.name, each.documentation, each.type, [sample[:3] for sample in each.samples])
            for each in self.registry.collect()
        ]


class _Labelled:
    """A figure whose labels come and go."""

    def __init__(
        self, name: str, text: str, labels: Sequence[str], read: Callable[[], Iterable[tuple[tuple[str, ...], float]]]
    ) -> None:
        self._name, self._text, self._labels, self._read = name, text, labels, read

    def collect(self) -> Iterable[Metric]:
        """Yield the figure with its present labels."""
        family = GaugeMetricFamily(self._name, self._text, labels=self._labels)
        for values, amount in self._read():
            family.add_metric(values, amount)
        yield family


class _Counts:
    """Counts that somebody else keeps, by the values of one label."""

    def __init__(self, name: str, text: str, label: str, read: Callable[[], Mapping[str, int]]) -> None:
        self._about = (name, text, label)
        self._read = read

    def collect(self) -> Iterable[Metric]:
        """Return them in the order of the values. Source: the custom collector interface of prometheus-client."""
        name, text, label = self._about
        counts = CounterMetricFamily(name, text, labels=(label,))
        for value, amount in sorted(self._read().items()):
            counts.add_metric((value,), amount)
        return (counts,)


class _Merged:
    """The figures of several workers, each with its number."""

    def __init__(self, by_worker: Mapping[int, list[Family]]) -> None:
        self._by_worker = by_worker

    def collect(self) -> Iterable[Metric]:
        """Return each name once, with the samples of all workers, labelled with the worker's number.

        Source: the custom collector interface of prometheus-client.
        """
        merged: dict[str, Metric] = {}
        for number, families in sorted(self._by_worker.items()):
            for family in families:
                metric = merged.setdefault(family.name, Metric(family.name, family.text, family.kind))
                for name, labels, value in family.samples:
                    metric.add_sample(name, {"worker": str(number), **labels}, value)
        workers = GaugeMetricFamily("updater_workers", "Workers whose figures these are", value=len(self._by_worker))
        return (workers, *merged.values())


class _Mended:
    """What installed clients sent and was mended."""

    def collect(self) -> Iterable[Metric]:
        """Return the counter. Source: the custom collector interface of prometheus-client."""
        text = "Values from installed clients that were cut, cleaned or coerced to what they mean"
        mended = CounterMetricFamily("updater_client_input_mended", text, labels=("what",))
        for what, amount in sorted(MENDED.items()):
            mended.add_metric((what,), amount)
        return (mended,)


class _Tally:
    """What was counted for one route, method and status. `buckets` are not cumulative; the last one is +Inf."""

    __slots__ = ("buckets", "seconds", "sent_bytes")

    def __init__(self) -> None:
        self.buckets = [0] * (len(_DURATION_BUCKETS_S) + 1)
        self.seconds = 0.0
        self.sent_bytes = 0


class _Requests:
    """Counts answered requests in plain numbers, which become metrics at each scrape.

    prometheus-client's own Counter and Histogram take five locks for a request, with their children looked up once:
    at least 5 % of the processor time of an update check (see ARCHITECTURE.md). One thread counts here.
    """

    def __init__(self) -> None:
        self._tallies: dict[tuple[str, str, int], _Tally] = {}

    def observe(self, route: str, method: str, status: int, sent_bytes: int, duration_s: float) -> None:
        """Count one answered request: the bytes of its body, and the seconds from its head to the last byte."""
        tally = self._tallies.get((route, method, status))
        if tally is None:
            tally = self._tallies[route, method, status] = _Tally()
        tally.buckets[bisect_left(_DURATION_BUCKETS_S, duration_s)] += 1
        tally.seconds += duration_s
        tally.sent_bytes += sent_bytes

    def collect(self) -> Iterable[Metric]:
        """Sum up. Source: the custom collector interface of prometheus-client."""
        requests = CounterMetricFamily("updater_requests", "Requests answered", labels=("route", "method", "status"))
        by_route: dict[str, _Tally] = {}
        for (route, method, status), tally in self._tallies.items():
            requests.add_metric((route, method, str(status)), sum(tally.buckets))
            total = by_route.setdefault(route, _Tally())
            total.buckets = [ours + more for ours, more in zip(total.buckets, tally.buckets, strict=True)]
            total.seconds += tally.seconds
            total.sent_bytes += tally.sent_bytes
        durations = HistogramMetricFamily(
            "updater_request_duration_seconds",
            "Time from the request's head to the answer's last byte",
            labels=("route",),
        )
        sent = CounterMetricFamily("updater_sent_bytes", "Body bytes sent", labels=("route",))
        for route, total in by_route.items():
            durations.add_metric((route,), _cumulated(total.buckets), total.seconds)
            sent.add_metric((route,), total.sent_bytes)
        return requests, durations, sent


def _cumulated(buckets: Sequence[int]) -> list[tuple[str, float]]:
    bounds = (*(str(bound) for bound in _DURATION_BUCKETS_S), "+Inf")
    return list(zip(bounds, itertools.accumulate(buckets), strict=True))


METRICS = web.AppKey("metrics", Metrics)
