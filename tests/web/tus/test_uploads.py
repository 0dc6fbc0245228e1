"""Uploads that resume: begun, sent in pieces, published once."""

from __future__ import annotations

import base64
import hashlib
import io
from pathlib import Path

import pytest

from tests.conftest import Service
from tests.web.tus.talking import BUILD, PIECE, TUS, UPLOADS, begin, metadata, offset_of, send
from updater.errors import Unavailable

CONTENT = bytes(range(256)) * 5000


def partial_files(service: Service) -> list[str]:
    folder = Path(service.services.settings.storage.root) / "partial"
    return sorted(each.name for each in folder.iterdir() if each.name != "place")


async def download(service: Service, version: str = "1.0.0") -> bytes:
    _, body = await service.exchange("GET", f"/api/v1/updates/my-app/download/{version}/linux/amd64", status=200)
    return body


async def test_options_tell_what_is_spoken(service: Service) -> None:
    response, _ = await service.exchange("OPTIONS", UPLOADS, status=204)
    assert response.headers["Tus-Version"] == "1.0.0"
    assert set(response.headers["Tus-Extension"].split(",")) == {
        "creation",
        "creation-with-upload",
        "expiration",
        "checksum",
        "termination",
    }
    assert response.headers["Tus-Max-Size"] == "2147483648"
    assert response.headers["Tus-Checksum-Algorithm"] == "sha1,sha256"


async def test_pieces_become_a_build(service: Service) -> None:
    url = await begin(service, len(CONTENT), file_name="App.bin", release_notes="Schneller.")
    first = await send(service, url, 0, CONTENT[:500_000])
    assert first.headers["Upload-Offset"] == "500000"
    assert "Upload-Result" not in first.headers
    assert first.headers["Upload-Expires"].endswith("GMT")
    assert await offset_of(service, url) == 500_000
    last = await send(service, url, 500_000, io.BytesIO(CONTENT[500_000:]))
    assert (last.headers["Upload-Offset"], last.headers["Upload-Result"]) == (str(len(CONTENT)), "published")
    told = await service.call("GET", url, key="write", status=200)
    assert told["state"] == "published"
    assert told["result"]["checksum"] == hashlib.sha256(CONTENT).hexdigest()
    assert told["metadata"]["file_name"] == "App.bin"
    assert await download(service) == CONTENT
    assert partial_files(service) == []
    # Whoever lost the answer is told the same.
    again = await send(service, url, len(CONTENT), b"")
    assert again.headers["Upload-Result"] == "published"
    assert await offset_of(service, url) == len(CONTENT)
    page = await service.call("GET", "/api/v1/updates/my-app/history", key="read", status=200)
    assert [each["action"] for each in page["entries"]].count("build.published") == 1


async def test_the_first_piece_may_come_with_the_beginning(service: Service) -> None:
    headers = {
        **TUS,
        "Upload-Length": str(len(CONTENT)),
        "Upload-Metadata": metadata(**BUILD),
        "Content-Type": PIECE,
    }
    response, _ = await service.exchange("POST", UPLOADS, key="write", headers=headers, data=CONTENT[:100], status=201)
    assert response.headers["Upload-Offset"] == "100"
    await send(service, response.headers["Location"], 100, io.BytesIO(CONTENT[100:]))
    assert await download(service) == CONTENT


async def test_a_companion_comes_the_same_way(service: Service) -> None:
    await service.publish(b"primary", file_name="App.bin")
    url = await begin(service, 3, file_name="App.bin.sig", companion="true", kind="other")
    await send(service, url, 0, b"abc")
    told = await service.call("GET", url, key="write", status=200)
    assert told["result"]["file_name"] == "App.bin.sig"
    _, body = await service.exchange("GET", "/api/v1/updates/my-app/download/1.0.0/linux/amd64/App.bin.sig", status=200)
    assert body == b"abc"


