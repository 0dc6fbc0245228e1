"""The texts of the program: what it can say, as its source has it."""

from __future__ import annotations

import re
from functools import cache

from tests.documents.pages import ROOT

_JOINT = re.compile(r"""(["'])\n\s*f?\1""")


@cache
def source() -> str:
    """Return the source of server and client, with texts that go over several lines made one."""
    packages = (ROOT / "updater", ROOT / "updater_client")
    return "".join(_JOINT.sub("", path.read_text()) for package in packages for path in sorted(package.rglob("*.py")))


def is_text(text: str) -> bool:
    """Tell whether a literal of the program is this text."""
    return f'"{text}"' in source()
