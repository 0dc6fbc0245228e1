"""The rules of the house: imports point down, and each kind of code has its rooms."""

from __future__ import annotations

import ast
import functools
import importlib
import re
from pathlib import Path

import pytest

import updater
import updater_client

ROOT = Path(updater.__file__).parent
# From the top floor to the ground. Rooms of one floor may know each other only as CORRIDORS says.
FLOORS = (
    ("__main__",),
    ("cli",),
    ("serving",),
    ("app",),
    ("composition",),
    ("web", "background"),
    ("operations", "doctor"),
    ("services", "advice"),
    ("overview",),
    ("feeds",),
    ("offers",),
    ("rollouts", "tuf", "webhooks"),
    ("catalog", "access", "deployments", "backups", "health", "processes"),
    ("telemetry", "artifacts", "audit", "tasks", "timekeeping"),
    ("database",),
    ("config",),
    ("settings", "clock", "errors", "times", "logs", "permissions"),
)
CORRIDORS = {
    ("health", "processes"),
    ("artifacts", "audit"),
    ("tasks", "audit"),
    ("timekeeping", "audit"),
    ("permissions", "logs"),
}
# The wings of the web, from the top. A surface knows the wings below it and no other surface.
WINGS = (
    ("api", "tus", "feeds", "desktop", "updates", "system", "dashboard"),
    ("server",),
    ("transfer",),
    ("gate",),
    ("messages",),
)
# The surface that describes all others.
DESCRIBES = "docs"
# The client stands beside the house: an application imports it alone, and of the house the commands alone import it.
APART = "updater_client"
CLIENT = Path(updater_client.__file__).parent
# What the client decides, and the server asks it for: pure modules, and the values that they take and give.
LENT = {
    "updater_client.checksums",
    "updater_client.folder.given",
    "updater_client.folder.model",
    "updater_client.folder.versions",
    "updater_client.model",
}
BORROWS = ("web.api.plans", "web.api.plan_schemas")


@functools.cache
def modules() -> tuple[tuple[str, Path], ...]:
    """Return the modules of the house by their names in `updater`, and those of the client by their whole names."""
    found = []
    for root, above in ((ROOT, ROOT), (CLIENT, CLIENT.parent)):
        for path in sorted(root.rglob("*.py")):
            if "migrations" not in path.parts:
                parts = path.relative_to(above).with_suffix("").parts
                found.append((".".join(parts).removesuffix(".__init__"), path))
    return tuple(found)


def whole_name(name: str) -> str:
    """Return what an import statement calls a module."""
    if name == "__init__":
        return "updater"
    return name if name.split(".")[0] == APART else f"updater.{name}"


@functools.cache
def import_statements(path: Path) -> tuple[ast.Import | ast.ImportFrom, ...]:
    """Return the import statements of a file, which is parsed once for all tests."""
    nodes = ast.walk(ast.parse(path.read_text()))
    return tuple(node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom))


def imported_rooms(path: Path) -> set[str]:
    rooms = set()
    for node in import_statements(path):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" if node.module == "updater" else node.module for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        rooms |= {name.split(".")[1] for name in names if name.startswith("updater.")}
        rooms |= {APART for name in names if name.split(".")[0] == APART}
    return {room for room in rooms if room == APART or (ROOT / room).is_dir() or (ROOT / f"{room}.py").exists()}


def floor_of(room: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if room in rooms)


def all_imports(path: Path) -> set[str]:
    names = set()
    for node in import_statements(path):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module)
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


def refuses_import(room: str, other: str) -> bool:
    if room == other:
        return False
    if room == APART or other == APART:
        return room != "cli"
    if floor_of(room) == floor_of(other):
        return (room, other) not in CORRIDORS
    return floor_of(room) > floor_of(other)


def test_the_check_itself_can_fail() -> None:
    assert refuses_import("catalog", "web")
    assert refuses_import("telemetry", "access")
    assert refuses_import("database", "catalog")
    assert not refuses_import("web", "catalog")


@pytest.mark.parametrize(("name", "path"), modules())
def test_imports_point_down(name: str, path: Path) -> None:
    room = name.split(".")[0]
    if name == "__init__":
        return
    rooms = imported_rooms(path)
    if name in BORROWS and {each for each in all_imports(path) if each.split(".")[0] == APART} <= LENT:
        rooms.discard(APART)
    wrong = sorted(other for other in rooms if refuses_import(room, other))
    assert not wrong, f"{whole_name(name)} imports {wrong}"


# What asks others by HTTP, with aiohttp's client and not its server: deployments.probes asks whether a deployment is
# well; webhooks.sending tells receivers of events.
ASKS = ("deployments.probes", "webhooks.sending")


