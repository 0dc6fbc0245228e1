"""What desktop clients say of themselves: `BKGT-Manager/{current_version} ({platform})`.

Source: the requests of the desktop document. Any product name is taken, since any application can be mounted.
"""

from __future__ import annotations

from updater.web.desktop.words import TARGETS, VERSION
from updater.web.messages.user_agents import AgentReader

AGENTS = AgentReader(VERSION, TARGETS)
agent_of = AGENTS.of
