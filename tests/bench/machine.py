"""The machine and the programs that figures were taken with."""

from __future__ import annotations

import os
import platform
import re
import sqlite3
import subprocess
from importlib.metadata import version
from pathlib import Path

import updater

# How each program tells its version: on either stream, and with any exit status.
_PROGRAMS = {
    "nginx": ["nginx", "-v"],
    "go": ["go", "version"],
    "wrk": ["wrk", "-v"],
    "curl": ["curl", "--version"],
    "aria2c": ["aria2c", "--version"],
    "openssl": ["openssl", "version"],
    "docker-registry": ["docker-registry", "--version"],
    "tusd": ["tusd", "-version"],
}


def describe() -> dict[str, str]:
    """Return what figures depend on: the machine, its load at this moment, the versions; `missing` programs too."""
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    model = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    return {
        "processor": f"{model[1] if model else platform.machine()}, {os.cpu_count()} cores",
        "memory": f"{int(memory[1]) / (1 << 20):.1f} GiB" if memory else "unknown",
        "kernel": platform.release(),
        "load": load(),
        "updater": updater.__version__,
        "Python": platform.python_version(),
        "aiohttp": version("aiohttp"),
        "SQLite": sqlite3.sqlite_version,
        **{name: _version(command) for name, command in _PROGRAMS.items()},
    }


def load() -> str:
    """Return how many processes wanted a processor in the last 1, 5 and 15 minutes."""
    return " ".join(f"{each:.1f}" for each in os.getloadavg())


def _version(command: list[str]) -> str:
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    except OSError:
        return "missing"
    found = re.search(r"\d+\.\d+[\w.+~-]*", said.stdout + said.stderr)
    return found[0] if found else "unknown"
