"""`python -m tests.documents.warm FOLDER`: leave a program `updater` in a folder, whose runs are forks of this process.

Each run is a process of its own, with the words, environment, working directory and open files of whoever began it. It
only imports nothing anew, which is nine tenths of what a short command costs.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import traceback
from importlib import import_module
from pathlib import Path

import click

from updater.cli import COMMANDS, main

# What commands import when they need it.
LATE = (
    *("updater.composition", "updater.database.sqlite", "alembic.command", "aiosqlite", "argon2", "aiohttp"),
    *("sqlalchemy.dialects.sqlite.aiosqlite", "updater_client.folder.sending", "updater.doctor"),
)
# The client of it: bash alone, since another interpreter would cost what is saved here. Its own streams stay in place,
# since the run takes them over from it.
PROGRAM = """#!/bin/bash
exec 9<>/dev/tcp/127.0.0.1/{port}
( printf '%s\\0' "$$" "$PWD" "$#" "$@"; env -0; printf '\\0' ) >&9
read -r -u 9 status
exit "$status"
"""


def serve(folder: Path) -> None:
    """Run what is asked for, until this process is ended."""
    for name in COMMANDS:
        main.get_command(click.Context(main), name)
    for name in LATE:
        import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.create_server(("127.0.0.1", 0)) as door:
        program = folder / "updater"
        program.write_text(PROGRAM.format(port=door.getsockname()[1]))
        program.chmod(0o755)
        print("ready", flush=True)
        while True:
            caller, _ = door.accept()
            if os.fork() == 0:
                door.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _run(caller)
            caller.close()


def _run(caller: socket.socket) -> None:
    status = 1
    try:
        received = b""
        while not received.endswith(b"\0\0"):
            received += caller.recv(1 << 16)
        pid, folder, count, *rest = (os.fsdecode(part) for part in received[:-2].split(b"\0"))
        words, variables = rest[: int(count)], rest[int(count) :]
        for number, flags in enumerate((os.O_RDONLY, os.O_WRONLY | os.O_APPEND, os.O_WRONLY | os.O_APPEND)):
            os.dup2(os.open(f"/proc/{pid}/fd/{number}", flags), number)
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(each.partition("=")[::2] for each in variables)
        try:
            main.main(args=words, prog_name="updater")
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    caller.sendall(f"{status}\n".encode())
    os._exit(0)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
