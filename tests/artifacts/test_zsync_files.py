"""zsync files: byte for byte what zsyncmake makes, and zsync itself fetches a file's changed parts with them."""

from __future__ import annotations

import asyncio
import io
import os
import random
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import Service
from updater.artifacts import zsync
from updater.artifacts.makers import make_zsync

needs_zsync = pytest.mark.skipif(shutil.which("zsyncmake") is None, reason="needs zsync")
MODIFIED = datetime(2026, 11, 5, 7, 8, 9, tzinfo=UTC)
EDGES = (1, 2047, 2048, 2049, 4095, 4096, 4097, 65_536, 1_000_000, 2_097_152, 8_388_607)
SIZES = sorted({*EDGES, *(random.Random(5).sample(range(3_000_000), 20))})


def zsyncmake(content: bytes, folder: Path, name: str = "App.AppImage") -> bytes:
    path = folder / name
    path.write_bytes(content)
    os.utime(path, (MODIFIED.timestamp(), MODIFIED.timestamp()))
    subprocess.run(["zsyncmake", "-Z", "-u", name, "-o", f"{name}.zsync", name], cwd=folder, check=True)
    return (folder / f"{name}.zsync").read_bytes()


def made(content: bytes, piece_bytes: int = 1 << 20) -> bytes:
    pieces = [content[place : place + piece_bytes] for place in range(0, len(content), piece_bytes)]
    return make_zsync(
        pieces, size_bytes=len(content), filename="App.AppImage", url="App.AppImage", modified_at=MODIFIED
    )


@needs_zsync
@pytest.mark.parametrize("size", SIZES)
def test_every_byte_is_zsyncmakes(size: int, tmp_path: Path) -> None:
    content = random.Random(size).randbytes(size)
    assert made(content) == zsyncmake(content, tmp_path)
    assert made(content, 10_007) == made(content)


@needs_zsync
@pytest.mark.parametrize("content", [b"", bytes(100_000), b"\xff" * 100_000, b"ab" * 99_999, b"\x1f\x8b" + bytes(9999)])
def test_so_it_is_for_what_is_special(content: bytes, tmp_path: Path) -> None:
    assert made(content) == zsyncmake(content, tmp_path)


@needs_zsync
@pytest.mark.parametrize("size", [99_999_999, 100_000_000])
def test_the_size_of_blocks_changes_at_100_million_bytes(size: int, tmp_path: Path) -> None:
    content = (random.Random(6).randbytes(1_000_003) * 100)[:size]
    assert made(content) == zsyncmake(content, tmp_path)


@needs_zsync
def test_the_lengths_of_hashes_are_zsyncmakes_for_larger_files(tmp_path: Path) -> None:
    """A file without bytes, for sizes that would take long to hash here: only the header is looked at."""
    for size in (300_000_000, 1 << 30):
        path = tmp_path / "large"
        path.touch()
        os.truncate(path, size)
        subprocess.run(["zsyncmake", "-Z", "-u", "x", "-o", "large.zsync", "large"], cwd=tmp_path, check=True)
        lengths = zsync.hash_lengths_of(size)
        wanted = f"Hash-Lengths: {lengths.blocks},{lengths.rolling_bytes},{lengths.strong_bytes}\n".encode()
        assert wanted in (tmp_path / "large.zsync").read_bytes()[:400]


def test_a_file_of_another_size_is_refused() -> None:
    for size in (6, 8):
        with pytest.raises(ValueError, match=f"expected {size} bytes and got 7"):
            make_zsync([b"content"], size_bytes=size, filename="a", url="a")


