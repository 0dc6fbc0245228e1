"""Addresses of blob stores."""

from __future__ import annotations

from pathlib import Path

import pytest

from updater.artifacts.location import parse_location
from updater.artifacts.opening import open_blobs
from updater.config import load
from updater.errors import ConfigurationError


def test_the_query_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "from-environment")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "not-for-s3")
    found = parse_location("s3://bucket/some/prefix/?access_key_id=from-query")
    assert (found.bucket, found.prefix) == ("bucket", "some/prefix")
    assert found.options["access_key_id"] == "from-query"
    assert found.options["region"] == "eu-central-1"
    assert "account_name" not in found.options


def test_a_secret_is_read_as_it_is() -> None:
    found = parse_location("s3://bucket?secret_access_key=a+b/c%3D%26d")
    assert found.options["secret_access_key"] == "a+b/c=&d"


def test_a_location_shows_no_secret() -> None:
    found = parse_location("s3://bucket/p?secret_access_key=hidden")
    assert str(found) == "s3://bucket/p"
    assert "hidden" not in repr(found)


@pytest.mark.parametrize("url", ["bucket", "s4://bucket", "s3:///prefix", "s3://me:secret@bucket", "s3://b?a=1&a=2"])
def test_other_addresses_are_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"storage\.blob_url"), open_blobs(url, tmp_path):
        pass


def test_an_option_that_nobody_knows_is_refused_without_its_value(tmp_path: Path) -> None:
    pytest.importorskip("obstore")
    with pytest.raises(ConfigurationError) as caught, open_blobs("s3://b?secret_acces_key=hidden", tmp_path):
        pass
    assert "s3://b" in str(caught.value)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/prefix?region=eu-central-1&access_key_id=a&secret_access_key=b",
        "gs://bucket/prefix?skip_signature=true",
        "az://container/prefix?account_name=a&account_key=Zm9v",
    ],
)
def test_every_provider_opens_without_a_request(url: str, tmp_path: Path) -> None:
    pytest.importorskip("obstore")
    with open_blobs(url, tmp_path) as store:
        assert store.locate("0" * 64) is None


@pytest.mark.parametrize(
    ("setting", "value", "part"),
    [
        ("BLOB_URL", "http://bucket", "storage.blob_url: the given value does not fit"),
        ("OFFLOAD", "x-accel", "offload sends local files"),
        ("MAX_UPLOAD_BYTES", str(5 * 1024**3 + 1), "at most 5368709120 bytes"),
        ("REMOTE_DOWNLOADS", "proxy", "storage.remote_downloads"),
    ],
)
def test_settings_that_contradict_stop_the_start(setting: str, value: str, part: str) -> None:
    environment = {"UPDATER_STORAGE__BLOB_URL": "s3://bucket/prefix", f"UPDATER_STORAGE__{setting}": value}
    with pytest.raises(ConfigurationError) as caught:
        load(None, environment)
    assert part in str(caught.value)
