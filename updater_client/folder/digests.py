"""Read the files of a plan once: their SHA-256, and whether what feed files say of them holds."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event

from updater_client.checksums import KINDS, find_checksum
from updater_client.folder.model import Plan, PlannedFile, Problem

BLOCK_BYTES = 1 << 20

Reading = Callable[[int], None]
"""Called with the number of bytes that were read since the last call, from any thread."""


async def read_digests(plan: Plan, reading: Reading | None = None) -> Plan:
    """Return the plan with the digest of each file, read in a thread; a checksum that does not hold is a problem of it.

    Raises:
        OSError: a file cannot be read.
    """
    ended = Event()
    try:
        return await asyncio.to_thread(with_digests, plan, reading, ended)
    finally:
        ended.set()


def with_digests(plan: Plan, reading: Reading | None = None, ended: Event | None = None) -> Plan:
    """Return the plan as `read_digests` does; two files are read at a time, until `ended` is set.

    Raises:
        OSError: a file cannot be read.
    """
    ended = ended or Event()
    with ThreadPoolExecutor(max_workers=min(2, os.cpu_count() or 1)) as pool:
        try:
            read = list(pool.map(lambda file: _read(file, reading, ended), plan.files))
        except BaseException:
            ended.set()
            raise
    files = tuple(file for file, _ in read)
    problems = [problem for _, found in read for problem in found]
    return replace(plan, files=files, problems=(*plan.problems, *problems))


def _read(file: PlannedFile, reading: Reading | None, ended: Event) -> tuple[PlannedFile, list[Problem]]:
    known = [(kind, text, place) for kind, text, place in file.checksums if kind in KINDS]
    hashes = {kind: hashlib.new(kind, usedforsecurity=False) for kind in {"sha256", *(kind for kind, _, _ in known)}}
    with file.path.open("rb") as stream:
        modified_at_ns = os.fstat(stream.fileno()).st_mtime_ns
        while not ended.is_set() and (block := stream.read(BLOCK_BYTES)):
            for each in hashes.values():
                each.update(block)
            if reading is not None:
                reading(len(block))
    problems = [
        Problem(
            f"{file.place} is not what {place} says: its {kind} is another one",
            f"build both again, or leave that file out with --exclude {place.rpartition('/')[2]}",
            place=file.place,
        )
        for kind, text, place in known
        if find_checksum(kind, text) != hashes[kind].digest()
    ]
    return replace(file, sha256=hashes["sha256"].hexdigest(), modified_at_ns=modified_at_ns), problems
