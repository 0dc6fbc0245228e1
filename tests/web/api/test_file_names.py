"""A file keeps its name: through both ways in, and in the header of the way out.

Control: a name that is generated for every build, a `filename*` beside every name, and a suffix that is only what
follows the last dot are each found.
"""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from aiohttp import FormData, content_disposition_filename, parse_content_disposition

BARE = "/api/v1/updates/my-app/download/1.0.0/linux/amd64"
KEPT = [
    ("My.app.tar.gz", "archive"),
    ("tool-1.0.tar.xz", "archive"),
    ("My-App.AppImage.tar.gz", "archive"),
    ("Setup.nsis.zip", "archive"),
    ("mkcert-v1.4.4", "other"),
    ("pkg-1.0-py3-none-any.whl", "other"),
    ("My App (x64) 1.0+b1.exe", "installer"),
    ("a;b~@c.7z", "archive"),
    ("Prüfung 検査.dmg", "installer"),
    ("n" * 176 + ".exe", "installer"),
]
REFUSED = [
    ("../../etc/passwd.tar.gz", ".tar.gz"),
    (r"C:\fakepath\Setup.msi", ".msi"),
    ("con.txt", ".txt"),
    ("COM1", ""),
    (".hidden.zip", ".zip"),
    ("-rf.exe", ".exe"),
    ("mkcert-v1.4.4.", ""),
    ("a\u202egpj.exe", ".exe"),
    ("n" * 177 + ".exe", ".exe"),
    ("x?.AppImage.tar.gz", ".AppImage.tar.gz"),
    ("", ""),
]


def saved_as(header: str) -> str:
    """Return the name under which a client saves the file."""
    _, parameters = parse_content_disposition(header)
    return str(content_disposition_filename(parameters))


async def kind_of_the_file(service: Any) -> str:
    build = await service.services.downloads.get_build("my-app", "1.0.0", ("linux", "amd64"))
    return str(build.file.kind)


@pytest.mark.parametrize(("name", "kind"), KEPT)
@pytest.mark.parametrize("way", ["body", "form", "encoded form"])
async def test_a_name_that_can_be_a_files_anywhere_is_kept(service: Any, name: str, kind: str, way: str) -> None:
    if way == "body":
        await service.publish(file_name=name)
    else:
        form = FormData(quote_fields=way == "encoded form")
        for field, value in {"version": "1.0.0", "platform": "linux", "architecture": "amd64"}.items():
            form.add_field(field, value)
        form.add_field("file", b"bytes", filename=name)
        await service.call("POST", "/api/v1/updates/my-app/upload", key="write", data=form, status=201)
    response, _ = await service.exchange("GET", BARE, status=200)
    header = response.headers["Content-Disposition"]
    assert saved_as(header) == name
    assert ("filename*" in header) is not name.isascii()
    if name.isascii():
        assert header == f'attachment; filename="{name}"'
    assert await kind_of_the_file(service) == kind


@pytest.mark.parametrize(("name", "suffix"), REFUSED)
async def test_another_name_is_generated_and_keeps_its_suffix(service: Any, name: str, suffix: str) -> None:
    await service.publish(file_name=name)
    response, _ = await service.exchange("HEAD", BARE, status=200)
    assert response.headers["Content-Disposition"] == f'attachment; filename="my-app-1.0.0-linux-amd64{suffix}"'


async def test_a_decomposed_name_is_composed(service: Any) -> None:
    """macOS gives names in NFD; two spellings of one name would be two files elsewhere."""
    await service.publish(file_name=unicodedata.normalize("NFD", "Prüfung.dmg"))
    response, _ = await service.exchange("HEAD", BARE, status=200)
    assert saved_as(response.headers["Content-Disposition"]) == "Prüfung.dmg"
