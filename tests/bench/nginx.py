"""nginx in one process, and as the peer of downloads: it sends the files of a folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.processes import SERVER_CORE, Process, running
from tests.bench.rows import Skip
from tests.ports import free_port

_CONFIGURATION = """
worker_processes 1;
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr;
{main}
events {{ worker_connections 64; }}
http {{
    access_log {folder}/nginx.access.log;
    sendfile on;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    {http}
}}
"""


def configure(folder: Path, http: str, *, main: str = "") -> list[str]:
    """Write a configuration of one process into the folder, with more for its parts; return the command."""
    path = folder / "nginx.conf"
    path.write_text(_CONFIGURATION.format(folder=folder, http=http, main=main))
    return ["nginx", "-c", str(path)]


@contextmanager
def nginx(folder: Path) -> Iterator[Process]:
    """Serve the folder's files on the server's core for the block."""
    if shutil.which("nginx") is None:
        raise Skip("nginx is missing (Debian: nginx-light)")
    port = free_port()
    command = configure(folder, f"server {{ listen 127.0.0.1:{port}; location / {{ root {folder}; }} }}")
    with running(command, port, folder / "nginx.log", core=SERVER_CORE) as process:
        yield process
