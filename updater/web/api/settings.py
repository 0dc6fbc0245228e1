"""The settings in effect, without secrets."""

from __future__ import annotations

from aiohttp import web

import updater.web.api.access_schemas as schemas
from updater.access.principals import Permission
from updater.settings.blanking import blanked
from updater.settings.in_effect import SettingsInEffect
from updater.web.gate.routing import INSTALLATION, Contract, endpoint
from updater.web.messages.answers import json_answer


class SettingsShown:
    """What this process goes by."""

    def __init__(self, in_effect: SettingsInEffect) -> None:
        self._in_effect = in_effect

    @endpoint(Contract("Settings in effect", Permission.ADMIN, INSTALLATION, answers={200: schemas.SettingsAnswer()}))
    async def get_settings(self, request: web.Request) -> web.Response:
        """Return all settings in the shape of the file; keys, secrets, and passwords in addresses are `***`."""
        return json_answer({"settings": blanked(self._in_effect.current)})
