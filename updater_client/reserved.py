"""Names that no file can have on Windows, whatever else it may be called. PURE."""

from __future__ import annotations

import re

# Source: "Naming Files, Paths, and Namespaces" of the Windows documentation: whatever follows the first dot.
_DEVICE = re.compile(
    r"(?:con|conin\$|conout\$|prn|aux|nul|com[0-9\u00b9\u00b2\u00b3]|lpt[0-9\u00b9\u00b2\u00b3]) *(?:\..*)?",
    re.IGNORECASE,
)
_LONGEST = 240
"""Below the 260 characters that Windows takes by itself, with room for what is put behind a name."""


def is_device(name: str) -> bool:
    """Say whether Windows takes a name for a device: `con`, `NUL.txt`."""
    return bool(_DEVICE.fullmatch(name))


def as_long_path(path: str) -> str:
    """Return an absolute path of Windows in the form that may have any length, when it is long; others as they are.

    Source: "Maximum Path Length Limitation" of the Windows documentation.
    """
    if len(path) < _LONGEST or path.startswith("\\\\?\\"):
        return path
    return f"\\\\?\\UNC{path[1:]}" if path.startswith("\\\\") else f"\\\\?\\{path}"
