"""What pages say after a form did its work: the code in the address, and its text.

An address carries no text of its own: whoever makes somebody follow a link does not choose what a page says.
"""

from __future__ import annotations

SAID: dict[str, str] = {
    "signed-out": "You are signed out.",
    "published": "The release is live.",
    "draft-kept": "The draft is kept. Clients see nothing of it until it is published.",
}
