"""What Prometheus reads agrees with what was observed."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from updater.web.gate.metrics import Metrics


def test_requests_are_summed_by_route_method_and_status() -> None:
    metrics = Metrics()
    metrics.observe("/a", "GET", 200, 10, 0.0005)
    metrics.observe("/a", "GET", 200, 20, 0.001)
    metrics.observe("/a", "GET", 404, 5, 0.3)
    metrics.observe("/b", "POST", 200, 0, 100.0)
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }
    assert samples["updater_requests_total", "/a", "200", "GET"] == 2
    assert samples["updater_requests_total", "/a", "404", "GET"] == 1
    assert samples["updater_sent_bytes_total", "/a"] == 35
    seconds = "updater_request_duration_seconds"
    # A bucket holds what is at most its bound, and all smaller ones.
    assert samples[f"{seconds}_bucket", "/a", "0.001"] == 2
    assert samples[f"{seconds}_bucket", "/a", "0.5"] == 3
    assert samples[f"{seconds}_bucket", "/b", "60.0"] == 0
    assert samples[f"{seconds}_bucket", "+Inf", "/b"] == 1
    assert samples[f"{seconds}_count", "/a"] == 3
    assert abs(samples[f"{seconds}_sum", "/a"] - 0.3015) < 1e-9


def test_gauges_are_read_at_each_scrape() -> None:
    metrics, depth = Metrics(), [3]
    metrics.add_gauge("updater_depth", "Depth", lambda: depth[0])
    assert b"updater_depth 3.0" in metrics.render()
    depth[0] = 4
    assert b"updater_depth 4.0" in metrics.render()