@pytest.mark.parametrize(("name", "path"), modules())
def test_each_kind_of_code_has_its_rooms(name: str, path: Path) -> None:
    imports = all_imports(path)
    room = name.split(".")[0]
    if room not in ("web", "app", "serving", APART, "cli") and name not in ASKS:
        assert not any(each.split(".")[0] == "aiohttp" for each in imports), "aiohttp belongs in web/, app, serving"
    if not (name.endswith("store") or room == "database"):
        assert not any(each.split(".")[0] == "sqlalchemy" for each in imports), "SQL belongs in */*store.py"
    # Both bring much along that nothing here needs, unless they are imported as these two do.
    if name != "logs.loggers":
        assert "structlog" not in imports, "get_logger is in logs.loggers"
    if name != "database.asynchronous":
        assert not any(each.startswith("sqlalchemy.ext") for each in imports), "engines are in database.asynchronous"
    # updater_client.folder.electron reads the files of a build tool, which are YAML; it reads no settings.
    if name not in ("config", "updater_client.folder.electron"):
        assert "yaml" not in imports, "YAML is read in config.py"
    if name != "config" and room not in ("cli", APART):
        assert "os.environ" not in path.read_text(), "the environment is read in config.py"


# The one file that uses private names of aiohttp.
INTERNALS = "web.server.internals"


def foreign_private_names(tree: ast.Module) -> set[str]:
    """Return the private attributes that a module uses and does not define itself: those of foreign classes."""
    used, own = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            own.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            own.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            own.add(node.attr)
        elif isinstance(node, ast.Attribute):
            used.add(node.attr)
    return {each for each in used - own if each.startswith("_") and not each.endswith("__")}


def test_the_check_of_private_names_can_fail() -> None:
    assert foreign_private_names(ast.parse("def f(c): return c._waiter")) == {"_waiter"}
    assert not foreign_private_names(
        ast.parse("class C:\n def __init__(self): self._x = self.__class__\n def f(s): s._x")
    )


@pytest.mark.parametrize(("name", "path"), modules())
def test_private_names_of_aiohttp_are_used_in_one_file(name: str, path: Path) -> None:
    if name != INTERNALS and any(each.split(".")[0] == "aiohttp" for each in all_imports(path)):
        # A named tuple's own methods begin with an underscore, and are public.
        assert foreign_private_names(ast.parse(path.read_text())) <= {"_replace"}, (
            f"private names belong in {INTERNALS}"
        )


@pytest.mark.parametrize(("name", "path"), modules())
def test_private_methods_of_aiohttp_are_replaced_in_one_file(name: str, path: Path) -> None:
    if name in ("__main__", INTERNALS) or not any(each.split(".")[0] == "aiohttp" for each in all_imports(path)):
        return
    module = importlib.import_module(whole_name(name))
    for found in vars(module).values():
        if isinstance(found, type) and found.__module__ == module.__name__:
            theirs = {
                each for base in found.__mro__ if base.__module__.split(".")[0] == "aiohttp" for each in vars(base)
            }
            private = {each for each in vars(found) if each.startswith("_") and not each.endswith("__")}
            assert (private & theirs) <= {"_abc_impl"}, f"{found}: private methods of aiohttp belong in {INTERNALS}"


def test_both_distributions_have_one_version() -> None:
    wanted = re.search(r"^\s*updater-client==(\S+)$", (ROOT.parent / "setup.cfg").read_text(), re.MULTILINE)
    assert wanted and {wanted[1], updater_client.__version__} == {updater.__version__}


def test_the_minor_version_of_aiohttp_is_pinned() -> None:
    wanted = re.search(
        r"^\s*aiohttp>=3\.(\d+)(?:\.\d+)?,<3\.(\d+)$", (ROOT.parent / "setup.cfg").read_text(), re.MULTILINE
    )
    assert wanted and int(wanted[2]) == int(wanted[1]) + 1


def wing_of(module: str) -> str | None:
    """Return the wing of `updater.web` that a module lies in."""
    parts = module.split(".")
    return parts[2] if parts[:2] == ["updater", "web"] and len(parts) > 2 else None


def refuses_wing(wing: str, other: str) -> bool:
    if wing in (other, DESCRIBES):
        return False
    if other == DESCRIBES:
        return True
    mine, theirs = (next(number for number, wings in enumerate(WINGS) if each in wings) for each in (wing, other))
    return mine >= theirs


def test_the_check_of_the_wings_can_fail() -> None:
    assert refuses_wing("messages", "gate")
    assert refuses_wing("api", "desktop")
    assert refuses_wing("server", "docs")
    assert not refuses_wing("api", "transfer")


@pytest.mark.parametrize(("name", "path"), [each for each in modules() if each[0].startswith("web.")])
def test_wings_of_the_web_know_only_those_below(name: str, path: Path) -> None:
    wing = wing_of(f"updater.{name}")
    assert wing is not None, f"updater.{name} lies in no wing"
    others = {wing_of(each) for each in all_imports(path)}
    wrong = sorted(other for other in others if other is not None and refuses_wing(wing, other))
    assert not wrong, f"{whole_name(name)} imports {wrong}"


