"""The marker of a restore: while it stands in a data folder, the folder is not whole.

Apart from the restore itself, so that a command that only looks for the marker imports nothing else.
"""

from __future__ import annotations

from pathlib import Path

from updater.errors import ConfigurationError

RESTORING = "restoring"


def is_restoring(root: Path) -> bool:
    """Tell whether a restore into this folder began and did not end."""
    return (root / RESTORING).exists()


def require_whole(root: Path) -> None:
    """Refuse a data folder in which a restore was not finished.

    Raises:
        ConfigurationError: the marker of a restore is there.
    """
    if is_restoring(root):
        raise ConfigurationError(f"storage.root: a restore into {root} was not finished; run it again")
