"""Addresses of blob stores."""

from __future__ import annotations

from pathlib import Path

import pytest

from updater.artifacts.location import complete, parse_location
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


def test_a_completed_address_says_all_to_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a+b/c=&d %")
    monkeypatch.setenv("AWS_REGION", "mars")
    said = complete("s3://bucket/apps?region=venus&endpoint=http://127.0.0.1:1")
    here = parse_location(said)
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_REGION", "pluto")
    assert parse_location(said) == here
    assert here.options == {
        "secret_access_key": "a+b/c=&d %",
        "region": "venus",
        "endpoint": "http://127.0.0.1:1",
    }


def test_a_secret_is_read_as_it_is() -> None:
    found = parse_location("s3://bucket?secret_access_key=a+b/c%3D%26d")
    assert found.options["secret_access_key"] == "a+b/c=&d"


def test_a_location_shows_no_secret() -> None:
    found = parse_location("s3://bucket/p?secret_access_key=hidden")
    assert str(found) == "s3://bucket/p"
    assert "hidden" not in repr(found)


@pytest.mark.parametrize("prefix", ["a", "a/b", "updates/v1.0_x-y~z", "...", "/a/"])
def test_a_prefix_is_taken(prefix: str) -> None:
    assert parse_location(f"az://container/{prefix}").prefix == prefix.strip("/")


@pytest.mark.parametrize(
    "url",
    [
        *("bucket", "s4://bucket", "s3:///prefix", "s3://me:secret@bucket", "s3://b?a=1&a=2"),
        *("s3://b/a b", "az://c/a%20b", "gs://b/\u00fc", "az://c/a//b", "az://c/../b", "s3://b/a/.", "s3://b/a+b"),
    ],
)
def test_other_addresses_are_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"storage\.blob_url"), open_blobs(url, tmp_path):
        pass


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (
            "s3://b?secret_acces_key=hidden",
            "s3://b: Configuration key: 'secret_acces_key' is not valid for",
        ),
        ("s3://b?access_key_id=hidden", "s3://b: Missing SecretAccessKey"),
        ("s3://b?conditional_put=hidden", 's3://b: Failed to parse "..." as S3PutConditional'),
        ("s3://b?endpoint=hidden", "the option endpoint expects an address such as https://store.example.com"),
        ("az://c", "az://c: Account must be specified"),
        ("az://c?account_nam=hidden", "az://c: Configuration key: 'account_nam' is not valid for"),
        ("az://c?account_name=a&account_key=hidden!", "az://c: Invalid Access Key"),
        ("az://c?account_name=a&use_emulator=hidden", 'az://c: failed to parse "..." as boolean'),
        ("az://c?account_name=a&sas_key=hidden", "az://c: Missing component in SAS query pair"),
        ("az://c?account_name=a&endpoint=hidden", "the option endpoint expects an address"),
        ("gs://b?service_acount=hidden", "gs://b: Configuration key: 'service_acount' is not valid for store 'GCS'."),
        ("gs://b?service_account=/no/hidden", "gs://b: GCP credential error: Unable to open service account file"),
        ("gs://b?service_account_key=hidden", "gs://b: GCP credential error: Unable to decode service account file"),
        ("gs://b?base_url=hidden", "the option base_url expects an address"),
        ("s3://b?allow_http=hidden", 's3://b: failed to parse "..." as boolean'),
        ("s3://b?root_certificate=hidden", "s3://b: No certificates found"),
        ("s3://b?timeout=1s", "s3://b: the option timeout is not taken"),
        ("az://c?account_name=a&http2_only=true", "az://c: the option http2_only is not taken"),
    ],
)
def test_options_that_do_not_fit_are_refused_on_one_line_without_their_values(
    url: str, reason: str, tmp_path: Path
) -> None:
    pytest.importorskip("obstore")
    with pytest.raises(ConfigurationError) as caught, open_blobs(url, tmp_path):
        pass
    said = str(caught.value)
    assert said.startswith(f"storage.blob_url: {reason}")
    assert "hidden" not in said
    assert "\n" not in said


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
