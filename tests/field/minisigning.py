"""Signatures of the real minisign, as Tauri has them."""

from __future__ import annotations

import base64
from pathlib import Path

from tests.field.running import run


class Minisign:
    """A pair of keys of the program minisign, without a password."""

    def __init__(self, program: str, folder: Path) -> None:
        self.program, self._folder = program, folder
        folder.mkdir()
        self._run("-G", "-W", "-p", "key.pub", "-s", "key.sec")
        # What `tauri signer generate` prints, and tauri.conf.json holds.
        self.public = base64.b64encode((folder / "key.pub").read_bytes()).decode()

    def sign(self, data: bytes) -> str:
        """Return what `tauri build` writes to {file}.sig."""
        (self._folder / "file").write_bytes(data)
        self._run("-S", "-s", "key.sec", "-m", "file", "-t", "timestamp:1767323045\tfile:file")
        return base64.b64encode((self._folder / "file.minisig").read_bytes()).decode()

    def verify(self, data: bytes, signature: str) -> None:
        """Let minisign verify the signature of a Tauri feed."""
        (self._folder / "got").write_bytes(data)
        (self._folder / "got.minisig").write_bytes(base64.b64decode(signature))
        self._run("-V", "-p", "key.pub", "-m", "got")

    def _run(self, *words: str) -> None:
        ran = run([self.program, *words], cwd=self._folder)
        assert ran.returncode == 0, ran.stdout + ran.stderr
