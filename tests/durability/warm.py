"""Start services quickly: a process that has imported everything forks one that runs `updater`.

Speaks JSON lines, `{}` when it is ready, then an answer for each order:
`{"words", "environment", "output", "fail_at", "armed", "steps"}` -> `{"pid"}`; `{"wait": pid}` -> `{"status"}`.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from importlib import import_module
from typing import Any

for needed in (
    "alembic.command",  # the first start of a data folder migrates
    "updater.app",
    "updater.cli.serve",
    "updater.logs",
    "updater.serving",
    "updater.database.sqlite",
    "updater.database.postgres",
):
    import_module(needed)
for dialect in ("sqlite.aiosqlite", "postgresql.asyncpg"):
    import_module(f"sqlalchemy.dialects.{dialect}")
for driver in ("aiosqlite", "asyncpg"):
    import_module(driver)


def run(order: dict[str, Any]) -> None:
    from tests.durability.failpoints import Steps
    from updater.cli import main

    os.setsid()
    output = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.update(order["environment"])
    if order.get("steps"):
        Steps(order["fail_at"], order["steps"], armed=bool(order["armed"])).install()
    status = 70
    try:
        main(order["words"], prog_name="updater", standalone_mode=True)
    except SystemExit as ended:
        status = int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    print("{}", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            answer = {"status": os.waitstatus_to_exitcode(os.waitpid(order["wait"], 0)[1])}
        else:
            pid = os.fork()
            if pid == 0:
                run(order)
            answer = {"pid": pid}
        print(json.dumps(answer), flush=True)
