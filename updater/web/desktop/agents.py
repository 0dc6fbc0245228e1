"""What desktop clients say of themselves: `BKGT-Manager/{current_version} ({platform})`.

Source: the requests of the desktop document. Any product name is taken, since any application can be mounted.
"""

from __future__ import annotations

from updater.catalog.platforms import DESKTOP_TARGETS
from updater.web.messages.user_agents import AgentReader

_NUMBER = "(?:0|[1-9][0-9]{0,8})"
AGENTS = AgentReader(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}", DESKTOP_TARGETS)
agent_of = AGENTS.of
