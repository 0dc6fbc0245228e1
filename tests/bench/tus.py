"""Uploads in pieces, by tuspy, against tusd: shown, not a bound, since tusd neither hashes nor syncs."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.bench.processes import KEY, LOAD_CORE, SERVER_CORE, Process, create_application, running, service
from tests.bench.rows import Figure, Pace, Row, Skip, interleave, speed
from tests.bench.transfer import SIZE_BYTES, Meter, freshen, make_file, processor, took_s
from tests.ports import free_port

_CHUNK_BYTES = 32 << 20
_PEERS = Path("build/peers").absolute()
_INSTALL = "tusd is missing: GOBIN=$PWD/build/peers go install github.com/tus/tusd/v2/cmd/tusd@latest (ten minutes)"
# A process of its own, as an uploader is: endpoint, key, file, version, size of a piece.
_CLIENT = """
import sys
from tusclient.client import TusClient
endpoint, key, path, version, chunk = sys.argv[1:]
said = {"application_id": "my-app", "version": version, "platform": "linux", "architecture": "amd64"}
client = TusClient(endpoint, headers={"Authorization": f"Bearer {key}"})
client.uploader(path, chunk_size=int(chunk), metadata={**said, "file_name": "a.bin"}).upload()
"""


def uploads(folder: Path, pace: Pace) -> Sequence[Figure]:
    """Upload new bytes with the same client, in turn; both servers have one core."""
    original = make_file(folder)
    versions = iter(f"1.0.{number}" for number in range(1_000))

    def upload(endpoint: str) -> float:
        freshen(original)
        given = [endpoint, KEY, str(original), next(versions), str(_CHUNK_BYTES)]
        return took_s("taskset", "-c", LOAD_CORE, sys.executable, "-c", _CLIENT, *given)

    with service(folder) as own, _running(folder) as peer:
        create_application(own)
        mine, theirs = Meter(own), Meter(peer)
        own_s, peer_s = interleave(
            pace,
            lambda: mine.over(lambda: upload(f"{own.url}/api/v1/uploads")),
            lambda: theirs.over(lambda: upload(f"{peer.url}/files/")),
        )
    what = f"upload of {SIZE_BYTES >> 20} MiB (tus, pieces of {_CHUNK_BYTES >> 20} MiB)"
    return [
        speed(f"{what}, speed against tusd, which does not hash", own_s, peer_s),
        processor(f"{what}, processor time against tusd", mine.runs(), theirs.runs()),
    ]


@contextmanager
def _running(folder: Path) -> Iterator[Process]:
    program = shutil.which("tusd") or shutil.which(_PEERS / "tusd")
    if program is None:
        raise Skip(_INSTALL)
    port, into = free_port(), folder / "tusd"
    into.mkdir()
    command = [program, "-host", "127.0.0.1", "-port", str(port), "-upload-dir", str(into)]
    with running(command, port, folder / "tusd.log", core=SERVER_CORE) as process:
        yield process


ROWS = (Row("tus", uploads),)
