"""The one way in: each documented refusal, and that a refusal leaves nothing behind.

Controls: `_checked` without one of its checks, a withdrawn release that takes builds, a pin that is not compared, a
file that is placed before its pin is: each is found.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from tests.actors import TESTER
from tests.builds import FILE, LINUX, publish_bytes, register
from tests.stored import damage, everything, settle
from updater.catalog.model import Checksum, ExternalFile
from updater.catalog.platforms import Target
from updater.catalog.requests import PublishRequest, ReceivedFile
from updater.catalog.versions import parse_version
from updater.errors import Conflict, DigestMismatch, Failure, Invalid, Malformed, NotFound, StorageFull

WINDOWS, ANDROID = Target("windows", "amd64"), Target("android", "arm64")
ONE, OTHER = b"the bytes", b"other bytes"
# The digest of neither.
ABSENT = "0" * 64


async def publish(service: Any, request: PublishRequest, file: bytes | ExternalFile, **said: Any) -> Any:
    """Publish as a surface does: stage the bytes, then make one call."""
    services = service.services
    if isinstance(file, ExternalFile):
        return (await services.publishing.publish(request, file, TESTER)).build

    async def chunks() -> AsyncIterator[bytes]:
        yield file

    async with services.artifacts.receive(chunks()) as staged:
        return (await services.publishing.publish(request, ReceivedFile(staged, **said), TESTER)).build


async def refused(service: Any, request: PublishRequest, file: bytes | ExternalFile, **said: Any) -> Failure:
    """Publish what is refused: no row, file or snapshot differs afterwards. Return the failure."""
    offers = service.services.offers
    await settle(service)
    before, snapshots = await everything(service), {each: offers.present(each) for each in offers.application_ids()}
    with pytest.raises(Failure) as caught:
        await publish(service, request, file, **said)
    assert await everything(service) == before
    assert {each: offers.present(each) for each in offers.application_ids()} == snapshots
    assert all(offers.present(each) is present for each, present in snapshots.items()), "nothing was announced"
    return caught.value


@pytest.fixture
async def shop(service: Any) -> Any:
    """Return a service with `my-app` (SemVer), `py-app` (PEP 440), and three releases of `my-app`.

    1.0.0 is hosted for linux/amd64; 2.0.0 is external for it; 0.9.0, hosted as well, is withdrawn.
    """
    await service.application("py-app", version_scheme="pep440")
    services = service.services
    await publish_bytes(services.publishing, services.artifacts, ONE, "1.0.0")
    await publish_bytes(services.publishing, services.artifacts, b"old bytes", "0.9.0")
    await services.releases.withdraw("my-app", "0.9.0", actor=TESTER)
    await register(services.publishing, "2.0.0")
    return service


FILES: tuple[bytes | ExternalFile, ...] = (ONE, OTHER, FILE)


async def test_an_unknown_application_is_not_found(shop: Any) -> None:
    for file in FILES:
        failure = await refused(shop, PublishRequest("nope", "1.0.0", LINUX), file)
        assert isinstance(failure, NotFound)
        assert failure.kind == "application"


class Wrong(NamedTuple):
    application: str
    version: str
    minimum: str | None
    field: str


SEMVER = (
    "",
    "1",
    "1.2",
    "v1.2.3",
    "1.2.3.4",
    "01.2.3",
    "1.2.3\n",
    "1!1.2.3",
    "1.2.3.post1",
    "\u0661.2.3",
    "1.0.0-" + "a" * 95,
)
PEP440 = ("", "1.0-nightly.2024", "1.0.0-SNAPSHOT", "1.0.0-alpha.beta", "one", "1..0")
WRONG = [
    *(Wrong("my-app", text, None, "version") for text in SEMVER),
    *(Wrong("my-app", "3.0.0", text, "minimum_version") for text in SEMVER if text),
    *(Wrong("py-app", text, None, "version") for text in PEP440),
    *(Wrong("py-app", "1.0", text, "minimum_version") for text in PEP440 if text),
    Wrong("my-app", "nonsense", "nonsense", "version"),
]


async def test_versions_that_the_scheme_refuses(shop: Any) -> None:
    for wrong in WRONG:
        request = PublishRequest(wrong.application, wrong.version, LINUX, minimum_version=wrong.minimum)
        for file in (OTHER, FILE):
            failure = await refused(shop, request, file)
            assert type(failure) is Invalid, wrong
            assert list(failure.fields) == [wrong.field], wrong


async def test_each_application_has_its_own_scheme(shop: Any) -> None:
    """What one takes, the other refuses; PEP 440 is stored in its normal form."""
    made = await publish(shop, PublishRequest("py-app", "v1.0.0-1", LINUX, minimum_version="1.0RC1"), FILE)
    assert (made.version.text, made.minimum.text) == ("1.0.0.post1", "1.0rc1")
    made = await publish(shop, PublishRequest("my-app", "1.0.0-1", LINUX, minimum_version="0.1.0-a.b"), FILE)
    assert (made.version.text, made.minimum.text, made.version.prerelease) == ("1.0.0-1", "0.1.0-a.b", True)
    failure = await refused(shop, PublishRequest("py-app", "1.0.0post1", LINUX), FILE)
    assert isinstance(failure, Conflict), "two spellings of one version are one release"


async def test_an_empty_minimum_is_none(shop: Any) -> None:
    assert (await publish(shop, PublishRequest("my-app", "3.0.0", LINUX, minimum_version=""), FILE)).minimum is None


async def test_other_bytes_than_announced_are_refused(shop: Any) -> None:
    told = []
    for version in ("3.0.0", "1.0.0", "0.9.0"):
        failure = await refused(shop, PublishRequest("my-app", version, LINUX), OTHER, checksum=ABSENT)
        assert isinstance(failure, DigestMismatch)
        assert list(failure.fields) == ["checksum"]
        told.append(failure.fields["checksum"])
    digest = (await publish(shop, PublishRequest("my-app", "3.1.0", LINUX), OTHER)).checksum.value
    assert all(ABSENT in text and digest in text for text in told), "announced, and received"


async def test_the_announced_bytes_are_taken(shop: Any) -> None:
    digest = (await publish(shop, PublishRequest("my-app", "3.0.0", LINUX), OTHER)).checksum.value
    made = await publish(shop, PublishRequest("my-app", "3.1.0", LINUX), OTHER, checksum=digest)
    assert made.checksum.value == digest


async def test_a_platform_that_the_application_does_not_list(shop: Any) -> None:
    for file in FILES:
        failure = await refused(shop, PublishRequest("my-app", "3.0.0", ANDROID), file)
        assert isinstance(failure, Malformed)
        assert failure.details == {"platform": "android", "platforms": ["windows", "linux", "darwin"]}
    await shop.services.catalog.update_application("my-app", {"platforms": ("android",)}, actor=TESTER)
    await publish(shop, PublishRequest("my-app", "3.0.0", ANDROID), FILE)
    for file in FILES:
        assert isinstance(await refused(shop, PublishRequest("my-app", "3.0.0", LINUX), file), Malformed)


async def test_what_is_published_never_changes(shop: Any) -> None:
    """Not even into the very same: hosted over hosted and external, external over both."""
    for version, file in itertools.product(("1.0.0", "2.0.0"), FILES):
        for request in (
            PublishRequest("my-app", version, LINUX),
            PublishRequest("my-app", version, LINUX, notes="New", required=True, metadata={"a": 1}, follows_first=True),
        ):
            failure = await refused(shop, request, file)
            assert isinstance(failure, Conflict)
            assert "exists already" in failure.message


async def test_a_withdrawn_release_takes_nothing(shop: Any) -> None:
    for target, file in itertools.product((LINUX, WINDOWS), (*FILES, b"old bytes")):
        failure = await refused(shop, PublishRequest("my-app", "0.9.0", target), file)
        assert isinstance(failure, Conflict)
        assert "deactivated" in failure.message


async def test_a_withdrawn_release_takes_not_even_the_bytes_that_would_repair_it(shop: Any) -> None:
    build = await shop.services.catalog._store.find_build("my-app", parse_version("0.9.0"), LINUX)
    await damage(shop, build)
    assert isinstance(await refused(shop, PublishRequest("my-app", "0.9.0", LINUX), b"old bytes"), Conflict)


async def test_refusals_come_in_their_order(shop: Any) -> None:
    """Application, version, minimum, digest, platform, release, build: each hides those behind it."""
    steps: list[tuple[PublishRequest, str | None, type[Failure]]] = [
        (PublishRequest("nope", "x", ANDROID, minimum_version="x"), ABSENT, NotFound),
        (PublishRequest("my-app", "x", ANDROID, minimum_version="x"), ABSENT, Invalid),
        (PublishRequest("my-app", "0.9.0", ANDROID, minimum_version="x"), ABSENT, Invalid),
        (PublishRequest("my-app", "0.9.0", ANDROID), ABSENT, DigestMismatch),
        (PublishRequest("my-app", "0.9.0", ANDROID), None, Malformed),
        (PublishRequest("my-app", "0.9.0", LINUX), None, Conflict),
    ]
    for request, checksum, kind in steps:
        assert type(await refused(shop, request, OTHER, checksum=checksum)) is kind


# -- coordinates are bound to their bytes


async def test_other_bytes_are_refused_after_the_build_was_deleted(shop: Any) -> None:
    request = PublishRequest("my-app", "1.0.0", LINUX)
    await shop.services.catalog.delete_build("my-app", "1.0.0", LINUX, actor=TESTER)
    failure = await refused(shop, request, OTHER)
    assert isinstance(failure, Conflict)
    assert "published before with other bytes" in failure.message
    made = await publish(shop, request, ONE)
    assert made.file is not None, "the same bytes may come back"


async def test_other_bytes_are_refused_after_the_application_was_deleted(shop: Any) -> None:
    request = PublishRequest("my-app", "1.0.0", LINUX)
    await shop.services.catalog.delete_application("my-app", actor=TESTER)
    assert isinstance(await refused(shop, request, ONE), NotFound)
    await shop.application()
    assert isinstance(await refused(shop, request, OTHER), Conflict)
    assert (await publish(shop, request, ONE)).checksum.kind == "sha256"
    # Not the release nor the bytes are bound: the coordinate is.
    await publish(shop, PublishRequest("my-app", "1.0.0", WINDOWS), OTHER)
    await publish(shop, PublishRequest("my-app", "1.0.1", LINUX), ONE)
    await publish(shop, PublishRequest("py-app", "1.0.0", LINUX), OTHER)


def elsewhere(content: bytes, form: str = "hex") -> ExternalFile:
    digest = hashlib.sha256(content)
    value = base64.b64encode(digest.digest()).decode() if form == "base64" else digest.hexdigest()
    if form == "upper":
        value = f"SHA256:{value.upper()}"
    return ExternalFile("https://files.example.com/x", Checksum("sha256", value), None)


@pytest.mark.parametrize("form", ["hex", "upper", "base64"])
async def test_a_file_elsewhere_is_held_to_the_bytes_of_its_coordinate(shop: Any, form: str) -> None:
    request = PublishRequest("my-app", "1.0.0", LINUX)
    await shop.services.catalog.delete_build("my-app", "1.0.0", LINUX, actor=TESTER)
    failure = await refused(shop, request, elsewhere(OTHER, form))
    assert isinstance(failure, Conflict)
    assert "published before with other bytes" in failure.message
    assert (await publish(shop, request, elsewhere(ONE, form))).url is not None, "the same bytes may lie elsewhere"


@pytest.mark.parametrize("checksum", [Checksum("md5", "x"), Checksum("sha512", "ab" * 64), Checksum("sha256", "text")])
async def test_a_checksum_that_cannot_be_compared_does_not_pass_a_bound_coordinate(
    shop: Any, checksum: Checksum
) -> None:
    request = PublishRequest("my-app", "1.0.0", LINUX)
    await shop.services.catalog.delete_build("my-app", "1.0.0", LINUX, actor=TESTER)
    failure = await refused(shop, request, ExternalFile("https://files.example.com/x", checksum, None))
    assert isinstance(failure, Conflict)
    assert hashlib.sha256(ONE).hexdigest() in failure.message
    await publish(shop, PublishRequest("my-app", "4.0.0", LINUX), replace(FILE, checksum=checksum))


async def test_an_announced_sha256_binds_too(shop: Any) -> None:
    request = PublishRequest("my-app", "3.0.0", LINUX)
    await publish(shop, request, elsewhere(ONE))
    await shop.services.catalog.delete_build("my-app", "3.0.0", LINUX, actor=TESTER)
    for other in (OTHER, elsewhere(OTHER), FILE):
        assert isinstance(await refused(shop, request, other), Conflict)
    assert (await publish(shop, request, ONE)).file is not None


async def test_a_refused_upload_binds_nothing(shop: Any) -> None:
    """Other bytes may be published where a first attempt was refused."""
    request = PublishRequest("my-app", "3.0.0", LINUX)
    await refused(shop, request, ONE, checksum=ABSENT)
    await refused(shop, PublishRequest("my-app", "3.0.0", LINUX, minimum_version="x"), ONE)
    assert (await publish(shop, request, OTHER)).version.text == "3.0.0"


async def test_nothing_is_left_when_the_store_fails(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that cannot be placed, and one whose rows cannot be written after it was."""
    services = shop.services

    async def fails(*_: Any, **__: Any) -> None:
        raise StorageFull("No room left")

    with monkeypatch.context() as broken:
        broken.setattr(services.publishing._changes._artifacts, "claim", fails)
        assert isinstance(await refused(shop, PublishRequest("my-app", "3.0.0", LINUX), OTHER), StorageFull)
    before = await everything(shop)
    with monkeypatch.context() as broken:
        broken.setattr(services.publishing._changes._audit, "record", fails)
        with pytest.raises(StorageFull):
            await publish(shop, PublishRequest("my-app", "3.0.0", LINUX), OTHER)
    after = await everything(shop)
    placed = after.pop("blobs").keys() - before.pop("blobs").keys()
    assert after == before
    assert len(placed) == 1, "the file was placed: it goes with the next collection"
    assert len([each async for each in services.artifacts.collect(actor=TESTER, grace_s=-60)]) == 1
    assert (await publish(shop, PublishRequest("my-app", "3.0.0", LINUX), ONE)).version.text == "3.0.0"
