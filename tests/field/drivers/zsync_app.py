"""An application that updates itself with pyzsync: `python zsync_app.py JSON`; prints one line of JSON.

In: {url, old, new}. Out: {image: address, fetched_bytes, error}.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pyzsync


def run(asked: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {"image": None, "fetched_bytes": 0, "error": None}
    with tempfile.TemporaryDirectory() as folder:
        control = Path(folder) / "control"
        with urllib.request.urlopen(asked["url"], timeout=20) as answer:
            control.write_bytes(answer.read())
        wanted = pyzsync.read_zsync_file(control)
        told["image"] = image = urljoin(asked["url"], wanted.url)
        new = Path(asked["new"])
        shutil.copy(asked["old"], new)
        instructions = pyzsync.get_patch_instructions(wanted, [new])
        missing = [each for each in instructions if each.source == pyzsync.SOURCE_REMOTE]
        told["fetched_bytes"] = sum(each.size for each in missing)
        made = pyzsync.patch_file(
            [new],
            instructions,
            patcher_factory=lambda instructions, target_file: pyzsync.HTTPPatcher(instructions, target_file, image),
            return_hash="sha1",
        )
        if made != wanted.sha1:
            told["error"] = f"SHA-1 is {made.hex()} instead of {wanted.sha1.hex()}"
    return told


if __name__ == "__main__":
    print(json.dumps(run(json.loads(sys.argv[1]))))
