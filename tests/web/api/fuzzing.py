"""The command of schemathesis, with requests that come from every role in turn.

Schemathesis builds its cases once for all roles, which takes longer than to send them. `FUZZ_ROLES` is a JSON object:
the headers of each role; `FUZZ_CHAINED` is the one that makes all requests of a chain. `FUZZ_THERE` names what is there
for path parameters. What came of the requests is written as JSON to `FUZZ_COUNTS`: `{role: {status: count}}`.
"""

from __future__ import annotations

import atexit
import itertools
import json
import os
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import schemathesis
from schemathesis.cli import schemathesis as main
from schemathesis.generation.meta import TestPhase

STRANGER = "stranger"  # has whatever schemathesis makes up
CHAINED = os.environ["FUZZ_CHAINED"]
COOKIE = "sessionid"
ROLES: dict[str, dict[str, str]] = {STRANGER: {}, **json.loads(os.environ["FUZZ_ROLES"])}
THERE: dict[str, str] = json.loads(os.environ["FUZZ_THERE"])
_turn = itertools.cycle(ROLES)
_aiming = itertools.cycle((True, True, True, False))
_counts: dict[str, Counter[int]] = {role: Counter() for role in ROLES}
_asking = threading.local()

# It knows how to write bytes, and has to be told that pieces of uploads are some.
schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Give a request to the next role, whose credentials stand in place of those that were made up."""
    is_chain = case.meta.phase.name == TestPhase.STATEFUL
    _asking.role = role = CHAINED if is_chain else next(_turn)
    if not is_chain:
        _aim(case)
    if role == STRANGER:
        return
    case.headers.pop("Authorization", None)
    case.cookies = {name: text for name, text in (case.cookies or {}).items() if name != COOKIE}
    absent = getattr(case.meta.phase.data, "parameter", None)  # the header that this case is about
    for name, text in ROLES[role].items():
        if name == "Cookie":
            case.cookies[COOKIE] = text.partition("=")[2]
        elif name != absent:
            case.headers[name] = text


def _aim(case: Any) -> None:
    """Let three of four requests that should work be about what is there, and leave it there."""
    parameters = case.path_parameters
    if parameters and case.meta.generation.mode.is_positive and case.method != "DELETE" and next(_aiming):
        case.path_parameters = {name: THERE.get(name, value) for name, value in parameters.items()}


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    """Count an answer."""
    _counts[_asking.role][response.status_code] += 1


@atexit.register
def _write() -> None:
    Path(os.environ["FUZZ_COUNTS"]).write_text(json.dumps(_counts))


main()
