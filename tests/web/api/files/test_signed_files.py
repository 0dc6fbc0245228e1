"""Signatures at the door: made by the developer, held to the keys of the application, never changed."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.stored import everything
from tests.web.api.files.test_companions import ONE, OTHER, U, add, at, listed

OURS, FOREIGN = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()


def public(key: Ed25519PrivateKey) -> str:
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def signed(content: bytes, key: Ed25519PrivateKey = OURS) -> str:
    return base64.b64encode(key.sign(content)).decode()


async def with_keys(service: Any, *keys: Ed25519PrivateKey) -> None:
    body = {"keys": {"ed25519": [public(key) for key in keys]}}
    await service.call("PUT", "/api/v1/applications/my-app", key="admin", json=body, status=200)


async def test_keys_are_shown_and_checked(service: Any) -> None:
    await with_keys(service, OURS, FOREIGN)
    shown = await service.call("GET", "/api/v1/applications/my-app", key="read", status=200)
    assert shown["keys"] == {"ed25519": [public(OURS), public(FOREIGN)]}
    for keys, field in (
        ({"ed25519": ["nonsense"]}, "keys.ed25519.0"),
        ({"minisign": [public(OURS), "RW"]}, "keys.minisign.0"),
        ({"ed25519": [public(OURS)] * 5}, "keys.ed25519"),
        ({"rsa": []}, "keys.rsa"),
    ):
        refused = await service.call("PUT", "/api/v1/applications/my-app", key="admin", json={"keys": keys}, status=422)
        assert field in refused["errors"], refused
    await service.application("signed", keys={"ed25519": [public(OURS)]})
    again = await service.call("GET", "/api/v1/applications/signed", key="read", status=200)
    assert again["keys"] == {"ed25519": [public(OURS)]}


async def test_a_signature_is_held_to_the_keys(service: Any) -> None:
    await with_keys(service, FOREIGN, OURS)
    await service.publish(b"primary", ed25519=signed(b"primary"))
    before = await everything(service)
    for bad in (signed(OTHER), signed(ONE, Ed25519PrivateKey.generate()), "nonsense", base64.b64encode(b"x").decode()):
        refused = await add(service, "a.zip", ed25519=bad, status=422)
        assert set(refused["errors"]) == {"ed25519"}
    assert await everything(service) == before, "nothing is stored"
    await add(service, "a.zip", ed25519=signed(ONE))
    assert [each["signatures"] for each in await listed(service)] == [["ed25519"], ["ed25519"]]


async def test_without_keys_the_form_alone_counts(service: Any) -> None:
    await service.publish(b"primary", ed25519=signed(OTHER))
    refused = await add(service, "a.zip", ed25519="nonsense", minisign="nonsense", status=422)
    assert set(refused["errors"]) <= {"ed25519", "minisign"}


async def test_a_signature_given_later(service: Any) -> None:
    await service.publish(b"primary")
    await add(service, "a.zip")
    await with_keys(service, OURS)
    path = f"{at('a.zip')}/signatures"
    refused = await service.call("PUT", path, key="write", json={"ed25519": signed(OTHER)}, status=422)
    assert set(refused["errors"]) == {"ed25519"}
    for _ in range(2):
        made = await service.call("PUT", path, key="write", json={"ed25519": signed(ONE)}, status=200)
        assert (made["file_name"], made["signatures"]) == ("a.zip", ["ed25519"])
    await with_keys(service, FOREIGN)
    assert [each["signatures"] for each in await listed(service)] == [[], ["ed25519"]], (
        "later keys touch nothing stored"
    )
    other = await service.call("PUT", path, key="write", json={"ed25519": signed(ONE, FOREIGN)}, status=409)
    assert other["details"]["signatures"] == ["ed25519"]
    assert "minisign" in (await service.call("PUT", path, key="write", json={}, status=422))["errors"]
    await service.call("PUT", f"{at('b.zip')}/signatures", key="write", json={"ed25519": signed(ONE)}, status=404)
    await service.call("PUT", path, key="read", json={"ed25519": signed(ONE)}, status=403)


async def test_the_same_bytes_with_a_signature_add_it(service: Any) -> None:
    await service.publish(b"primary")
    await add(service, "a.zip")
    await add(service, "a.zip", ed25519=signed(ONE), status=200)
    assert (await listed(service))[1]["signatures"] == ["ed25519"]
    await add(service, "a.zip", ed25519=signed(ONE, FOREIGN), status=409)


async def test_the_same_again_is_success_whatever_the_keys_are_by_now(service: Any) -> None:
    await service.publish(b"primary")
    await with_keys(service, OURS)
    path, body = f"{at('a.zip')}/signatures", {"ed25519": signed(ONE)}
    first = await add(service, "a.zip", **body)
    await with_keys(service, FOREIGN)
    assert await add(service, "a.zip", status=200, **body) == first
    await service.call("PUT", path, key="write", json=body, status=200)
    await service.call("PUT", path, key="write", json={"ed25519": f" {signed(ONE)}\n"}, status=200)
    await add(service, "b.zip", status=422, **body)
    await service.publish(b"arm", arch="arm64")
    await add(service, "a.zip", status=422, also="arm64", **body)


async def test_other_bytes_in_a_draft_lose_the_signature(service: Any) -> None:
    await service.publish(b"primary", draft="true")
    await add(service, "a.zip", ed25519=signed(ONE))
    await add(service, "a.zip", OTHER, status=200)
    assert (await listed(service))[1]["signatures"] == []
    await service.call(
        "PUT",
        f"{U}/builds/1.0.0/linux/amd64",
        key="write",
        data=b"primary",
        params={"ed25519": signed(b"primary")},
        status=200,
    )
    assert (await listed(service))[0]["signatures"] == ["ed25519"]


@pytest.mark.parametrize("tail", ["", "\n"])
async def test_minisign_by_its_own_program(service: Any, tmp_path: Any, tail: str) -> None:
    """The real program makes key and signature; Tauri's form of them is taken as well."""
    import shutil
    import subprocess

    if shutil.which("minisign") is None:
        pytest.skip("needs minisign")
    key, secret, file = tmp_path / "k.pub", tmp_path / "k.key", tmp_path / "a.zip"
    subprocess.run(["minisign", "-G", "-W", "-p", key, "-s", secret], check=True, capture_output=True)
    file.write_bytes(ONE)
    subprocess.run(["minisign", "-S", "-s", secret, "-m", file], check=True, capture_output=True)
    text = (tmp_path / "a.zip.minisig").read_text() + tail
    tauri = base64.b64encode(text.encode()).decode()
    body = {"keys": {"minisign": [base64.b64encode(key.read_bytes()).decode()]}}
    await service.call("PUT", "/api/v1/applications/my-app", key="admin", json=body, status=200)
    await service.publish(b"primary")
    assert set((await add(service, "a.zip", OTHER, minisign=tauri, status=422))["errors"]) == {"minisign"}
    await add(service, "a.zip", minisign=tauri if tail else text)
    await add(service, "a.zip", minisign=text if tail else tauri, status=200)
    assert (await listed(service))[1]["signatures"] == ["minisign"]
