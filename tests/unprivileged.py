"""Commands that may not read what the modes of a file forbid, also when the tests run as root."""

from __future__ import annotations

import os
import subprocess
import sys

_CAPABILITIES = "-dac_override,-dac_read_search"


def run_bound_by_modes(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments, bound by the modes of files; return how it ended."""
    command = [sys.executable, *map(str, words)]
    if os.geteuid() == 0:
        command = ["setpriv", f"--bounding-set={_CAPABILITIES}", f"--inh-caps={_CAPABILITIES}", *command]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60)
