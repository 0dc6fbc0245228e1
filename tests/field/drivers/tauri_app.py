"""A Tauri application with tauri-plugin-updater: `python tauri_app.py JSON`, under a display; prints one line of JSON.

In: {endpoint, pubkey, version, folder, headers?}. APPIMAGE names the image that is running and will be replaced.
Out: {offered: {version, currentVersion, date, body, rawJson}|null, installed: bool, error}.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from anyio.from_thread import start_blocking_portal
from pydantic import BaseModel
from pytauri import Commands
from pytauri_plugins import updater
from pytauri_wheel.lib import builder_factory, context_factory

PAGE = """<!doctype html><meta charset="utf-8"><script>
const options = %s;
async function run() {
    const told = { offered: null, installed: false, error: null };
    const invoke = window.__TAURI__.core.invoke;
    try {
        const update = await invoke("plugin:updater|check", options);
        if (update) {
            told.offered = update;
            const onEvent = new window.__TAURI__.core.Channel();
            await invoke("plugin:updater|download_and_install", { rid: update.rid, onEvent });
            told.installed = true;
        }
    } catch (error) {
        told.error = String(error.message || error);
    }
    await window.__TAURI__.pytauri.pyInvoke("report", { text: JSON.stringify(told) });
}
addEventListener("DOMContentLoaded", run);
</script>"""
CAPABILITY = {
    "identifier": "default",
    "windows": ["main"],
    "permissions": ["core:default", "updater:default", "pytauri:default"],
}


class Report(BaseModel):
    text: str


commands = Commands()


@commands.command()
async def report(body: Report) -> bool:
    print(body.text, flush=True)
    os._exit(0)  # an orderly end races with the answer to this call


def lay_out(asked: dict[str, Any]) -> Path:
    """Write the project folder that Tauri reads; return it."""
    folder = Path(asked["folder"])
    (folder / "capabilities").mkdir(parents=True, exist_ok=True)
    (folder / "frontend").mkdir(exist_ok=True)
    options = {"headers": list(asked.get("headers", {}).items())}
    (folder / "frontend" / "index.html").write_text(PAGE % json.dumps(options))
    (folder / "capabilities" / "default.json").write_text(json.dumps(CAPABILITY))
    config = {
        "productName": "field",
        "version": asked["version"],
        "identifier": "org.example.field",
        "build": {"frontendDist": "./frontend"},
        "app": {"withGlobalTauri": True, "windows": [{"label": "main", "visible": False}], "security": {"csp": None}},
        "plugins": {
            "updater": {
                "endpoints": [asked["endpoint"]],
                "pubkey": asked["pubkey"],
                "dangerousInsecureTransportProtocol": True,
            }
        },
    }
    (folder / "tauri.conf.json").write_text(json.dumps(config))
    return folder


def main() -> int:
    folder = lay_out(json.loads(sys.argv[1]))
    with start_blocking_portal("asyncio") as portal:
        app = builder_factory().build(
            context=context_factory(folder.resolve()), invoke_handler=commands.generate_handler(portal)
        )
        app.handle().plugin(updater.Builder.build())
        return app.run_return()


if __name__ == "__main__":
    sys.exit(main())
