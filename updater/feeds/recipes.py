"""What developers paste into their applications, so that stock updaters ask this server. PURE.

The README of the feeds says the same of `https://updates.example.com`, `my-app` and `stable`; a test compares them.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from updater.catalog.model import Application
from updater.feeds.registry import FEEDS

# Stands in the addresses of a private application, where the text of a feed key belongs.
KEY_PLACE: Final = "YOUR-FEED-KEY"


class Recipe(NamedTuple):
    """Lines for one updater: the feed that it asks, and the file that they belong into."""

    updater: str
    feed: str
    file: str
    text: str


_RECIPES: Final = (
    Recipe(
        "electron-updater", "electron", "electron-builder.yml", "publish:\n  provider: generic\n  url: {base}/electron"
    ),
    Recipe(
        "Electron's autoUpdater",
        "squirrel",
        "main.js",
        "autoUpdater.setFeedURL({\n"
        "  url: '{base}/squirrel/' + process.platform + '-' + process.arch + '/' + app.getVersion(),\n"
        "})",
    ),
    Recipe("Velopack", "velopack", "Program.cs", 'new UpdateManager("{base}/velopack/win-x64")'),
    Recipe(
        "Tauri",
        "tauri",
        "tauri.conf.json",
        '"plugins": {\n  "updater": {\n    "endpoints": [\n'
        '      "{base}/tauri/{{target}}/{{arch}}/{{current_version}}?bundle={{bundle_type}}"\n'
        '    ],\n    "pubkey": "..."\n  }\n}',
    ),
    Recipe("Sparkle", "appcast", "Info.plist", "<key>SUFeedURL</key>\n<string>{base}/appcast/macos.xml</string>"),
    Recipe("WinSparkle", "appcast", "main.c", 'win_sparkle_set_appcast_url("{base}/appcast/windows.xml");'),
    Recipe(
        "NetSparkle",
        "appcast",
        "Program.cs",
        'new SparkleUpdater("{base}/appcast/win.xml",\n'
        "    new Ed25519Checker(SecurityMode.OnlyVerifySoftwareDownloads, publicKey));",
    ),
    Recipe(
        "AppImage", "appimage", "the build script", 'appimagetool -u "zsync|{base}/appimage/x86_64.zsync" App.AppDir'
    ),
    Recipe("Scoop", "scoop", "PowerShell", "scoop install {base}/scoop/{app_id}.json"),
    Recipe("WinGet", "winget", "PowerShell", "winget source add {app_id} {base}/winget Microsoft.Rest"),
)


def list_recipes(application: Application, channel: str, origin: str) -> list[Recipe]:
    """Return the lines for every updater that may ask about an application, in the order of the README.

    `origin` has no slash at the end. Of a private application, addresses hold `KEY_PLACE`.
    """
    base = feeds_base(application, channel, origin)
    asked = {feed.name for feed in FEEDS if feed.is_of(application)}
    return [
        each._replace(text=each.text.replace("{base}", base).replace("{app_id}", application.id))
        for each in _RECIPES
        if each.feed in asked
    ]


def feeds_base(application: Application, channel: str, origin: str) -> str:
    """Return what the addresses of an application's feeds begin with, without a slash at the end."""
    key = f"/k/{KEY_PLACE}" if application.private else ""
    return f"{origin}{key}/feeds/{application.id}/{channel}"
