"""Change the code in small ways, one at a time, and count what the tests notice: `scripts/mutate [GROUP ...]`.

Works on a copy of the tree in build/mutation, with mutmut. What survives is printed with its change, unless
survivors.toml says why it may.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.mutation.groups import GROUPS, Group

COPY = Path("build/mutation")
EXPLAINED = Path(__file__).with_name("survivors.toml")
WANTED = 0.85
NOTICED = ("killed", "timeout", "segfault", "caught by type check")


@dataclass(frozen=True)
class Survivor:
    """A change that no test noticed: the module, the line as it is, and as it was changed."""

    module: str
    line: str
    changed: str


def copy_tree(target: Path, group: Group) -> None:
    """Copy what git knows of the tree, and tell mutmut what to change and whom to ask."""
    shutil.rmtree(target, ignore_errors=True)
    listed = subprocess.run(["git", "ls-files", "-z"], check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if Path(name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(name, target / name)
    others = [each.name for each in target.iterdir() if each.name not in ("updater", "tests", "pyproject.toml")]
    table = {
        "source_paths": ["updater"],
        "only_mutate": list(group.modules),
        "also_copy": sorted(others),
        "pytest_add_cli_args": ["-p", "no:xdist", "-p", "no:cacheprovider"],
        "pytest_add_cli_args_test_selection": list(group.tests),
    }
    with (target / "pyproject.toml").open("a") as settings:
        settings.write("\n[tool.mutmut]\n" + "".join(f"{name} = {value!r}\n" for name, value in table.items()))


def mutmut(*words: str, quiet: bool = False) -> str:
    """Run mutmut on the copy; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "mutmut", *words], cwd=COPY, stdout=subprocess.PIPE if quiet else None, text=True
    )
    if done.returncode and not quiet:
        raise SystemExit(f"mutmut {words[0]} failed with status {done.returncode}")
    return done.stdout or ""


def statuses() -> dict[str, str]:
    """Return what became of each change, by its name."""
    lines = mutmut("results", "--all", "true", quiet=True).splitlines()
    return {name: status for name, _, status in (line.strip().partition(": ") for line in lines) if status}


def survivor(name: str) -> Survivor:
    """Return the change of a name, as the one pair of lines that differ first."""
    text = mutmut("show", name, quiet=True)
    lines = [line for line in text.splitlines() if re.match(r"[-+](?![-+])", line)]
    old = next((line[1:].strip() for line in lines if line[0] == "-"), "")
    new = next((line[1:].strip() for line in lines if line[0] == "+"), "")
    return Survivor(name.rpartition(".x")[0], old, new)


def explained() -> dict[Survivor, str]:
    """Return why known survivors may stay."""
    rows = tomllib.loads(EXPLAINED.read_text()).get("survivor", [])
    return {Survivor(row["module"], row["line"], row["changed"]): row["why"] for row in rows}


def is_of_a_kind(found: Survivor) -> str | None:
    """Return why a whole kind of changes may stay: no test could notice them."""
    if found.line.lower() == found.changed.lower() and '"' in found.line and "headers" in found.line:
        return "names of headers are equal in any case"
    return None


def measure(name: str, processes: int) -> float:
    """Mutate one group and print its row and its survivors; return its score: noticed among what could be."""
    copy_tree(COPY, GROUPS[name])
    mutmut("run", "--max-children", str(processes))
    found = statuses()
    left = [survivor(each) for each in sorted(found) if found[each] not in NOTICED]
    known = explained()
    excused = [each for each in left if each in known or is_of_a_kind(each)]
    count = Counter(found.values())
    score = (len(found) - len(left)) / (len(found) - len(excused))
    print(f"\n{name}: {len(found)} changes, {dict(count)}, {len(excused)} explained: score {score:.1%}")
    for each in left:
        if each not in excused:
            print(f"  {each.module}\n    - {each.line}\n    + {each.changed}")
    return score


def main() -> None:
    """Measure the groups that are asked for; the exit status is 1 when one has less than is wanted."""
    parser = argparse.ArgumentParser(prog="scripts/mutate", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"{', '.join(GROUPS)}; all without one")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    if unknown := set(asked.groups) - GROUPS.keys():
        parser.error(f"no group is called {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}")
    scores = {name: measure(name, asked.processes) for name in asked.groups or GROUPS}
    print("\n" + "\n".join(f"{name:10} {score:7.1%}" for name, score in scores.items()))
    sys.exit(min(scores.values()) < WANTED)


if __name__ == "__main__":
    main()