@needs_zsync
async def test_zsync_fetches_only_what_changed(service: Service, tmp_path: Path) -> None:
    old = random.Random(7).randbytes(3_000_000)
    new = old[:1_000_000] + b"changed" * 1000 + old[1_000_000:2_500_000] + b"end"
    published = await service.publish(io.BytesIO(new), "1.1.0")
    address = service.url + published["download_url"].removeprefix(service.url)
    (tmp_path / "old").write_bytes(old)
    control = zsync.rewrite(made(new), "Mine.AppImage", address)
    (tmp_path / "new.zsync").write_bytes(control)
    process = await asyncio.create_subprocess_exec(
        *("zsync", "-i", "old", "-o", "Mine.AppImage", "new.zsync"),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    said, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, said
    assert (tmp_path / "Mine.AppImage").read_bytes() == new
    fetched = re.search(rb"used (\d+) local, fetched (\d+)", said)
    assert fetched and int(fetched[2]) < 20_000, said


HEAD = b"zsync: 0.6.2\nFilename: a\nMTime: x\nBlocksize: 2048\nLength: 7\nHash-Lengths: 1,2,4\n"
SUMS = b"SHA-1: 0\n\n\nURL: in the sums\nFilename: too\n\x00\xff"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (HEAD + b"URL: a\n" + SUMS, HEAD.replace(b"e: a", b"e: B c") + b"URL: https://h/x%20y\n" + SUMS),
        (HEAD + SUMS, None),
        (HEAD + b"URL: a\nURL: b\nZ-URL: c\nURL: d\n" + SUMS, None),
        (HEAD.replace(b"\n", b"\r\n") + b"URL: a\r\nSHA-1: 0\r\n\r\nURL: sums\n", None),
    ],
)
def test_name_and_address_are_rewritten_and_nothing_else(text: bytes, wanted: bytes | None) -> None:
    rewritten = zsync.rewrite(text, "B c", "https://h/x%20y")
    if wanted is not None:
        assert rewritten == wanted
    header, blank, sums = rewritten.partition(b"\r\n\r\n" if b"\r" in text else b"\n\n")
    assert blank and sums == text.partition(blank)[2]
    lines = header.splitlines()
    assert [line for line in lines if line.startswith(b"URL:")] == [b"URL: https://h/x%20y"]
    assert [line for line in lines if line.startswith(b"Filename:")] == [b"Filename: B c"]
    others = (b"URL:", b"Filename:")
    before = text.partition(blank)[0].splitlines()
    assert [line for line in lines if not line.startswith(others)] == [
        line for line in before if not line.startswith(others)
    ]


def test_a_backslash_in_a_name_is_no_reference() -> None:
    assert b"Filename: \\g<0>\\1\n" in zsync.rewrite(HEAD + b"URL: a\n" + SUMS, "\\g<0>\\1", "u")


def test_the_map_of_a_compressed_file_is_left_alone() -> None:
    text = HEAD + b"URL: a\nZ-Map2: 2\n" + b"URL: no\n" + b"\n" + SUMS
    assert zsync.rewrite(text, "a", "b") == text.replace(b"URL: a\n", b"URL: b\n")


@pytest.mark.parametrize("text", [b"", b"zsync: 0.6.2\nURL: a\n", b"<html>\n\n", HEAD])
def test_what_is_no_zsync_file_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="zsync file"):
        zsync.rewrite(text, "a", "b")


def test_no_line_can_be_smuggled_in() -> None:
    for filename, url in (("a\nURL: evil", "b"), ("a", "b\rZ-URL: evil")):
        with pytest.raises(ValueError, match="line breaks"):
            zsync.rewrite(HEAD + b"URL: a\n" + SUMS, filename, url)
        with pytest.raises(ValueError, match="line breaks"):
            zsync.render(b"", size_bytes=0, sha1="", filename=filename, url=url)


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(max_size=300), st.binary(max_size=300).map(lambda raw: HEAD + raw)))
def test_no_bytes_are_more_than_a_value_error(text: bytes) -> None:
    try:
        rewritten = zsync.rewrite(text, "name", "address")
    except ValueError:
        return
    assert rewritten.count(b"\nURL: address\n") + rewritten.count(b"\nURL: address\r\n") >= 1
