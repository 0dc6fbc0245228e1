"""An event as each kind of receiver takes it: Standard Webhooks, Slack, Microsoft Teams, Discord. PURE."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from updater.webhooks.events import Event

AUTO = "auto"
_TITLES = {
    "blob.damaged": "A stored file is damaged",
    "backup.failed": "The backup failed",
    "deployment.failed": "The deployment failed",
    "deployment.finished": "The deployment finished",
    "key.expiring": "A key expires soon",
    "release.failing": "A release fails",
    "webhook.test": "This is a test",
}
_BAD = ("failed", "failing", "damaged", "halted", "withdrawn")
_RED, _GREEN = 0xC62828, 0x2E7D32
_LONGEST = 1_000
_MARKUP = re.compile(r"([\\*_~`|>\[\]()#@<]|:(?=//))")


def standard(event: Event) -> dict[str, Any]:
    """Return the document of Standard Webhooks: `type`, `timestamp`, `data`."""
    return event.document()


def slack(event: Event) -> dict[str, Any]:
    """Return a message of an incoming webhook. Source: Slack, "Formatting text for app surfaces"."""
    title, facts = _words(event)
    lines = [f"*{_for_slack(title)}*", *(f"{name}: {_for_slack(text)}" for name, text in facts)]
    block = {"type": "section", "text": {"type": "mrkdwn", "text": "\n".join(lines)[:3_000]}}
    return {"text": _for_slack(title), "blocks": [block]}


def teams(event: Event) -> dict[str, Any]:
    """Return an adaptive card, as workflows of Teams take it. Source: Microsoft, "Adaptive Cards" 1.4."""
    title, facts = _words(event)
    heading = {"type": "TextBlock", "size": "Medium", "weight": "Bolder", "wrap": True, "text": _plain(title)}
    rows = {"type": "FactSet", "facts": [{"title": name, "value": _plain(text)} for name, text in facts]}
    card = {"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4"}
    content = {**card, "body": [heading, rows]}
    return {
        "type": "message",
        "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": content}],
    }


def discord(event: Event) -> dict[str, Any]:
    """Return a message with one embed that mentions nobody. Source: Discord, "Execute Webhook"."""
    title, facts = _words(event)
    color = _RED if event.name.endswith(_BAD) else _GREEN
    fields = [{"name": name, "value": _plain(text), "inline": False} for name, text in facts]
    embed = {"title": _plain(title)[:256], "color": color, "timestamp": event.document()["timestamp"], "fields": fields}
    return {"embeds": [embed], "allowed_mentions": {"parse": []}}


_FORMS: Mapping[str, Callable[[Event], dict[str, Any]]] = {
    "standard": standard,
    "slack": slack,
    "teams": teams,
    "discord": discord,
}
FORMS = (AUTO, *_FORMS)
_HOSTS = {
    "hooks.slack.com": "slack",
    "webhook.office.com": "teams",
    "logic.azure.com": "teams",
    "api.powerplatform.com": "teams",
    "discord.com": "discord",
    "discordapp.com": "discord",
}


def body_of(event: Event, form: str, url: str) -> bytes:
    """Return the body that is sent, JSON in UTF-8; the form `auto` goes by the host of the address."""
    tree = _FORMS[form_of(url) if form == AUTO else form](event)
    return json.dumps(tree, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def form_of(url: str) -> str:
    """Return the form that the host of an address takes; `standard` for all that are not known."""
    host = urlsplit(url).hostname or ""
    return next((form for name, form in _HOSTS.items() if host == name or host.endswith(f".{name}")), "standard")


def _words(event: Event) -> tuple[str, list[tuple[str, str]]]:
    """Return a title, and names and texts of what else is known, each of bounded length."""
    what = _TITLES.get(event.name, event.name.replace(".", " ").capitalize())
    about = " ".join(str(event.data[key]) for key in ("application", "version") if event.data.get(key))
    title = f"{what}: {about or event.data.get('subject', '')}"[:200].rstrip(": ")
    facts = [(key.capitalize(), event.data[key]) for key in ("subject", "reason") if event.data.get(key)]
    after = event.data.get("after") or {}
    facts += [(key.replace("_", " ").capitalize(), after[key]) for key in sorted(after)][:8]
    shown = ((name, text if isinstance(text, str) else json.dumps(text, ensure_ascii=False)) for name, text in facts)
    return title, [(name[:100], text[:_LONGEST]) for name, text in shown if text]


def _for_slack(text: str) -> str:
    """Escape what Slack reads as a link, a mention or the start of formatting."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped.replace("*", "\u2217").replace("`", "\u02cb").replace("\n", " ")


def _plain(text: str) -> str:
    """Escape Markdown: texts of strangers make no link and no mention. The length stays within what is allowed."""
    return _MARKUP.sub(r"\\\1", text.replace("\n", " "))[:_LONGEST] or "-"
