"""Files of JSON that outlive a process: written as a whole and flushed, read as a whole or said to be damaged."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from updater.permissions import open_private

_RESERVE_BYTES = 65_536
Made = TypeVar("Made")


class Damaged(Exception):
    """A file that cannot be understood; the message names it."""


def encoded(tree: dict[str, Any]) -> bytes:
    """Return JSON on one line. Names of files of any encoding survive it: `json.loads` reads them in the same way."""
    return json.dumps(tree, ensure_ascii=False).encode("utf-8", "surrogatepass")


def read(path: Path, make: Callable[[dict[str, Any]], Made]) -> Made | None:
    """Return what `make` builds from a file of JSON; None when there is no such file.

    Raises:
        Damaged: it is half a file or another one. OSError: it cannot be read.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        return make(json.loads(data))
    except Exception as error:  # whatever half a file or another one leads to
        raise Damaged(f"{path} is damaged: {type(error).__name__}: {error}") from error


def replace(path: Path, tree: dict[str, Any]) -> None:
    """Write a file of JSON durably: completely or not at all. Raises OSError."""
    fresh = path.with_name(f"{path.name}.new")
    try:
        with open(fresh, "wb", opener=open_private) as file:
            file.write(encoded(tree))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise
    flush_folder(path.parent)


def flush_folder(path: Path) -> None:
    """Make new names in a folder durable. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def reserve(path: Path) -> None:
    """Keep some space for the end of a run on a disk that gets full. Raises OSError."""
    with open(path, "wb", opener=open_private) as file:
        file.write(bytes(_RESERVE_BYTES))
