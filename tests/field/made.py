"""Small files of the kinds that build tools leave: images, packages, signatures; two versions differ in a few bytes."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import random
import zipfile
import zlib

import bsdiff4
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SIZE_BYTES = 400_000
_BLOCK_BYTES = 16_384
_NUSPEC = """<?xml version="1.0" encoding="utf-8"?>
<package xmlns="http://schemas.microsoft.com/packaging/2010/07/nuspec.xsd"><metadata><id>{package_id}</id>
<version>{version}</version><title>Field</title><authors>Field</authors><description>Field</description>
<requireLicenseAcceptance>false</requireLicenseAcceptance></metadata></package>"""
_TYPES = """<?xml version="1.0" encoding="utf-8"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Default Extension="nuspec" ContentType="application/octet"/><Default Extension="bin" ContentType="application/octet"/>
</Types>"""
_RELATIONS = """<?xml version="1.0" encoding="utf-8"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
<Relationship Type="http://schemas.microsoft.com/packaging/2010/07/manifest" Target="/{package_id}.nuspec" Id="R0"/>
</Relationships>"""


def content(kind: str, version: str) -> bytes:
    """Return bytes that no compressor makes smaller, of which versions of a kind differ in three places."""
    same = bytearray(random.Random(kind).randbytes(SIZE_BYTES))
    for start in (100_000, 200_000, 300_000):
        same[start : start + 32] = hashlib.sha256(f"{version} {start}".encode()).digest()
    return bytes(same)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def app_image(version: str) -> bytes:
    """Return an image with the block map that electron-builder puts at its end."""
    image = content("image", version)
    blocks = [image[start : start + _BLOCK_BYTES] for start in range(0, len(image), _BLOCK_BYTES)]
    checksums = [base64.b64encode(hashlib.blake2b(block, digest_size=18).digest()).decode() for block in blocks]
    file = {"name": "file", "offset": 0, "checksums": checksums, "sizes": [len(block) for block in blocks]}
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = deflate.compress(json.dumps({"version": "2", "files": [file]}).encode()) + deflate.flush()
    return image + packed + len(packed).to_bytes(4)


def package(package_id: str, version: str) -> bytes:
    """Return a full NuGet package with two files, of which one is the same in all versions."""
    return _zip(package_id, version, {"field.bin": content("package", version), "same.bin": b"same"})


def squirrel_delta(package_id: str, old: str, new: str) -> bytes:
    """Return what Squirrel.Windows makes for an update. Source: Squirrel.Windows, DeltaPackage.cs."""
    before, after = content("package", old), content("package", new)
    sha1 = f"{hashlib.sha1(after).hexdigest().upper()} field.bin {len(after)}"
    files = {"field.bin.bsdiff": bsdiff4.diff(before, after), "field.bin.shasum": sha1.encode()}
    return _zip(package_id, new, {**files, "same.bin.diff": b"", "same.bin.shasum": b""})


def velopack_delta(package_id: str, old: str, new: str) -> bytes:
    """Return a delta for the updater that `drivers/velopack_app.py` installs beside its application."""
    patch = bsdiff4.diff(package(package_id, old), package(package_id, new))
    return _zip(package_id, new, {"package.bsdiff": patch})


def _zip(package_id: str, version: str, files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    always = {
        "_rels/.rels": _RELATIONS.format(package_id=package_id).encode(),
        f"{package_id}.nuspec": _NUSPEC.format(package_id=package_id, version=version).encode(),
        "[Content_Types].xml": _TYPES.encode(),
    }
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {**always, **{f"lib/net45/{name}": data for name, data in files.items()}}.items():
            # One moment for all, so that the same version is the same bytes.
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 2, 3, 4, 4)), data, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


class SparkleKey:
    """A key of Sparkle's generate_keys: EdDSA over the raw bytes."""

    def __init__(self, seed: bytes = b"field") -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(seed).digest())
        self.public = base64.b64encode(self._key.public_key().public_bytes_raw()).decode()

    def sign(self, data: bytes) -> str:
        return base64.b64encode(self._key.sign(data)).decode()
