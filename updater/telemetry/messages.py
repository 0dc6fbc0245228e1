"""Error messages, grouped: parts that differ between machines are replaced. PURE.

`Cannot open C:\\Users\\eva\\app.dll (error 32)` and the same of another user are one group. It also keeps
names and addresses of people out of the figures.
"""

from __future__ import annotations

import functools
import re

MAX_GROUP_CHARACTERS = 120
NO_MESSAGE = "(no message)"
# A message may be far longer than its group; text beyond this does not tell the kind of error.
_READ_CHARACTERS = 1_000

_BLANKS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.ASCII | re.IGNORECASE), blank)
    for pattern, blank in (
        (r"\b[a-z][a-z0-9+.-]{0,20}://[^\s\"'<>)\]]+", "<url>"),
        (r"[\w.+%-]{1,100}@[\w.-]+", "<address>"),
        # Paths: in quotes up to the next quote, else up to a blank behind the last separator.
        (r"([\"'])(?:[a-z]:[\\/]|\\\\|~?/)[^\"']*\1", r"\1<path>\1"),
        (r"(?:\b[a-z]:[\\/]|\\\\)(?:[^\"'<>|\n\r:*?]*[\\/])?[^\s\"'<>|:*?,;)]*", "<path>"),
        (r"(?<![\w<>/])~?/[^\s\"'<>:*?,;()]+", "<path>"),
        # IPv6, MAC, IPv4.
        (r"(?<![\w:])(?=[0-9a-f:]*::)[0-9a-f]{0,4}(?::{1,2}[0-9a-f]{1,4}){1,7}(?!\w)", "<address>"),
        (r"\b(?:[0-9a-f]{1,4}:){5,7}[0-9a-f]{1,4}\b", "<address>"),
        (r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b", "<address>"),
        (r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "<n>"),
        # Hex: with 0x in front, with a digit in it, or too long for a word.
        (r"\b0x[0-9a-f]+\b|\b(?=[a-f]*\d)[0-9a-f]{6,}\b|\b[a-f]{16,}\b", "<n>"),
    )
)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_SPACE = re.compile(r"\s+")


@functools.lru_cache(maxsize=2_048)
def group_message(message: str | None) -> str:
    """Return the group of a message: one line without digits, at most `MAX_GROUP_CHARACTERS` long.

    Numbers become `<n>`, paths `<path>`, URLs `<url>`, IP, MAC and mail addresses `<address>`, in the order of
    `_BLANKS`; an empty message is `NO_MESSAGE`.
    """
    text = (message or "")[:_READ_CHARACTERS]
    for pattern, blank in _BLANKS:
        text = pattern.sub(blank, text)
    text = _NUMBER.sub("<n>", text)
    text = _SPACE.sub(" ", text).strip()
    return text[:MAX_GROUP_CHARACTERS].rstrip() or NO_MESSAGE
