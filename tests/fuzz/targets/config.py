"""A configuration file, or the environment: settings, or an error that names what does not fit."""

from __future__ import annotations

import tempfile
from pathlib import Path

from updater.config import load
from updater.errors import ConfigurationError

_FILE = Path(tempfile.mkdtemp(prefix="fuzz-config-")) / "config.yaml"
SEEDS = (
    b"server:\n  port: 8080\n  trusted_proxies: [127.0.0.1/32]\naccess:\n  api_keys: [{name: a, key: 0123456789}]\n",
    b"deployments:\n- {id: a, path: /srv/a, branch: main, restart: {argv: [true]}}\ndesktop:\n- prefix: /desktop\n",
    b"storage: &a {root: /tmp/x, max_upload_bytes: 1e9}\nlogging: *a\nretention: {keep_days: 2026-01-01}\n",
)


def check(data: bytes) -> None:
    _FILE.write_bytes(data)
    try:
        load(_FILE, {})
    except ConfigurationError as error:
        assert str(error)
    name, _, value = data.decode(errors="surrogateescape").replace("\0", "").partition("\n")
    try:
        load(None, {f"UPDATER_{name.upper()}": value})
    except ConfigurationError as error:
        assert str(error)