@pytest.mark.parametrize(
    ("said", "status", "named"),
    [
        ({"platform": "amiga"}, 422, "platform"),
        ({"version": ""}, 422, "version"),
        ({"wrong": "x"}, 422, "wrong"),
        ({"minimum_version": "2.0.0"}, 422, "minimum_version"),
        ({"channel": "nightly"}, 422, "channel"),
        ({"rollout": "200"}, 422, "rollout"),
        ({"minisign": "none"}, 422, "minisign"),
        ({"kind": "toy"}, 422, "kind"),
        ({"file_name": "App-9.9.9-full.nupkg"}, 422, "file_name"),
        ({"companion": "true", "release_notes": "x", "file_name": "a"}, 422, "release_notes"),
        ({"companion": "true", "file_name": "a"}, 404, None),
        ({"delta_from": "1.0.0"}, 422, "delta_from"),
        ({"application_id": "other-app"}, 404, None),
    ],
)
async def test_a_wrong_field_fails_before_the_bytes(
    service: Service, said: dict[str, str], status: int, named: str | None
) -> None:
    refused = await begin(service, 1_000_000_000, status=status, **said)
    if named is not None:
        assert any(each == named or each.startswith(f"{named}.") for each in refused["errors"]), refused
    assert (await service.call("GET", UPLOADS, key="write"))["uploads"] == []
    assert not (Path(service.services.settings.storage.root) / "partial").exists() or partial_files(service) == []


async def test_what_is_published_is_refused_before_the_bytes(service: Service) -> None:
    await service.publish(b"bytes")
    refused = await begin(service, 5, status=409)
    assert refused["details"]["checksum"] == hashlib.sha256(b"bytes").hexdigest()
    await service.call("DELETE", "/api/v1/updates/my-app/releases/1.0.0/linux/amd64", key="admin")
    refused = await begin(service, 5, status=409, checksum=hashlib.sha256(b"other").hexdigest())
    assert "with other bytes" in refused["message"]
    await begin(service, 5, checksum=hashlib.sha256(b"bytes").hexdigest())


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Tus-Resumable": "0.2.2"}, 412),
        ({"Tus-Resumable": None}, 412),
        ({"Upload-Length": None}, 400),
        ({"Upload-Length": "-1"}, 400),
        ({"Upload-Length": "many"}, 400),
        ({"Upload-Length": "0"}, 422),
        ({"Upload-Length": "2147483649"}, 413),
        ({"Upload-Length": "9" * 30}, 413),
        ({"Upload-Length": None, "Upload-Defer-Length": "1"}, 400),
        ({"Upload-Concat": "partial"}, 400),
        ({"Upload-Metadata": "application_id *"}, 400),
        ({"Upload-Metadata": "version AA==,version AA=="}, 400),
        ({"Upload-Metadata": "version /w=="}, 400),
        ({"Upload-Metadata": None}, 422),
    ],
)
async def test_bad_beginnings(service: Service, headers: dict[str, str | None], status: int) -> None:
    given = {**TUS, "Upload-Length": "5", "Upload-Metadata": metadata(**BUILD), **headers}
    sent = {name: value for name, value in given.items() if value is not None}
    response, _ = await service.exchange("POST", UPLOADS, key="write", headers=sent, status=status)
    assert response.headers["Tus-Resumable"] == "1.0.0"
    assert ("Tus-Version" in response.headers) == (status == 412)


async def test_bad_pieces(service: Service) -> None:
    url = await begin(service, 10)
    await send(service, url, 0, b"12345")
    for headers, status in (
        ({"Tus-Resumable": "2.0.0"}, 412),
        ({"Content-Type": "application/octet-stream"}, 415),
        ({"Upload-Offset": "-1"}, 400),
        ({"Upload-Offset": "five"}, 400),
        ({"Upload-Offset": "4"}, 409),
        ({"Upload-Offset": "6"}, 409),
        ({"Upload-Checksum": "md5 AAAA"}, 400),
        ({"Upload-Checksum": "sha1 AAAA"}, 400),
        ({"Upload-Checksum": "sha1 " + base64.b64encode(hashlib.sha1(b"other").digest()).decode()}, 460),
    ):
        await send(service, url, 5, b"67890", status=status, **headers)
        assert await offset_of(service, url) == 5
    await send(service, url, 5, b"678901", status=413)
    assert await offset_of(service, url) == 5
    await send(service, url[:-1] + ("0" if url[-1] != "0" else "1"), 5, b"67890", status=404)
    digest = base64.b64encode(hashlib.sha256(b"67890").digest()).decode()
    await send(service, url, 5, b"67890", **{"Upload-Checksum": f"sha256 {digest}"})
    assert await download(service) == b"1234567890"


