"""A real PgBouncer in transaction mode before a PostgreSQL, with fewer connections than its clients have."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.ports import free_port


@contextmanager
def run_pgbouncer(url: str, folder: Path) -> Iterator[str]:
    """Run it for the block before the database at `url`; give its own address."""
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip("pgbouncer is not installed (Debian: pgbouncer)")
    parts, port = urlsplit(url), free_port()
    place = parse_qs(parts.query)["host"][0]
    name, user = parts.path.removeprefix("/"), parts.username or "postgres"
    config = folder / "pgbouncer.ini"
    config.write_text(
        f"[databases]\n{name} = host={place} dbname={name} user={user}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = any\npool_mode = transaction\n"
        "default_pool_size = 3\nmax_client_conn = 200\nunix_socket_dir =\n"
    )
    command = [program, str(config)]
    if os.getuid() == 0:  # which it refuses to run as; the server's own user reaches its socket
        for each in (folder, *folder.parents[:3]):
            each.chmod(each.stat().st_mode | 0o055)
        command[1:1] = ["-u", Path(place).owner()]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        yield f"postgresql://{user}@127.0.0.1:{port}/{name}"
    finally:
        process.terminate()
        process.wait(10)
