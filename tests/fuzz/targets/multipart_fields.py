"""The text fields beside an uploaded file, `name=value` a line: refused by name, or taken."""

from __future__ import annotations

from updater.errors import Invalid
from updater.web.transfer.upload_fields import FileQuery, UploadFields, given_signatures, load_fields

SEEDS = (
    b'version=1.0.0\nplatform=linux\narchitecture=amd64\nmetadata={"a": [1, 2.5, null]}\nrollout=5\nalso=arm64,386',
    b'rollout={"stages": [{"percent": 1, "for_s": 60}, {"percent": 100}]}\nsignatures={"a.zip": {"minisign": "x"}}',
    b"kind=signature\nchecksum=sha256:" + b"0" * 64 + b"\ndelta_from=1.0.0\ndraft=true\nrequired=1",
)


def check(data: bytes) -> None:
    lines = (line.partition("=") for line in data.decode(errors="surrogateescape").split("\n"))
    given = {name: value for name, _, value in lines}
    for schema in (UploadFields(), FileQuery()):
        try:
            given_signatures(load_fields(schema, given))
        except Invalid as error:
            assert error.fields
