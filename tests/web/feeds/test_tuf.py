"""TUF repositories over HTTP, with the developer's and the application's side of python-tuf."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from tuf.api.exceptions import ExpiredMetadataError, UnsignedMetadataError

from tests.actors import TESTER
from tests.conftest import Service
from tests.tuf.developer import Developer
from tests.tuf.serving import FEED, UPLOADS, App, form_of, post, publish, put

IMMUTABLE = "public, max-age=31536000, immutable"


@pytest.mark.parametrize("consistent", [True, False])
async def test_an_application_updates(service: Service, tmp_path: Path, consistent: bool) -> None:
    developer = Developer(consistent=consistent)
    app = App(service, tmp_path / "app", developer.files["1.root.json"])
    developer.release("app-1.0.tar.gz", b"one")
    developer.release("ümlaut folder/app+x.patch", b"patch")
    await publish(service, developer)
    assert await app.fetch("app-1.0.tar.gz") == b"one"
    assert await app.fetch("ümlaut folder/app+x.patch") == b"patch"
    assert await app.fetch("app-2.0.tar.gz") is None
    developer.release("app-2.0.tar.gz", b"two")
    await publish(service, developer)
    assert await app.fetch("app-2.0.tar.gz") == b"two"
    # Up to date: the same again, with a new timestamp alone.
    developer.do_timestamp(force=True)
    await publish(service, developer)
    assert await app.fetch("app-2.0.tar.gz") == b"two"


async def test_delegated_roles(service: Service, tmp_path: Path) -> None:
    developer = Developer()
    developer.delegate("plugins", ["plugins/*"], "plugins/x.zip", b"plugin")
    app = App(service, tmp_path / "app", developer.files["1.root.json"])
    files = developer.taken()
    await put(service, "plugins/x.zip", b"plugin")
    without = {name: body for name, body in files.items() if "plugins" not in name}
    answer = await post(service, without, status=409)
    assert answer["details"]["problems"] == {
        "2.snapshot.json": "names version 1 of plugins.json, which is not there as 1.plugins.json"
    }
    await post(service, files)
    assert await app.fetch("plugins/x.zip") == b"plugin"


async def test_a_rotated_root(service: Service, tmp_path: Path) -> None:
    developer = Developer()
    app = App(service, tmp_path / "app", developer.files["1.root.json"])
    developer.release("app-1.0.tar.gz", b"one")
    await publish(service, developer)
    for number in range(2, 5):
        developer.rotate_root()
        assert f"{number}.root.json" in developer.files
    await publish(service, developer)
    assert await app.fetch("app-1.0.tar.gz") == b"one"
    assert json.loads((app.metadata / "root.json").read_bytes())["signed"]["version"] == 4
    answer = await service.call("GET", f"{FEED}/metadata/5.root.json", status=404)
    assert answer["code"] == "NOT_FOUND"
    # What is not signed by whom the application trusts is served, and refused there.
    stranger = App(service, tmp_path / "stranger", Developer().files["1.root.json"])
    with pytest.raises(UnsignedMetadataError):
        await stranger.fetch("app-1.0.tar.gz")


async def test_expired_metadata_is_served_and_told(service: Service, tmp_path: Path) -> None:
    developer = Developer(days=-1)
    await publish(service, developer)
    app = App(service, tmp_path / "app", developer.files["1.root.json"])
    with pytest.raises(ExpiredMetadataError):
        await app.fetch("x")
    _, body = await service.exchange("GET", "/metrics", key="admin", status=200)
    lines = [line for line in body.decode().splitlines() if line.startswith("updater_tuf_expires_in_seconds{")]
    values = {line.split('role="')[1].split('"')[0]: float(line.split()[-1]) for line in lines}
    assert set(values) == {"root", "timestamp", "snapshot", "targets"}
    assert all(-86_500 < value < -86_390 for value in values.values())
    developer.days = 2
    developer.do_timestamp(force=True)
    await publish(service, developer)
    _, body = await service.exchange("GET", "/metrics", key="admin", status=200)
    line = next(line for line in body.decode().splitlines() if 'role="timestamp"' in line)
    assert 'application="my-app",channel="stable"' in line
    assert 172_000 < float(line.split()[-1]) <= 172_800


async def test_a_target_that_is_not_there(service: Service) -> None:
    developer = Developer()
    await publish(service, developer)
    for number in range(7):
        developer.release(f"app-{number}.tar.gz", b"bytes")
    new = developer.taken()
    answer = await post(service, new, status=409)
    assert set(answer["details"]["problems"]) == {f"{number}.targets.json" for number in range(2, 9)}
    assert answer["details"]["problems"]["2.targets.json"] == "target app-0.tar.gz is not there"
    assert answer["details"]["problems"]["8.targets.json"].endswith("; and 2 more")
    for name in new:
        if name != "timestamp.json":
            await service.exchange("GET", f"{FEED}/metadata/{name}", status=404)
    _, body = await service.exchange("GET", f"{FEED}/metadata/timestamp.json", status=200)
    assert json.loads(body)["signed"]["version"] == 1
    await put(service, "app-0.tar.gz", b"bytEs")
    answer = await post(service, new, status=409)
    assert answer["details"]["problems"]["2.targets.json"] == "target app-0.tar.gz is there with another sha256"
    for number in range(7):
        await put(service, f"app-{number}.tar.gz", b"bytes")
    await post(service, new)


async def test_targets_and_their_names(service: Service) -> None:
    digest = hashlib.sha256(b"bytes").hexdigest()
    answer = await put(service, "a/b/app.tar.gz", b"bytes")
    assert answer == {"path": "a/b/app.tar.gz", "sha256": digest, "size": 5}
    assert await put(service, "a/b/app.tar.gz", b"bytes", status=200) == answer
    # Nothing names it yet: other bytes may come, and go.
    await put(service, "a/b/app.tar.gz", b"other")
    await put(service, "a/b/app.tar.gz", b"bytes")
    developer = Developer()
    developer.release("a/b/app.tar.gz", b"bytes")
    await publish(service, developer)
    refusal = await put(service, "a/b/app.tar.gz", b"other", status=409)
    assert refusal["details"] == {"path": "a/b/app.tar.gz", "sha256": digest}
    plain, body = await service.exchange("GET", f"{FEED}/targets/a/b/app.tar.gz", status=200)
    assert (body, plain.headers["Cache-Control"]) == (b"bytes", "no-cache")
    prefixed, body = await service.exchange("GET", f"{FEED}/targets/a/b/{digest}.app.tar.gz", status=200)
    assert (body, prefixed.headers["Cache-Control"]) == (b"bytes", IMMUTABLE)
    assert prefixed.headers["ETag"] == plain.headers["ETag"] == f'"{digest}"'
    assert 'filename="app.tar.gz"' in prefixed.headers["Content-Disposition"]
    _, body = await service.exchange(
        "GET", f"{FEED}/targets/a/b/app.tar.gz", headers={"Range": "bytes=1-2"}, status=206
    )
    assert body == b"yt"
    head, _ = await service.exchange("HEAD", f"{FEED}/targets/a/b/app.tar.gz", status=200)
    assert head.headers["Content-Length"] == "5"
    for wrong in (
        f"a/b/{'0' * 64}.app.tar.gz",
        f"{digest}.a/b/app.tar.gz",
        "a/b/APP.tar.gz",
        "a/b",
        "a/b/",
        "a%2Fb/app.tar.gz",
        "a/b%2fapp.tar.gz",
        "a/%2e%2e/a/b/app.tar.gz",
        "%00",
        "x" * 5000,
    ):
        await raw(service, "GET", f"{FEED}/targets/{wrong}", status=404)


async def raw(service: Service, method: str, path: str, *, status: int, **sent: Any) -> Any:
    from yarl import URL

    url = URL(service.url + path, encoded=True)
    headers = {"Authorization": "Bearer writer-key-0123456789"}
    async with service.session.request(method, url, headers=headers, **sent) as response:
        assert response.status == status, (path, response.status, await response.read())
        return await response.json()


async def test_a_name_may_look_like_a_digest(service: Service) -> None:
    name = f"{'0' * 64}.zip"
    await put(service, name, b"bytes")
    answer, body = await service.exchange("GET", f"{FEED}/targets/{name}", status=200)
    assert (body, answer.headers["Cache-Control"]) == (b"bytes", "no-cache")


async def test_metadata_is_served_byte_for_byte(service: Service) -> None:
    developer = Developer()
    await publish(service, developer)
    for name, content in developer.files.items():
        answer, body = await service.exchange("GET", f"{FEED}/metadata/{name}", status=200)
        assert body == content
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.headers["Cache-Control"] == ("no-cache" if name == "timestamp.json" else IMMUTABLE)
        etag = answer.headers["ETag"]
        assert etag == f'"{hashlib.sha256(content).hexdigest()}"'
        again, body = await service.exchange(
            "GET", f"{FEED}/metadata/{name}", headers={"If-None-Match": etag}, status=304
        )
        assert (again.headers["ETag"], body) == (etag, b"")
        head, body = await service.exchange("HEAD", f"{FEED}/metadata/{name}", status=200)
        assert (head.headers["Content-Length"], body) == (str(len(content)), b"")
    for wrong in ("0.root.json", "root", "1.root.json%2f", "..", "%2e%2e", "1.root.json/", "1.ROOT.json", "x" * 300):
        await raw(service, "GET", f"{FEED}/metadata/{wrong}", status=404)
    # A channel that is not there counts as the first one; the publisher's has to be there.
    await service.exchange("GET", f"{FEED.replace('stable', 'gone')}/metadata/1.root.json", status=200)
    answer = await post(service, developer.files, base=UPLOADS.replace("stable", "gone"), status=422)
    assert answer["errors"] == {"channel": "must be one of: stable"}
    await put(service, "x", b"x", base=UPLOADS.replace("stable", "gone"), status=422)


async def test_channels_are_apart(service: Service, tmp_path: Path) -> None:
    await service.services.catalog.update_application("my-app", {"channels": ["stable", "beta"]}, actor=TESTER)
    stable, beta = Developer(), Developer()
    await publish(service, stable)
    await post(service, beta.taken(), base=UPLOADS.replace("stable", "beta"))
    _, body = await service.exchange("GET", f"{FEED.replace('stable', 'beta')}/metadata/1.root.json")
    assert body == beta.files["1.root.json"]
    answer = await service.call(
        "PUT", "/api/v1/applications/my-app", key="admin", json={"channels": ["stable"]}, status=409
    )
    assert answer["message"] == "Channel beta has TUF metadata and cannot go"


async def test_what_was_published_stays(service: Service) -> None:
    developer = Developer()
    developer.release("a.zip", b"a")
    await publish(service, developer)
    # A publisher may simply repeat.
    assert sorted((await post(service, developer.files))["published"]) == sorted(developer.files)
    other = {name: body + b"\n" for name, body in developer.files.items()}
    answer = await post(service, other, status=409)
    assert answer["details"]["problems"] == {
        **dict.fromkeys(set(other) - {"timestamp.json"}, "was published with other bytes, which caches may still hold"),
        "timestamp.json": "version 2 is published; other bytes need a higher one than 2",
    }
    for name, content in developer.files.items():
        assert (await service.exchange("GET", f"{FEED}/metadata/{name}"))[1] == content
    await service.call("DELETE", "/api/v1/applications/my-app", key="admin", status=204)
    await service.exchange("GET", f"{FEED}/metadata/timestamp.json", status=404)
    assert [each async for each in service.services.artifacts.collect(actor=TESTER, grace_s=-1)]
    await service.application()
    await service.exchange("GET", f"{FEED}/metadata/timestamp.json", status=404)
    answer = await post(service, {"1.root.json": other["1.root.json"]}, status=409)
    assert set(answer["details"]["problems"]) == {"1.root.json"}
    await put(service, "a.zip", b"a")
    await post(service, developer.files)


async def test_two_publishers_at_once(service: Service) -> None:
    """Both sign version 2: one of them is published whole, the other is refused whole."""
    first = Developer()
    await publish(service, first)
    rivals = []
    for content in (b"one", b"two"):
        rival = Developer()
        rival.__dict__.update({**first.__dict__, "files": dict(first.files), "targets_by_path": {}, "_new": {}})
        rival._roles = {role: list(kept) for role, kept in first._roles.items()}  # type: ignore[assignment]
        path = f"{content.decode()}.zip"
        rival.release(path, content)
        await put(service, path, content)
        rivals.append(rival.taken())
    answers = await asyncio.gather(
        *(service.exchange("POST", f"{UPLOADS}/metadata", key="write", data=form_of(each)) for each in rivals)
    )
    statuses = [answer.status for answer, _ in answers]
    assert sorted(statuses) == [200, 409]
    for name, content in rivals[statuses.index(200)].items():
        assert (await service.exchange("GET", f"{FEED}/metadata/{name}", status=200))[1] == content


async def test_a_private_application(service: Service, tmp_path: Path) -> None:
    developer = Developer()
    developer.release("app.zip", b"bytes")
    await publish(service, developer)
    await service.services.catalog.update_application("my-app", {"private": True}, actor=TESTER)
    await service.exchange("GET", f"{FEED}/metadata/timestamp.json", status=401)
    await service.exchange("GET", f"{FEED}/targets/app.zip", status=401)
    _, key = await service.services.access.create_key("laptops", "feed", application="my-app", actor=TESTER)
    app = App(service, tmp_path / "app", developer.files["1.root.json"], prefix=f"/k/{key}")
    assert await app.fetch("app.zip") == b"bytes"
    answer, _ = await service.exchange("GET", f"/k/{key}{FEED}/metadata/timestamp.json", status=200)
    assert answer.headers["Cache-Control"] == "private, no-cache"
    answer, _ = await service.exchange("GET", f"/k/{key}{FEED}/metadata/1.root.json", status=200)
    assert answer.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    digest = hashlib.sha256(b"bytes").hexdigest()
    answer, _ = await service.exchange("GET", f"/k/{key}{FEED}/targets/{digest}.app.zip", status=200)
    assert answer.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    await service.exchange("PUT", f"/k/{key}{UPLOADS}/targets/x", data=b"x", status=404)


async def test_damaged_files(service: Service) -> None:
    developer = Developer()
    developer.release("app.zip", b"bytes" * 100)
    await publish(service, developer)
    blobs = service.services.artifacts.blobs
    contents = [b"bytes" * 100, developer.files["2.targets.json"]]
    for content in contents:
        place = blobs.locate(hashlib.sha256(content).hexdigest())
        assert place is not None
        place.chmod(0o600)
        place.write_bytes(b"x" * len(content))
    bad = [each.digest async for each in service.services.artifacts.verify(actor=TESTER) if not each.good]
    assert len(bad) == 2
    uses = await service.services.artifacts.find_uses(bad)
    assert {(each.application, each.name) for each in uses} == {
        ("my-app", "stable/tuf/targets/app.zip"),
        ("my-app", "stable/tuf/metadata/2.targets.json"),
    }
    answer = await service.call("GET", f"{FEED}/targets/app.zip", status=503)
    assert answer["code"] == "SERVICE_UNAVAILABLE"
    await service.exchange("GET", f"{FEED}/metadata/2.targets.json", status=503)
    # Its publisher repeats: the same bytes repair both.
    await put(service, "app.zip", contents[0], status=200)
    await post(service, developer.files)
    assert (await service.exchange("GET", f"{FEED}/targets/app.zip", status=200))[1] == contents[0]
    assert (await service.exchange("GET", f"{FEED}/metadata/2.targets.json", status=200))[1] == contents[1]


async def test_forms_that_are_none(service: Service) -> None:
    root = b'{"signed": {"_type": "root", "version": 1}}'

    async def refuse(status: int, **sent: Any) -> Any:
        return await service.call("POST", f"{UPLOADS}/metadata", key="write", status=status, **sent)

    await refuse(415, json={})
    await refuse(415, data=b"{}")
    many = [(f"{number}.role.json", b"{}") for number in range(1, 66)]
    assert (await refuse(422, data=form_of(many)))["errors"] == {"files": "more than 64 files"}
    wrong = await refuse(422, data=form_of({"1.root.json": root}, part="file"))
    assert wrong["errors"] == {"file": "unknown field; expected files"}
    boundary = {"Content-Type": "multipart/form-data; boundary=x"}
    nothing = await refuse(422, data=b"--x--\r\n", headers=boundary)
    assert nothing["errors"] == {"files": "Missing data for required field"}
    text = b'--x\r\nContent-Disposition: form-data; name="files"\r\n\r\n{}\r\n--x--\r\n'
    assert "not as a file" in (await refuse(422, data=text, headers=boundary))["errors"]["files"]
    for name in ("..", "../root.json", "a%2Fb.json", "a/b.json", "-x.json", "con.json", "x" * 181):
        answer = await refuse(422, data=form_of({name: root}))
        assert "is not the name of a file" in answer["errors"]["files"]
    twice = await refuse(422, data=form_of([("1.root.json", root), ("1.root.json", root)]))
    assert twice["errors"] == {"files": "1.root.json is there more than once"}
    large = b" " * (5_000_000 - len(root)) + root
    await refuse(413, data=form_of({"1.root.json": large + b" "}))
    # All of them together, with all that is wrong.
    answer = await refuse(
        409, data=form_of({"1.root.json": root, "2.targets.json": b"\xff{", "timestamp.json": root, "x.txt": root})
    )
    assert answer["details"]["problems"] == {
        "2.targets.json": "is not JSON",
        "timestamp.json": "signed._type must be timestamp, as the name says",
        "x.txt": "is not the name of metadata: ROLE.json or VERSION.ROLE.json",
    }
    await service.exchange("GET", f"{FEED}/metadata/1.root.json", status=404)
    await post(service, [("1.root.json", large)])


async def test_paths_that_are_none(service: Service) -> None:
    for path in (
        "..",
        "a/../b",
        "%2e%2e/b",
        "a%2Fb",
        "a%2fb",
        "a//b",
        "a/",
        "a%00",
        "a%0d%0ab",
        "a%5cb",
        "a%25b",
        "a:b",
        "-a",
        "con",
        "/".join("abcdefghi"),
        "x" * 181,
    ):
        answer = await raw(service, "PUT", f"{UPLOADS}/targets/{path}", data=b"x", status=422)
        assert set(answer["errors"]) == {"path"}
    await put(service, "/".join("abcdefgh"), b"x")
    longest = "/".join("ü" * 90 for _ in range(8))
    await put(service, longest, b"x")
    await raw(service, "PUT", f"{UPLOADS}/targets/x", data=b"", status=422)
