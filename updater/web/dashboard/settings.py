"""The settings in effect, without secrets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from aiohttp import web

from updater.access.principals import Permission
from updater.settings.blanking import HIDDEN, blanked
from updater.settings.in_effect import SettingsInEffect
from updater.web.dashboard.page import HTML, PageKit
from updater.web.gate.routing import Contract, endpoint

SETTINGS: Final = "/admin/settings/"


class SettingsShown:
    """What administrators see of the settings."""

    def __init__(self, kit: PageKit, in_effect: SettingsInEffect) -> None:
        self._kit = kit
        self._in_effect = in_effect

    @endpoint(Contract("The settings in effect", Permission.ADMIN, answers={200: None}, media_types=HTML))
    async def show_settings(self, request: web.Request) -> web.Response:
        """Show all settings, a card for each section."""
        return self._kit.render(
            request,
            "settings.html",
            {
                "sections": {name: list(_lines(values)) for name, values in blanked(self._in_effect.current).items()},
                "hidden": HIDDEN,
            },
        )


def _lines(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each setting below a section by its name, such as `api_keys[0].name`; values are plain or lists of such."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _lines(each, f"{name}.{key}" if name else key)
    elif isinstance(value, list) and any(isinstance(each, dict) for each in value):
        for number, each in enumerate(value):
            yield from _lines(each, f"{name}[{number}]")
    else:
        yield name, value
