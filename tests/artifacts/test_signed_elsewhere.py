"""Signatures of files in an object store: the object is read back once; when that fails, nothing is stored."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.artifacts.test_remote_faults import Rig, rig
from tests.faults import CutAnswer, Refuse, Swallow
from tests.stored import everything

__all__ = ["rig"]

KEY = Ed25519PrivateKey.generate()
CONTENT = b"bytes in a bucket" * 20_000
PATH = "/api/v1/updates/my-app/builds/1.0.0/linux/amd64"


def signed(content: bytes) -> str:
    return base64.b64encode(KEY.sign(content)).decode()


async def add(rig: Rig, name: str, status: int, **query: Any) -> Any:
    given = {"data": CONTENT, "params": query}
    return await rig.service.call("PUT", f"{PATH}/files/{name}", key="write", status=status, **given)


@pytest.mark.parametrize("rig", ["ceph", "azurite"], indirect=True)
async def test_a_signature_over_an_object(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    service = rig.service
    keys = {"keys": {"ed25519": [base64.b64encode(KEY.public_key().public_bytes_raw()).decode()]}}
    await service.call("PUT", "/api/v1/applications/my-app", key="admin", json=keys, status=200)
    await service.publish(b"primary")
    before = await everything(service)
    assert set((await add(rig, "a.zip", 422, ed25519=signed(b"other")))["errors"]) == {"ed25519"}
    checks = service.services.companions._signatures
    check = checks._check

    for fault in (CutAnswer(2_000), Refuse(500), Refuse(403), Swallow()):

        async def fail(*given: Any, fault: Any = fault) -> None:
            """From now on the store fails: the upload is complete, and is about to be read back."""
            rig.spoil(standing=fault)
            await check(*given)

        monkeypatch.setattr(checks, "_check", fail)
        answer, _ = await service.exchange(
            "PUT", f"{PATH}/files/a.zip", key="write", data=CONTENT, params={"ed25519": signed(CONTENT)}
        )
        assert answer.status == 503, fault
        rig.heal()
        assert await everything(service) == before, fault
    monkeypatch.setattr(checks, "_check", check)
    await add(rig, "a.zip", 201, ed25519=signed(CONTENT))
    body = {"ed25519": signed(b"primary")}
    made = await service.call("PUT", f"{PATH}/files/my-app-1.0.0-linux-amd64/signatures", key="write", json=body)
    assert made["signatures"] == ["ed25519"], "a stored object is read in the same way"
