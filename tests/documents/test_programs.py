"""The programs and pipelines of the documents, taken out of them and run where their runtime is here."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.client.folder import makers
from tests.documents.conftest import Site
from tests.documents.pages import ROOT, list_blocks, list_rows, name_of
from tests.documents.texts import is_text
from tests.processes.serving import call
from tests.servers.node import find_node
from updater_client import Target

pytestmark = pytest.mark.sqlite("the documents' machine has the embedded default")
DOCS = ROOT / "docs"
APP = "my-app"
CONTENT = makers.content("new version", 300_000)


def block_of(page: str, language: str, number: int = 0) -> str:
    return list_blocks(DOCS / page, language)[number].text


@pytest.fixture(scope="module", autouse=True)
def published(site: Site) -> None:
    """Publish 1.1.0 for this machine: what an installed 1.0.0 is offered."""
    site.open(APP)
    target = Target.this()
    path = f"/api/v1/updates/{APP}/builds/1.1.0/{target.platform}/{target.architecture}"
    status, said = call(site.url + path, "PUT", CONTENT, site.key)
    assert status == 201, said


def python(script: str, folder: Path) -> list[str]:
    (folder / "program.py").write_text(script)
    return [sys.executable, "-W", "error", "program.py"]


def javascript(script: str, folder: Path) -> list[str]:
    (folder / "program.mjs").write_text(script)
    return [find_node().program, "program.mjs"]


def csharp(script: str, folder: Path) -> list[str]:
    mcs, mono = shutil.which("mcs"), shutil.which("mono")
    if mcs is None or mono is None:
        pytest.skip("needs mcs and mono")
    (folder / "program.cs").write_text(script)
    libraries = ["-r:System.Net.Http", "-r:System.Runtime.Serialization"]
    made = subprocess.run([mcs, *libraries, "program.cs"], cwd=folder, capture_output=True, text=True)
    if "CS0234" in made.stdout + made.stderr:
        pytest.skip("needs libmono-system-net-http4.0-cil")
    assert made.returncode == 0, made.stdout + made.stderr
    return [mono, "program.exe"]


PROGRAMS = {
    "python, blocking": ("integrate/python.md", "python", 0, python, "update/new-version.bin"),
    "python, asynchronous": ("integrate/python.md", "python", 1, python, "new-version.bin"),
    "javascript": ("integrate/javascript.md", "js", 0, javascript, "update/new-version.bin"),
    "csharp": ("integrate/csharp.md", "csharp", 0, csharp, "update/new-version.bin"),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_updates_resumes_and_reports(site: Site, name: str, tmp_path: Path) -> None:
    """Control: the address of the check, or a name of a field, changed in a document turns it red."""
    page, language, number, prepare, placed = PROGRAMS[name]
    script = block_of(page, language, number)
    command = prepare(script.replace("https://updates.example.com", site.url), tmp_path)
    reports = count_reports(site)

    def run(said: str) -> None:
        ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert said in ran.stdout

    # An earlier download of it was cut; it goes on there.
    (tmp_path / placed).parent.mkdir(exist_ok=True)
    (tmp_path / f"{placed}.part").write_bytes(CONTENT[:100_000])
    run("1.1.0")
    assert (tmp_path / placed).read_bytes() == CONTENT
    assert count_reports(site) == reports + 1
    # Whoever has it is up to date.
    source = next(path for path in tmp_path.glob("program.*") if path.suffix in {".py", ".mjs", ".cs"})
    prepare(source.read_text().replace('"1.0.0"', '"1.1.0"').replace("'1.0.0'", "'1.1.0'"), tmp_path)
    run("up to date")


def count_reports(site: Site) -> int:
    status, body = call(f"{site.url}/api/v1/applications/{APP}/figures", key=site.key)
    assert status == 200
    figures: Any = yaml.safe_load(body)
    return int(figures["reports"]["completed"])


def list_steps(block: str) -> list[str]:
    """Return the commands of a pipeline that are ours, in the order of its jobs."""
    tree: dict[str, Any] = yaml.safe_load(block)
    jobs = tree["jobs"].values() if "jobs" in tree else [job for job in tree.values() if "script" in job]
    steps = [step.get("run", "") for job in jobs for step in job.get("steps", ())]
    steps += [step for job in jobs for step in job.get("script", ())]
    return [step for step in steps if step.startswith("updater ")]


@pytest.mark.parametrize(("number", "tag"), [(0, "GITHUB_REF_NAME"), (1, "CI_COMMIT_TAG")])
def test_a_pipeline_publishes(site: Site, number: int, tag: str, tmp_path: Path) -> None:
    """Control: a required target that nothing was built for turns it red."""
    steps = list_steps(block_of("publish.md", "yaml", number))
    assert len(steps) == 2
    application = f"pipeline-{number}"
    site.open(application)
    makers.electron(tmp_path / "dist")
    said = site.run("\n".join(steps).replace(APP, application), tmp_path, **{tag: "v1.2.0"})
    assert f"draft    {application} 1.2.0" in said
    assert f"published  {application} 1.2.0" in said


def test_the_pipelines_are_all_there() -> None:
    assert len(list_blocks(DOCS / "publish.md", "yaml")) == 2


def test_publishing_needs_nothing_of_unix() -> None:
    """The commands that pipelines use on Windows import no module that is not there."""
    script = (
        "import sys\n"
        "for name in ('fcntl', 'resource', 'pwd', 'grp', 'termios'): sys.modules[name] = None\n"
        "from updater.cli import main\n"
        "import updater.cli.publish, updater.cli.release, updater.cli.feeds, updater_client.folder.sending\n"
        "main(['publish', '--help'])\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")


PARSED: dict[str, Callable[[str], object]] = {"python": ast.parse, "yaml": yaml.safe_load}


@pytest.mark.parametrize("path", sorted(DOCS.rglob("*.md")), ids=name_of)
def test_other_blocks_can_be_read(path: Path) -> None:
    for block in list_blocks(path, *PARSED):
        PARSED[block.language](block.text)


def test_every_metric_is_explained(site: Site) -> None:
    """What a service shows is in the document, and nothing is there that the program does not know."""
    status, page = call(f"{site.url}/metrics", key=site.key)
    assert status == 200
    shown = {family.name for family in text_string_to_metric_families(page.decode())}
    shown = {name for name in shown if name.startswith("updater_") and not name.endswith("_created")}
    rows = [row for row in list_rows(DOCS / "metrics.md") if row[0].startswith("`updater_")]
    told = {name.removesuffix("_total") for row in rows for name in re.findall(r"`(updater_\w+)`", row[0])}
    assert shown <= told
    parts = {f"updater_{name}_healthy" for name in ("database", "storage", "background")}
    assert all(is_text(name) for name in told - parts)
