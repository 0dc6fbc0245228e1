"""The load of the busy row: `python -m tests.bench.burden URL STORAGE FOLDER`, until it is ended.

Four uploads, a verification and a backup at a time, each begun again when it is done. Uploads come from the load's
core, below everything else there; the two commands run where they like, as an operator's do.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from tests.bench.processes import LOAD_CORE, Process
from tests.bench.transfer import freshen, make_file, upload_form

UPLOADS = 4


def main(url: str, storage: Path, folder: Path) -> None:
    """Work until a signal ends the process group."""
    server = Process(0, url, 0)
    environment = os.environ | {"UPDATER_STORAGE__ROOT": str(storage)}

    def uploading(number: int) -> Callable[[], None]:
        path, versions = folder / f"{number}.bin", itertools.count()
        if not path.exists():
            make_file(folder, name=path.name)
        begin = time.time_ns()

        def upload() -> None:
            freshen(path)
            upload_form(server, path, f"{number + 2}.{begin}.{next(versions)}")

        return upload

    def verify() -> None:
        run("verify", "--json")

    def backup() -> None:
        into = folder / "backup"
        run("backup", str(into), "--json")
        shutil.rmtree(into)

    def run(*words: str) -> None:
        subprocess.run(
            [sys.executable, "-m", "updater", *words], env=environment, check=True, stdout=subprocess.DEVNULL
        )

    shutil.rmtree(folder / "backup", ignore_errors=True)
    works = [*(uploading(number) for number in range(UPLOADS)), verify, backup]
    print("ready", flush=True)
    for work in works:
        threading.Thread(target=_forever, args=[work]).start()


def _forever(work: Callable[[], None]) -> None:
    if work.__name__ == "upload":
        # A thread's own: curl inherits both.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
        os.sched_setaffinity(threading.get_native_id(), {int(LOAD_CORE)})
    try:
        while True:
            work()
    except BaseException:
        traceback.print_exc()
        os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
