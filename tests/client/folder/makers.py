"""Folders in the shape that build tools leave, with real digests and signatures."""

from __future__ import annotations

import base64
import hashlib
import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SPARKLE = "http://www.andymatuschak.org/xml-namespaces/sparkle"


def content(seed: str, size: int = 5000) -> bytes:
    return random.Random(seed).randbytes(size)


def place(folder: Path, name: str, data: bytes | str | None = None) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content(name) if data is None else data
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def sha512(path: Path) -> str:
    return base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()


def sha1(path: Path) -> str:
    return hashlib.sha1(path.read_bytes()).hexdigest().upper()


class MinisignKey:
    """A key that signs as minisign and Tauri do."""

    def __init__(self) -> None:
        self._private = Ed25519PrivateKey.generate()
        self._id = bytes(range(8))

    @property
    def public_text(self) -> str:
        """Return the two lines of a minisign public key."""
        raw = self._private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        line = base64.b64encode(b"Ed" + self._id + raw).decode()
        return f"untrusted comment: minisign public key: 0001020304050607\n{line}\n"

    @property
    def tauri_public_key(self) -> str:
        return base64.b64encode(self.public_text.encode()).decode()

    def sign(self, path: Path) -> str:
        """Return the text of a `.minisig`."""
        signature = self._private.sign(hashlib.blake2b(path.read_bytes()).digest())
        comment = f"timestamp:1700000000\tfile:{path.name}"
        everything = self._private.sign(signature + comment.encode())
        line = base64.b64encode(b"ED" + self._id + signature).decode()
        last = base64.b64encode(everything).decode()
        return f"untrusted comment: signature from tauri secret key\n{line}\ntrusted comment: {comment}\n{last}\n"

    def tauri(self, path: Path) -> Path:
        """Write the `.sig` that Tauri leaves beside a bundle."""
        text = base64.b64encode(self.sign(path).encode()).decode()
        return place(path.parent, f"{path.name}.sig", text)


class SparkleKey:
    """A key that signs as Sparkle does."""

    def __init__(self) -> None:
        self._private = Ed25519PrivateKey.generate()

    @property
    def public_text(self) -> str:
        raw = self._private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return base64.b64encode(raw).decode()

    def sign(self, path: Path) -> str:
        return base64.b64encode(self._private.sign(path.read_bytes())).decode()


def latest_yml(folder: Path, name: str, version: str, files: list[Path], **more: Any) -> Path:
    """Write what electron-builder writes: names with spaces as release pages have them."""
    entries = [
        {"url": path.name.replace(" ", "-"), "sha512": sha512(path), "size": path.stat().st_size} for path in files
    ]
    first = {"path": entries[0]["url"], "sha512": entries[0]["sha512"]}
    document = {"version": version, "files": entries, **first, **more, "releaseDate": "2026-01-02T03:04:05.678Z"}
    return place(folder, name, yaml.safe_dump(document, sort_keys=False))


def electron(folder: Path, version: str = "1.2.0", **more: Any) -> Path:
    """Leave what electron-builder leaves after building for all three systems."""
    setup = place(folder, f"My App Setup {version}.exe")
    place(folder, f"My App Setup {version}.exe.blockmap")
    place(folder, "win-unpacked/My App.exe")
    place(folder, "win-unpacked/resources/elevate.exe")
    place(folder, "builder-debug.yml", "x64:\n  firstOrDefaultFilePatterns: ['**/*']\n")
    place(folder, "builder-effective-config.yaml", "directories:\n  output: dist\n")
    place(folder, ".icon-ico/icon.ico")
    latest_yml(folder, "latest.yml", version, [setup], **more)
    macs = []
    for name in (
        f"My App-{version}-mac.zip",
        f"My App-{version}-arm64-mac.zip",
        f"My App-{version}.dmg",
        f"My App-{version}-arm64.dmg",
    ):
        macs.append(place(folder, name))
        place(folder, f"{name}.blockmap")
    place(folder, "mac/My App.app/Contents/MacOS/My App")
    latest_yml(folder, "latest-mac.yml", version, macs, minimumSystemVersion="21.6.0", **more)
    linux = [place(folder, f"my-app-{version}.AppImage"), place(folder, f"my-app_{version}_amd64.deb")]
    latest_yml(folder, "latest-linux.yml", version, linux, **more)
    arm = place(folder, f"my-app-{version}-arm64.AppImage")
    latest_yml(folder, "latest-linux-arm64.yml", version, [arm], **more)
    return folder