async def test_a_chunked_piece_beyond_the_end_is_refused(service: Service) -> None:
    async def chunks():
        yield b"1234567890"
        yield b"1"

    url = await begin(service, 10)
    await send(service, url, 0, chunks(), status=413)
    assert await offset_of(service, url) == 0
    await send(service, url, 0, b"1234567890")


async def test_a_form_is_no_file(service: Service) -> None:
    url = await begin(service, 100)
    form = b"--boundary\r\nContent-Disposition: form-data; name=file\r\n\r\n"
    await send(service, url, 0, form, status=415)
    assert await offset_of(service, url) == 0


async def test_a_refusal_at_the_end_is_told_again(service: Service) -> None:
    url = await begin(service, 5, checksum=hashlib.sha256(b"other").hexdigest())
    await send(service, url, 0, b"bytes", status=422)
    await send(service, url, 5, b"", status=422)
    assert await offset_of(service, url, status=422) == -1
    told = await service.call("GET", url, key="write", status=200)
    assert (told["state"], told["error"]["status"], told["result"]) == ("refused", 422, None)
    assert partial_files(service) == []
    page = await service.call("GET", "/api/v1/updates/my-app/history", key="read")
    assert not [each for each in page["entries"] if each["action"].startswith(("build", "release"))]
    one, two = await begin(service, 5), await begin(service, 5)
    await send(service, one, 0, b"bytes")
    await send(service, two, 0, b"bytes", status=409)
    await send(service, two, 5, b"", status=409)
    assert (await service.call("GET", two, key="write"))["error"]["details"]["checksum"]


async def test_uploads_are_their_senders_alone(service: Service) -> None:
    url = await begin(service, 5)
    assert [each["url"] for each in (await service.call("GET", UPLOADS, key="write"))["uploads"]] == [url]
    assert (await service.call("GET", UPLOADS, key="admin"))["uploads"] == []
    await send(service, url, 0, b"bytes", key="admin", status=404)
    await offset_of(service, url, key="admin", status=404)
    await service.call("GET", url, key="admin", status=404)
    await service.exchange("DELETE", url, key="admin", headers=TUS, status=404)
    await service.exchange("DELETE", url, key="write", status=412)
    await service.exchange("DELETE", url, key="write", headers=TUS, status=204)
    await send(service, url, 0, b"bytes", status=404)
    assert partial_files(service) == []


async def test_a_key_of_one_application_is_for_that(service: Service) -> None:
    from tests.actors import TESTER

    await service.application("other-app")
    _, other = await service.services.access.create_key("other", "write", application="other-app", actor=TESTER)
    await begin(service, 5, status=403, key=other)
    await begin(service, 5, key=other, application_id="other-app")


async def test_so_many_are_open(start_service) -> None:
    service = await start_service(storage={"uploads_per_key": 2})
    await service.application()
    first = await begin(service, 5)
    await begin(service, 5, version="1.0.1")
    await begin(service, 5, version="1.0.2", status=429)
    await send(service, first, 0, b"bytes")
    await begin(service, 5, version="1.0.2")


async def test_a_publication_that_fails_at_its_end_harms_no_other_build(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes were placed, over those that a build uses already; then the transaction went back."""
    await service.publish(b"1234567890")
    url = await begin(service, 10, version="2.0.0")
    await send(service, url, 0, b"12345")
    with monkeypatch.context() as failing:

        async def fail(*_: object) -> None:
            raise Unavailable("the database is gone")

        failing.setattr(service.services.audit, "record", fail)
        await send(service, url, 5, b"67890", status=503)
    assert await offset_of(service, url) == 5
    await send(service, url, 5, b"6")
    assert await download(service) == b"1234567890"
    await send(service, url, 6, b"7890")
    assert await download(service) == await download(service, "2.0.0") == b"1234567890"
    assert partial_files(service) == []
