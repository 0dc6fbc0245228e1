"""curl, wget and aria2c on the files of a build, and minisign on what they fetched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.field.made import content
from tests.field.relay import Relay
from tests.field.running import run
from tests.field.shop import Shop

APP, VERSION, TARGET = "files-app", "1.1.0+b1", "linux/amd64"
NAMES = ("field.AppImage", "Field (größer) 1.1.0+b1~rc.tar.gz")


@pytest.fixture(scope="module", autouse=True)
def release(shop: Shop) -> None:
    """Publish a build with two files."""
    shop.open(APP)
    shop.put(APP, VERSION, TARGET, NAMES[0], content(NAMES[0], VERSION))
    shop.add(APP, VERSION, TARGET, NAMES[1], content(NAMES[1], VERSION))


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def address(relay: Relay, name: str) -> str:
    return f"{relay.url}/api/v1/updates/{APP}/download/{VERSION}/{TARGET}/{quote(name, safe='+')}"


def fetch(command: list[str], folder: Path, name: str) -> None:
    ran = run(command, cwd=folder, LC_ALL="C.UTF-8", HOME=str(folder))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert [path.name for path in folder.iterdir()] == [name]
    assert (folder / name).read_bytes() == content(name, VERSION)


def leave_half(folder: Path, name: str) -> None:
    (folder / name).write_bytes(content(name, VERSION)[:150_000])


def test_the_listed_addresses_lead_to_the_files(shop: Shop) -> None:
    files = shop.files(APP, VERSION)
    assert {name for name in files if files[name]["made_by"] == "developer"} == set(NAMES)
    for name in NAMES:
        ran = run(["curl", "-fsS", "-o", "/dev/null", "-w", "%{size_download}", files[name]["download_url"]])
        assert int(ran.stdout) == files[name]["size"] == len(content(name, VERSION))


def test_curl_and_the_name_of_the_answer(program: Callable[[str], str], relay: Relay, tmp_path: Path) -> None:
    """curl takes a name from the answer only when it is plain."""
    fetch([program("curl"), "-fsS", "-OJ", address(relay, NAMES[0])], tmp_path, NAMES[0])


def test_curl_goes_on(program: Callable[[str], str], relay: Relay, tmp_path: Path, name: str) -> None:
    leave_half(tmp_path, name)
    fetch([program("curl"), "-fsS", "-C", "-", "-o", name, address(relay, name)], tmp_path, name)
    assert relay.sent_bytes() == len(content(name, VERSION)) - 150_000


def test_wget(program: Callable[[str], str], relay: Relay, tmp_path: Path, name: str) -> None:
    fetch([program("wget"), "-q", "--content-disposition", address(relay, name)], tmp_path, name)


def test_wget_goes_on(program: Callable[[str], str], relay: Relay, tmp_path: Path, name: str) -> None:
    leave_half(tmp_path, name)
    fetch([program("wget"), "-q", "-c", address(relay, name)], tmp_path, name)
    assert relay.sent_bytes() == len(content(name, VERSION)) - 150_000


def test_aria2c_in_pieces(program: Callable[[str], str], relay: Relay, tmp_path: Path, name: str) -> None:
    """Four connections, and the name that the answer gives."""
    pieces = ["-x", "4", "-s", "4", "-k", "1M", "--min-split-size=1M", "--file-allocation=none"]
    fetch(
        [program("aria2c"), "-q", *pieces, "--content-disposition-default-utf8", address(relay, name)], tmp_path, name
    )


def test_a_digest_that_does_not_hold(program: Callable[[str], str], relay: Relay, tmp_path: Path) -> None:
    wanted = address(relay, NAMES[0])
    ran = run([program("aria2c"), "-q", f"--checksum=sha-256={'0' * 64}", wanted], cwd=tmp_path, HOME=str(tmp_path))
    assert ran.returncode == 32


def test_up_to_date(program: Callable[[str], str], relay: Relay, tmp_path: Path, name: str) -> None:
    """With the tag of the last answer, nothing is sent."""
    curl = [program("curl"), "-fsS", "-o", "file", "--etag-save", "tag", "--etag-compare", "tag", address(relay, name)]
    assert run(curl, cwd=tmp_path).returncode == 0
    assert run(curl, cwd=tmp_path).returncode == 0
    assert [each.status for each in relay.asked] == [200, 304]
