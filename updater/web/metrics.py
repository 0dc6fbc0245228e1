"""What Prometheus reads at `/metrics`."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_DURATION_BUCKETS_S = (0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0)


class Metrics:
    """All counters of one process. `gauges` are read at each scrape: name -> (help, reader)."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "updater_requests", "Requests answered", ("route", "method", "status"), registry=self.registry
        )
        self._durations = Histogram(
            "updater_request_duration_seconds",
            "Time from the request's head to the answer's last byte",
            ("route",),
            buckets=_DURATION_BUCKETS_S,
            registry=self.registry,
        )
        self._sent = Counter("updater_sent_bytes", "Body bytes sent", ("route",), registry=self.registry)
        self.received = Counter("updater_received_bytes", "Bytes of uploaded files received", registry=self.registry)
        self.limited = Counter("updater_rate_limited", "Requests refused by a rate limit", registry=self.registry)
        self._children: dict[tuple[str, str, int], tuple[Callable[..., None], ...]] = {}
        ProcessCollector(registry=self.registry)

    def observe(self, route: str, method: str, status: int, sent_bytes: int, duration_s: float) -> None:
        """Count one answered request. Looking up labels costs more than counting, so children are kept."""
        children = self._children.get((route, method, status))
        if children is None:
            children = (
                self._requests.labels(route, method, str(status)).inc,
                self._durations.labels(route).observe,
                self._sent.labels(route).inc,
            )
            self._children[route, method, status] = children
        count, observe, sent = children
        count()
        observe(duration_s)
        sent(sent_bytes)

    def add_gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Add a figure that is read at each scrape."""
        self.registry.register(_Gauge(name, text, read))

    def render(self) -> bytes:
        """Return everything in the text format of Prometheus."""
        return generate_latest(self.registry)


class _Gauge:
    def __init__(self, name: str, text: str, read: Callable[[], float]) -> None:
        self._name, self._text, self._read = name, text, read

    def collect(self) -> Iterable[Metric]:
        """Read the figure. Source: the custom collector interface of prometheus-client."""
        yield GaugeMetricFamily(self._name, self._text, value=self._read())
