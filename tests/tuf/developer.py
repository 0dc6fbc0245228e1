"""A developer with python-tuf: a repository of four roles in memory, and what of it changed since it was last taken."""

from __future__ import annotations

import copy
from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization.json import JSONSerializer
from tuf.repository import Repository

TOP = ("root", "timestamp", "snapshot", "targets")


class Developer(Repository):
    """Signs everything with a key of its role. `taken()` returns the files since the last call, by name."""

    def __init__(self, *, consistent: bool = True, days: float = 30) -> None:
        self.days = days
        self.consistent = consistent
        self.signers = {role: CryptoSigner.generate_ed25519() for role in TOP}
        self.files: dict[str, bytes] = {}
        self.targets_by_path: dict[str, bytes] = {}
        self._roles: dict[str, list[Metadata[Any]]] = defaultdict(list)
        self._new: dict[str, bytes] = {}
        root = Root(consistent_snapshot=consistent)
        for role, signer in self.signers.items():
            root.add_key(signer.public_key, role)
        self._roles["root"].append(Metadata(root))
        root.version = 0
        for signed in (Timestamp(), Snapshot(), Targets()):
            signed.version = 0
            self._roles[signed.type].append(Metadata(signed))
        for role in ("root", "targets"):
            with self.edit(role):
                pass
        self.do_snapshot(force=True)
        self.do_timestamp(force=True)

    @property
    def targets_infos(self) -> dict[str, MetaFile]:
        return {
            f"{role}.json": MetaFile(kept[-1].signed.version)
            for role, kept in self._roles.items()
            if kept[-1].signed.type == "targets"
        }

    @property
    def snapshot_info(self) -> MetaFile:
        return MetaFile(self._roles["snapshot"][-1].signed.version)

    def open(self, role: str) -> Metadata[Any]:
        kept = self._roles[role]
        return copy.deepcopy(kept[-1]) if kept else Metadata(Targets())

    def close(self, role: str, md: Metadata[Any]) -> None:
        # The first version of a new delegated role is its 1st.
        md.signed.version += 1 if self._roles[role] else 0
        md.signed.expires = datetime.utcnow().replace(microsecond=0) + timedelta(days=self.days)
        md.signatures.clear()
        md.sign(self.signers[role])
        if role == "root" and len(self._roles[role]) > 1:
            for signer in self.retired:
                md.sign(signer, append=True)
        self._roles[role].append(md)
        body = md.to_bytes(JSONSerializer())
        numbered = role == "root" or (self.consistent and role != "timestamp")
        names = [f"{md.signed.version}.{role}.json"] if numbered else []
        if not self.consistent or role == "timestamp":
            names.append(f"{role}.json")
        for name in names:
            self._new[name] = self.files[name] = body

    retired: tuple[CryptoSigner, ...] = ()

    def taken(self) -> dict[str, bytes]:
        new, self._new = self._new, {}
        return new

    def release(self, path: str, content: bytes) -> None:
        """Add a target, and sign everything that follows."""
        self.targets_by_path[path] = content
        with self.edit_targets() as targets:
            targets.targets[path] = TargetFile.from_data(path, content, ["sha256"])
        self.do_snapshot()
        self.do_timestamp()

    def rotate_root(self) -> None:
        """Replace the key of the root; the old one signs the new root, too."""
        old, new = self.signers["root"], CryptoSigner.generate_ed25519()
        self.retired, self.signers["root"] = (old,), new
        with self.edit_root() as root:
            root.add_key(new.public_key, "root")
            root.revoke_key(old.public_key.keyid, "root")
        self.retired = ()

    def delegate(self, role: str, paths: list[str], path: str, content: bytes) -> None:
        """Let a role of its own sign some paths, and one target with it."""
        signer = self.signers[role] = CryptoSigner.generate_ed25519()
        key = signer.public_key
        with self.edit_targets() as targets:
            targets.delegations = Delegations(
                {key.keyid: key}, {role: DelegatedRole(role, [key.keyid], 1, True, paths=paths)}
            )
        self.targets_by_path[path] = content
        with self.edit(role) as signed:
            signed.targets[path] = TargetFile.from_data(path, content, ["sha256"])
        self.do_snapshot()
        self.do_timestamp()
