"""Debian's promtool and prometheus: expressions checked, and a server that scrapes for a moment."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.ports import free_port

FOLDER = Path(__file__).parent.parent.parent / "scripts" / "monitoring"
_WORDS = {"by", "without", "on", "ignoring", "group_left", "group_right", "or", "and", "unless", "bool", "offset"}


def promtool(*words: object, stdin: bytes = b"") -> str:
    """Run promtool in the folder of the rules; return what it said, and fail with it."""
    if shutil.which("promtool") is None:
        pytest.skip("promtool (Debian: prometheus) is not installed")
    done = subprocess.run(["promtool", *map(str, words)], cwd=FOLDER, input=stdin, capture_output=True, check=False)
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, said
    return said


def rules() -> list[dict[str, Any]]:
    """Return all rules of alerts.yaml."""
    tree = yaml.safe_load((FOLDER / "alerts.yaml").read_text())
    return [rule for group in tree["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    """Return all panels of the board."""
    return list(json.loads((FOLDER / "grafana.json").read_text())["panels"])


def queries(rate_interval: str = "1m") -> list[str]:
    """Return every expression of the board, with Grafana's variables replaced as Grafana does."""
    found = [target["expr"] for panel in panels() for target in panel["targets"]]
    return [each.replace("$__rate_interval", rate_interval).replace("$instance", ".*") for each in found]


def metrics_of(expression: str) -> set[str]:
    """Return the names of the metrics in an expression: what is left without labels, ranges, functions and words."""
    bare = re.sub(r'"[^"]*"', "", expression)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", bare)
    bare = re.sub(r"\b(by|without|on|ignoring)\s*\([^)]*\)", " ", bare)
    return set(re.findall(r"\b[a-zA-Z_:][\w:]*\b(?!\s*\()", bare)) - _WORDS


def exported(page: str) -> set[str]:
    """Return the names that the samples of a page in the text format have, also of those that have none now."""
    names = set()
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", page, re.MULTILINE):
        names |= {f"{name}_{end}" for end in ("bucket", "sum", "count")} if kind == "histogram" else {name}
    return names


class Prometheus:
    """A server that scrapes; `ask` evaluates an expression."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/api/v1"

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self._url}/{path}", timeout=10) as answer:
            return json.load(answer)["data"]

    def ask(self, expression: str) -> list[Any]:
        return list(self.get("query?" + urllib.parse.urlencode({"query": expression}))["result"])

    def rules(self) -> list[Any]:
        return [rule for group in self.get("rules")["groups"] for rule in group["rules"]]


@contextmanager
def scraping(folder: Path, targets: Iterable[str], *, every: str = "1s") -> Iterator[Prometheus]:
    """Run a Prometheus with the example configuration, on other targets and quicker, for the block."""
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed")
    port, tree = free_port(), yaml.safe_load((FOLDER / "prometheus.yaml").read_text())
    tree["global"] = dict.fromkeys(tree["global"], every)
    tree["rule_files"] = [str(FOLDER / each) for each in tree["rule_files"]]
    tree["scrape_configs"][0]["static_configs"] = [{"targets": list(targets)}]
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(tree))
    command = ["prometheus", f"--config.file={folder}/prometheus.yaml", f"--storage.tsdb.path={folder}/data"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        server, until_s = Prometheus(port), time.monotonic() + 30
        while True:
            try:
                server.ask("vector(1)")
                break
            except OSError:
                assert time.monotonic() < until_s, "prometheus did not start"
                time.sleep(0.05)
        yield server
    finally:
        process.terminate()
        process.wait(30)
