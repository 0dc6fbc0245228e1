"""Alert rules and board: they parse, each alert fires on what it is for, every name is one of a real server.

Control: a misspelt metric or kind in either file turns the test of names red.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

from tests.conftest import StartService
from tests.monitoring.prometheus import FOLDER, exported, metrics_of, panels, promtool, queries, rules
from tests.servers.redis import Redis, redis_server  # noqa: F401 - a fixture
from updater.overview.model import Kind, Severity
from updater.web.gate.metrics import Metrics


def test_rules_and_the_example_configuration_are_well_formed() -> None:
    assert "SUCCESS" in promtool("check", "rules", "alerts.yaml")
    assert "SUCCESS" in promtool("check", "config", "prometheus.yaml")
    for rule in rules():
        assert rule["labels"]["severity"] in ("critical", "warning"), rule["alert"]
        assert set(rule["annotations"]) == {"summary", "remedy"}, rule["alert"]


def test_each_alert_fires_on_what_it_is_for_and_none_on_a_healthy_service() -> None:
    promtool("test", "rules", "alerts_test.yaml")
    healthy, *ill = yaml.safe_load((FOLDER / "alerts_test.yaml").read_text())["tests"]
    fired = {
        re.findall(r'alertname="(\w+)"', sample["labels"])[0]
        for case in ill
        for test in case["promql_expr_test"]
        for sample in test["exp_samples"]
    }
    assert fired == {rule["alert"] for rule in rules()}
    # The healthy service has all series that the rules read, so silence is no lack of data.
    series = {each["series"].partition("{")[0] for each in healthy["input_series"]}
    assert {name for rule in rules() for name in metrics_of(rule["expr"])} <= series


def test_metrics_are_found_in_expressions() -> None:
    text = 'sum without (worker) (rate(one_total{a="two",b=~"{x}"}[5m])) > 0.5 unless on (job) three or vector(0)'
    assert metrics_of(text) == {"one_total", "three"}


async def test_every_name_is_one_that_a_server_exports(
    start_service: StartService,
    redis_server: Redis,  # noqa: F811
) -> None:
    service = await start_service(rate_limit={"enabled": True, "storage_url": redis_server.url})
    _, page = await service.exchange("GET", "/metrics", status=200)
    assert promtool("check", "metrics", stdin=page) == "", "names as Prometheus wants them"
    several = Metrics()

    async def ask_all() -> dict[int, list[object]]:
        return {0: []}

    several.ask_all = ask_all  # type: ignore[assignment]
    names = exported(page.decode()) | exported((await several.render_all()).decode()) | {"up"}
    expressions = [*(rule["expr"] for rule in rules()), *queries()]
    assert {name for each in expressions for name in metrics_of(each)} - names == set()
    kinds = {kind for each in expressions for kind in re.findall(r'\bkind="([^"]+)"', each)}
    assert kinds <= {each.value for each in Kind}
    severities = {word for each in expressions for word in re.findall(r'\bseverity="([^"]+)"', each)}
    assert severities <= {each.word for each in Severity}


def test_the_board_is_one_that_grafana_reads(tmp_path: Path) -> None:
    board = json.loads((FOLDER / "grafana.json").read_text())
    assert {"title", "uid", "schemaVersion", "templating", "time", "panels"} <= set(board)
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, f"{panel['title']} lies over another panel"
        assert all(x < 24 for x, _ in cells), panel["title"]
        assert len({each["refId"] for each in panel["targets"]}) == len(panel["targets"])
        taken |= cells
    assert len({panel["id"] for panel in panels()}) == len(panels())
    records = [{"record": f"query:{number}", "expr": each} for number, each in enumerate(queries())]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "board", "rules": records}]}))
    assert f"{len(records)} rules found" in promtool("check", "rules", tmp_path / "rules.yaml")
