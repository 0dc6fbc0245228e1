"""All routes of the surface on one screen."""

from __future__ import annotations

from aiohttp import web

from updater.services import Services
from updater.web.feeds.answering import FeedDoor
from updater.web.feeds.appcast import AppcastFeed
from updater.web.feeds.appimage import AppImageFeed
from updater.web.feeds.electron import ElectronFeed
from updater.web.feeds.scoop import ScoopFeed
from updater.web.feeds.squirrel import SquirrelFeed
from updater.web.feeds.tauri import TauriFeed
from updater.web.feeds.tuf import TufFeed
from updater.web.feeds.velopack import VelopackFeed
from updater.web.feeds.winget import WingetFeed
from updater.web.gate.late import Routes
from updater.web.messages.links import Links

_CHANNEL = "/feeds/{app_id}/{channel}"


def make_routes(services: Services, links: Links) -> Routes:
    """Return the routes. Paths are tried in this order."""
    door = FeedDoor(services, links)
    electron, squirrel, velopack = ElectronFeed(door), SquirrelFeed(services, door), VelopackFeed(services, door)
    tauri, appcast = TauriFeed(door), AppcastFeed(door)
    appimage, scoop = AppImageFeed(door, services.artifacts), ScoopFeed(door)
    winget = WingetFeed(door, services, links)
    tuf = TufFeed(services)
    return (
        web.get(f"{_CHANNEL}/electron/{{file_name}}", electron.get_yml),
        web.get(f"{_CHANNEL}/tauri/latest.json", tauri.get_latest),
        web.get(f"{_CHANNEL}/tauri/{{target}}/{{machine}}/{{current_version}}", tauri.get_update),
        web.get(f"{_CHANNEL}/appcast/{{system}}.xml", appcast.get_appcast),
        web.get(f"{_CHANNEL}/appimage/{{machine}}.zsync", appimage.get_zsync),
        web.get(f"{_CHANNEL}/scoop/{{manifest}}.json", scoop.get_manifest),
        web.get(f"{_CHANNEL}/winget/information", winget.get_information),
        web.post(f"{_CHANNEL}/winget/manifestSearch", winget.search_manifests),
        web.get(f"{_CHANNEL}/winget/packageManifests/{{package}}", winget.get_manifests),
        web.get(f"{_CHANNEL}/squirrel/{{target}}/{{package}}.nupkg", squirrel.get_package),
        web.get(f"{_CHANNEL}/squirrel/{{target}}/{{version}}", squirrel.get_update),
        web.get(f"{_CHANNEL}/squirrel/{{target}}/{{version}}/{{package}}.nupkg", squirrel.get_package),
        web.get(f"{_CHANNEL}/squirrel/{{target}}/{{version}}/{{file_name}}", squirrel.get_releases),
        web.get(f"{_CHANNEL}/velopack/{{rid}}/{{package}}.nupkg", velopack.get_package),
        web.get(f"{_CHANNEL}/velopack/{{rid}}/{{file_name}}", velopack.get_releases),
        web.get(f"{_CHANNEL}/tuf/metadata/{{file_name}}", tuf.get_metadata),
        web.get(f"{_CHANNEL}/tuf/targets/{{path:(?s:.+)}}", tuf.get_target),
    )