def test_no_import_circle() -> None:
    names = {whole_name(name): path for name, path in modules()}
    edges = {
        name: {each for each in all_imports(path) if each in names and each != name} for name, path in names.items()
    }

    def reach(start: str) -> set[str]:
        seen: set[str] = set()
        todo = [start]
        while todo:
            for each in edges[todo.pop()] - seen:
                seen.add(each)
                todo.append(each)
        return seen

    assert [name for name in edges if name in reach(name)] == []


# What decides is pure: it takes values and gives values.
PURE_ROOMS = (
    "settings.blanking",
    "feeds.notes",
    "timekeeping.judgement",
    "advice",
    "doctor.model",
    "logs.lines",
    "overview.judgements",
    "overview.model",
    "telemetry.figure_tables",
    "telemetry.summaries",
    "offers.cohorts",
    "offers.decision",
    "offers.explain",
    "offers.feed_choice",
    "offers.feed_explain",
    "offers.ladders",
    "offers.snapshot",
    "rollouts.describe",
    "rollouts.dice",
    "rollouts.evidence",
    "rollouts.impact",
    "rollouts.model",
    "rollouts.moves",
    "rollouts.plan",
    "rollouts.sources",
    "rollouts.intervals",
    "rollouts.words",
    "times",
    "feeds.appcast",
    "feeds.appimage",
    "feeds.electron",
    "feeds.model",
    "feeds.packages",
    "feeds.recipes",
    "feeds.registry",
    "feeds.scoop",
    "feeds.tauri",
    "feeds.winget",
    "feeds.squirrel",
    "feeds.velopack",
    "catalog.channels",
    "catalog.changes",
    "catalog.files",
    "catalog.model",
    "catalog.platforms",
    "catalog.retention",
    "catalog.versions",
    "audit.chain",
    "audit.model",
    "artifacts.blockmaps",
    "artifacts.digests",
    "artifacts.makers",
    "artifacts.ranges",
    "artifacts.signatures",
    "artifacts.zsync",
    "tuf.checks",
    "tuf.model",
    "tuf.reading",
    "telemetry.figures",
    "telemetry.histograms",
    "telemetry.messages",
    "telemetry.model",
    "telemetry.rollups",
    "telemetry.spans",
    "webhooks.addresses",
    "webhooks.events",
    "webhooks.model",
    "webhooks.schedule",
    "webhooks.signing",
    "webhooks.templates",
    "web.desktop.words",
    "updater_client.reserved",
    "updater_client.words",
    "updater_client.folder.appcast",
    "updater_client.folder.choosing",
    "updater_client.folder.contents",
    "updater_client.folder.electron",
    "updater_client.folder.given",
    "updater_client.folder.markdown",
    "updater_client.folder.names",
    "updater_client.folder.packages",
    "updater_client.folder.plan",
    "updater_client.folder.primary",
    "updater_client.folder.versions",
    "updater_client.folder.walking",
    "updater_client.folder.xml",
)
IMPURE = {
    "asyncio",
    "random",
    "secrets",
    "time",
    "os",
    "pathlib",
    "socket",
    "sqlalchemy",
    "aiohttp",
    "aiofiles",
    "structlog",
}


@pytest.mark.parametrize("name", PURE_ROOMS)
def test_what_decides_takes_no_clock_no_dice_and_no_disk(name: str) -> None:
    path = dict(modules())[name]
    imports = {each.split(".")[0] for each in all_imports(path)} | all_imports(path)
    assert not imports & (IMPURE | {"updater.clock"}), f"{whole_name(name)} is not pure"
    calls = {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)}
    asks = {call for call in calls if call.endswith((".now", ".today", ".utcnow"))}
    assert not asks, f"{whole_name(name)} asks a clock"


MOST_LINES, MOST_FUNCTION_LINES, MOST_METHODS = 350, 60, 20
# What is larger, with its size of today: a list that only shrinks.
EXCEPTIONS: dict[str, int] = {}


def sizes(path: Path, name: str) -> dict[str, int]:
    """Return what in a file is larger than the rules allow, by its name."""
    text = path.read_text()
    found = {}
    if len(text.splitlines()) > MOST_LINES:
        found[name] = len(text.splitlines())
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            lines = node.end_lineno - node.lineno + 1
            if lines > MOST_FUNCTION_LINES:
                found[f"{name}:{node.name}"] = lines
        if isinstance(node, ast.ClassDef):
            methods = sum(isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) for each in node.body)
            if methods > MOST_METHODS:
                found[f"{name}:{node.name}"] = methods
    return found


def test_nothing_outgrows_its_room() -> None:
    larger: dict[str, int] = {}
    for name, path in modules():
        larger |= sizes(path, name)
    grown = {each: size for each, size in larger.items() if size > EXCEPTIONS.get(each, 0)}
    assert not grown, f"larger than the house allows: {grown}"
    assert not EXCEPTIONS.keys() - larger.keys(), "no exception any more: take it off the list"
