"""What a service says at its start about an object store that will never serve it, and about one that may later."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import settings_tree
from tests.faults import FaultProxy, Swallow
from tests.servers.azurite import Azurite
from tests.servers.buckets import Buckets
from tests.servers.ceph import Ceph
from updater.artifacts.location import parse_location
from updater.artifacts.opening import open_blobs, require_usable
from updater.artifacts.remote import RemoteBlobStore
from updater.errors import ConfigurationError, Unavailable


async def refusal(url: str, *, signs: bool = True, writes: bool = True) -> str:
    with pytest.raises(ConfigurationError) as caught, open_blobs(url, Path()) as store:
        await require_usable(store, signs=signs, writes=writes)
    said = str(caught.value)
    assert "\n" not in said
    return said


async def test_a_good_store_is_taken_and_left_as_it_was(buckets: Buckets) -> None:
    bucket = buckets.make_bucket()
    await require_usable(RemoteBlobStore(parse_location(buckets.url(bucket, "a"))), signs=True)
    assert buckets.keys(bucket) == []


async def test_credentials_that_may_only_read_serve_as_a_source(ceph: Ceph) -> None:
    bucket = ceph.make_bucket()
    url = ceph.url(bucket)
    ceph.allow("read")
    try:
        said = await refusal(url)
        assert said == (
            f"storage.blob_url: s3://{bucket}: writing and deleting: these credentials are refused (403 AccessDenied)"
        )
        await require_usable(RemoteBlobStore(parse_location(url)), writes=False)
    finally:
        ceph.allow("read,write,delete")
    await require_usable(RemoteBlobStore(parse_location(url)))


async def test_a_missing_bucket_is_named(buckets: Buckets) -> None:
    url = buckets.url("no-such-bucket", "apps")
    assert f"storage.blob_url: {parse_location(url)}: there is no such bucket (404 " in await refusal(url)


@pytest.mark.parametrize(
    ("option", "value", "code"),
    [
        ("access_key_id", "nobody", "403 InvalidAccessKeyId"),
        ("secret_access_key", "not-the-secret", "403 SignatureDoesNotMatch"),
        ("skip_signature", "true", "403 AccessDenied"),
    ],
)
async def test_wrong_credentials_of_s3(ceph: Ceph, option: str, value: str, code: str) -> None:
    bucket = ceph.make_bucket()
    said = await refusal(ceph.url(bucket, **{option: value}))
    assert said == f"storage.blob_url: s3://{bucket}: these credentials are refused ({code})"


@pytest.mark.parametrize(
    ("option", "value", "code"),
    [
        ("account_name", "nobody", "403 AuthorizationFailure"),
        ("account_key", "bm90IHRoZSBrZXk=", "403 AuthorizationFailure"),
        ("skip_signature", "true", "403 AuthorizationFailure"),
    ],
)
async def test_wrong_credentials_of_azure(azurite: Azurite, option: str, value: str, code: str) -> None:
    assert f": these credentials are refused ({code})" in await refusal(
        azurite.url(azurite.make_bucket(), **{option: value})
    )


async def test_an_azure_endpoint_without_its_account_is_refused(azurite: Azurite) -> None:
    url = azurite.url(azurite.make_bucket(), endpoint=f"http://127.0.0.1:{azurite.port}")
    assert ": a listing is refused (404 ResourceNotFound)" in await refusal(url)


async def test_a_shared_access_signature_serves_but_cannot_sign(azurite: Azurite) -> None:
    url = azurite.url_with_sas(azurite.make_bucket())
    with open_blobs(url, Path()) as store:
        await require_usable(store, signs=False)
    assert "cannot sign addresses; set storage.remote_downloads to stream" in await refusal(url)


async def test_a_silent_store_does_not_keep_a_service_from_its_start(buckets: Buckets) -> None:
    async with FaultProxy(buckets.port) as proxy:
        proxy.standing = Swallow()
        store = RemoteBlobStore(parse_location(buckets.url(buckets.make_bucket(), port=proxy.port)))
        began_s = time.monotonic()
        await require_usable(store, signs=True)
        assert time.monotonic() - began_s < 10
    await require_usable(store, signs=True)  # the store has stopped


async def test_options_of_the_connection_take_effect(buckets: Buckets) -> None:
    bucket = buckets.make_bucket()
    await RemoteBlobStore(parse_location(buckets.url(bucket))).probe()
    for option in ({"proxy_url": "http://127.0.0.1:1"}, {"allow_http": "false"}):
        with pytest.raises(Unavailable):
            await RemoteBlobStore(parse_location(buckets.url(bucket, **option))).probe()


def test_the_service_says_it_in_one_line_and_ends(buckets: Buckets, tmp_path: Path) -> None:
    environment = settings_tree(tmp_path / "storage", storage={"blob_url": buckets.url("no-such-bucket")})
    environment |= {"UPDATER_SERVER__PORT": "0", "PATH": os.environ["PATH"]}
    command = [sys.executable, "-W", "error", "-m", "updater", "serve"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode not in (0, -9)
    lines = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert len(lines) == 1, done.stderr
    assert "there is no such bucket" in lines[0]
    assert json.loads(environment["UPDATER_STORAGE__BLOB_URL"]) not in done.stdout + done.stderr
