"""The same requests to nginx: where it follows RFC 9110, both servers answer alike."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.ports import free_port
from tests.web.exchange import Answer, exchange, multipart_parts
from tests.web.test_transfer import Server, running, stored

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
DATA = random.Random(11).randbytes(50_021)

CONFIGURATION = """
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off; default_type application/octet-stream; sendfile on; large_client_header_buffers 4 32k;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{ listen 127.0.0.1:{port}; root {folder}/www; }}
}}
"""


def wait_for(port: int) -> None:
    until_s = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > until_s:
                raise
            time.sleep(0.02)


@pytest.fixture(scope="module")
def nginx_port(tmp_path_factory):
    if NGINX is None:
        pytest.skip("nginx is not installed")
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    folder.chmod(0o755)
    (folder / "www").mkdir()
    (folder / "www" / "file").write_bytes(DATA)
    configuration = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    configuration.write_text(user + CONFIGURATION.format(folder=folder, port=port))
    process = subprocess.Popen([NGINX, "-c", str(configuration), "-p", str(folder)], stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        yield port
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
async def our_port(tmp_path: Path):
    server = Server(stored(tmp_path / "blob", DATA))
    runner = await running(server)
    yield server.port
    await runner.cleanup()


def meaning(answer: Answer) -> tuple[int, str | None, object]:
    """What an answer says, apart from the names that each server chooses."""
    content_range = answer.headers.get("Content-Range")
    if answer.headers.get("Content-Type", "").startswith("multipart/byteranges"):
        return answer.status, content_range, multipart_parts(answer)
    return answer.status, content_range, answer.body if answer.status in (200, 206) else None


def random_range(chooser: random.Random) -> str:
    """A Range header whose parts together are no larger than the file: else nginx sends the whole file."""
    count = chooser.choice([1, 1, 2, 3, 8, 200])
    longest = len(DATA) // count - 1
    specs = []
    for _ in range(count):
        first = chooser.choice([0, chooser.randrange(len(DATA)), len(DATA) - 1, len(DATA), len(DATA) * 2])
        last = first + chooser.randrange(longest)
        suffix = f"-{chooser.randrange(longest)}"
        open_ended = f"{max(first, len(DATA) - longest)}-"
        specs.append(chooser.choice([f"{first}-{last}", f"{first}-{last}", suffix, open_ended]))
    return "bytes=" + chooser.choice([",", ", "]).join(specs)


async def test_random_ranges_mean_the_same(nginx_port, our_port):
    chooser, seen = random.Random(3), set()
    for _ in range(300):
        headers = {"Range": random_range(chooser)}
        theirs = await exchange(nginx_port, headers=headers)
        ours = await exchange(our_port, headers=headers)
        assert meaning(ours) == meaning(theirs), headers
        seen.add((ours.status, "multipart" in ours.headers.get("Content-Type", "")))
    assert seen == {(206, False), (206, True), (416, False)}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"If-Match": "{etag}"},
        {"If-Match": "*"},
        {"If-Match": '"x"'},
        {"If-Match": 'W/"x", {etag}'},
        {"If-None-Match": "{etag}"},
        {"If-None-Match": "W/{etag}"},
        {"If-None-Match": "*"},
        {"If-None-Match": '"x", {etag}', "Range": "bytes=0-1"},
        {"If-None-Match": '"x"', "Range": "bytes=0-1"},
        {"If-Match": '"x"', "If-None-Match": "{etag}"},
        {"If-Range": "{etag}", "Range": "bytes=0-1"},
        {"If-Range": "{etag}", "Range": "bytes=0-1,5-6"},
        {"If-Range": '"x"', "Range": "bytes=0-1"},
        {"If-Range": "{etag}", "Range": "bytes=99999-"},
        {"If-Range": '"x"', "Range": "bytes=99999-"},
        {"If-Range": '"x"'},
        {"Range": "pages=1-2"},
        {"Range": "bytes=-0"},
        {"Range": "bytes=-99999"},
    ],
)
async def test_conditions_mean_the_same(nginx_port, our_port, method, headers):
    answers = []
    for port in (nginx_port, our_port):
        etag = (await exchange(port, "HEAD")).headers["ETag"]
        named = {name: value.replace("{etag}", etag) for name, value in headers.items()}
        # nginx closes the connection behind a 412
        answers.append(await exchange(port, method, named, probe=port == our_port))
    theirs, ours = answers
    if method == "GET":
        assert meaning(ours) == meaning(theirs)
    assert ours.status == theirs.status
    if ours.status in (200, 206) and "," not in headers.get("Range", ""):
        assert ours.headers["Content-Length"] == theirs.headers["Content-Length"]
