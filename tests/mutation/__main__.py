"""Change the code in small ways, one at a time, and count what the tests notice: `scripts/mutate [GROUP ...]`.

The changes are those of mutmut. What survives is printed with its change, unless survivors.toml says why it may.
"""

from __future__ import annotations

import argparse
import os
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from tests.mutation.changes import Change, changes_of
from tests.mutation.groups import GROUPS
from tests.mutation.hunt import NOTICED, TIMED_OUT, UNFIT, Hunt

EXPLAINED = Path(__file__).with_name("survivors.toml")
WANTED = 0.85


def explained() -> dict[tuple[str, str, str], str]:
    """Return why known survivors may stay, by module, line and changed line."""
    rows = tomllib.loads(EXPLAINED.read_text()).get("survivor", [])
    return {(row["module"], row["line"], row["changed"]): row["why"] for row in rows}


def why(change: Change, known: dict[tuple[str, str, str], str]) -> str | None:
    """Return why a change may stay: alone, or as one of a kind that no test could notice."""
    if change.line.lower() == change.changed.lower() and '"' in change.line and "headers" in change.line:
        return "names of headers are equal in any case"
    return known.get((change.module, change.line, change.changed))


def measure(name: str, processes: int) -> float:
    """Change one group and print its row and its survivors; return its score: noticed among what could be."""
    group = GROUPS[name]
    hunt = Hunt(
        [change for module in group.modules for change in changes_of(module)],
        processes,
        lambda text: print(f"{name}: {text}", file=sys.__stderr__, flush=True),
    )
    options = [word for each in ("xdist", "cacheprovider") for word in ("-p", f"no:{each}")]
    # Forks that hang are ended by the processor time of their tests, which a busy machine does not change.
    options += ["-o", "timeout=0", "-k", group.words]
    status = pytest.main([*options, *group.tests], plugins=[hunt])
    if not hunt.fates:
        raise SystemExit(f"{name}: pytest ended with status {status}")
    known = explained()
    counted = {change: fate for change, fate in hunt.fates.items() if fate != UNFIT}
    left = [change for change, fate in counted.items() if fate not in (NOTICED, TIMED_OUT)]
    excused = [each for each in left if why(each, known)]
    score = (len(counted) - len(left)) / (len(counted) - len(excused))
    print(f"\n{name}: {dict(Counter(hunt.fates.values()))}, {len(excused)} explained: score {score:.1%}")
    for each in sorted(left, key=lambda each: (each.path, min(each.lines))):
        if each not in excused:
            print(f"  {each.module}:{min(each.lines)} {each.function[0]}\n    - {each.line}\n    + {each.changed}")
    for each in (change for change, fate in hunt.fates.items() if fate == UNFIT):
        print(f"  not tried: {each.module} {each.function[0]}\n    + {each.changed}")
    return score


def main() -> None:
    """Measure the groups that are asked for; the exit status is 1 when one has less than is wanted."""
    parser = argparse.ArgumentParser(prog="scripts/mutate", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"{', '.join(GROUPS)}; all without one")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--tools", type=Path, required=True, help="the folder that mutmut is installed in")
    asked = parser.parse_args()
    sys.path.append(str(asked.tools))  # behind our own packages
    if unknown := set(asked.groups) - GROUPS.keys():
        parser.error(f"no group is called {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}")
    scores = {name: measure(name, asked.processes) for name in asked.groups or GROUPS}
    print("\n" + "\n".join(f"{name:10} {score:7.1%}" for name, score in scores.items()))
    sys.exit(min(scores.values()) < WANTED)


if __name__ == "__main__":
    main()