def tauri(folder: Path, key: MinisignKey, version: str = "1.2.0") -> Path:
    """Leave what Tauri leaves in `target/release/bundle`, of all systems."""
    signed = [
        place(folder, f"appimage/my-app_{version}_amd64.AppImage"),
        place(folder, f"deb/my-app_{version}_amd64.deb"),
        place(folder, f"rpm/my-app-{version}-1.x86_64.rpm"),
        place(folder, f"nsis/My App_{version}_x64-setup.exe"),
        place(folder, f"msi/My App_{version}_x64_en-US.msi"),
        place(folder, "macos/My App.app.tar.gz"),
    ]
    for path in signed:
        key.tauri(path)
    place(folder, f"dmg/My App_{version}_aarch64.dmg")
    place(folder, "dmg/bundle_dmg.sh", "#!/bin/sh\n")
    place(folder, "dmg/icon.icns")
    place(folder, "macos/My App.app/Contents/MacOS/my-app")
    place(folder, "appimage/my-app.AppDir/usr/bin/my-app")
    place(folder, f"deb/my-app_{version}_amd64/control.tar.gz")
    place(folder, f"deb/my-app_{version}_amd64/data.tar.gz")
    return folder


def velopack(folder: Path, versions: tuple[str, ...] = ("1.1.0", "1.2.0"), word: str = "win", **more: Any) -> Path:
    """Leave what `vpk pack` leaves when it was called for several versions, one after the other."""
    end = "" if word == "win" else f"-{word}"
    assets, lines, latest = [], [], []
    for number, version in enumerate(versions):
        for kind in ("full", "delta") if number else ("full",):
            path = place(folder, f"My.App-{version}{end}-{kind}.nupkg")
            entry = {"PackageId": "My.App", "Version": version, "Type": kind.capitalize(), "FileName": path.name}
            entry |= {"SHA1": sha1(path), "SHA256": hashlib.sha256(path.read_bytes()).hexdigest().upper()}
            assets.append({**entry, "Size": path.stat().st_size, "NotesMarkdown": f"# News of {version}", **more})
            lines.append(f"{sha1(path)} {path.name} {path.stat().st_size}")
            if version == versions[-1]:
                latest.append({"RelativeFileName": path.name, "Type": kind.capitalize()})
    setup = f"My.App-{word}-Setup.{'pkg' if word == 'osx' else 'exe'}"
    place(folder, setup)
    place(folder, f"My.App-{word}-Portable.zip")
    latest += [
        {"RelativeFileName": setup, "Type": "Installer"},
        {"RelativeFileName": f"My.App-{word}-Portable.zip", "Type": "Portable"},
    ]
    place(folder, f"releases.{word}.json", json.dumps({"Assets": assets}))
    place(folder, f"assets.{word}.json", json.dumps(latest))
    place(folder, "RELEASES" if word == "win" else f"RELEASES-{word}", "\ufeff" + "\r\n".join(lines))
    return folder


def squirrel(folder: Path, version: str = "1.2.0") -> Path:
    """Leave what electron-winstaller leaves."""
    old = place(folder, "my_app-1.1.0-full.nupkg")
    full, delta = place(folder, f"my_app-{version}-full.nupkg"), place(folder, f"my_app-{version}-delta.nupkg")
    lines = [f"{sha1(path)} {path.name} {path.stat().st_size}" for path in (old, delta, full)]
    place(folder, "RELEASES", "\ufeff" + "\n".join(lines))
    place(folder, f"My App-{version} Setup.exe")
    return folder


def sparkle(folder: Path, key: SparkleKey, item: str = "", **names: str) -> Path:
    """Leave what `generate_appcast` leaves: archives of two versions, a delta between them, and the appcast."""
    old, new = place(folder, "MyApp-1.0.zip"), place(folder, "MyApp-2.0.zip")
    delta = place(folder, "MyApp2042-1007.delta")
    items = [
        _item("1.0", "1007", old, key),
        _item(
            "2.0",
            "2042",
            new,
            key,
            "<sparkle:minimumSystemVersion>12.0</sparkle:minimumSystemVersion>"
            "<description><![CDATA[<h2>News</h2><ul><li>Faster</li></ul>]]></description>"
            f"<sparkle:deltas><enclosure url='https://example.com/{delta.name}' sparkle:deltaFrom='1007' "
            f"length='{delta.stat().st_size}' type='application/octet-stream' sparkle:edSignature='{key.sign(delta)}'/>"
            f"</sparkle:deltas>{item}",
        ),
    ]
    text = f"<?xml version='1.0' encoding='utf-8'?>\n<rss xmlns:sparkle='{SPARKLE}' version='2.0'>"
    text += "<channel><title>MyApp</title>"
    place(folder, "appcast.xml", text + "".join(items) + "</channel></rss>")
    return folder


def _item(version: str, build: str, path: Path, key: SparkleKey, more: str = "") -> str:
    return (
        f"<item><title>{version}</title><sparkle:version>{build}</sparkle:version>"
        f"<sparkle:shortVersionString>{version}</sparkle:shortVersionString>{more}"
        f"<enclosure url='https://example.com/{path.name}' length='{path.stat().st_size}' "
        f"type='application/octet-stream' sparkle:edSignature='{key.sign(path)}'/></item>"
    )


def tree(folder: Path) -> Mapping[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
