"""JSON bodies: malformed, or an object; and the schemas of what installed clients and publishers send."""

from __future__ import annotations

from contextlib import suppress

from updater.errors import Invalid, Malformed
from updater.web.api import client_schemas, schemas
from updater.web.messages.parsing import load_object, load_text, load_values
from updater.web.messages.rollout_schemas import SetPlanBody

_SCHEMAS = (client_schemas.CheckBody(), client_schemas.ReportBody(), schemas.RegisterBody(), SetPlanBody())
SEEDS = (
    b'{"application_id": "a", "current_version": "1.0", "platform": "Linux", "architecture": "x64", "client_id": 7}',
    b'\xef\xbb\xbf{"status": "completed", "install_time_seconds": "1.5", "error_message": "\xff\x01", "a": 1e400}',
    b'{"stages": [{"percent": 0.01, "for_s": 1}], "start_at": "2026-01-01T00:00:00Z", "halt": {"alpha": 1e-9}}',
    b'{"a": {"a": {"a": [[[[1, -0.0, 18446744073709551616, "\\ud800"]]]]}}, "a": 1}',
)


def check(data: bytes) -> None:
    with suppress(Malformed):
        load_text(data.decode(errors="surrogateescape"))
    for mend in (False, True):
        try:
            found = load_object(data, mend=mend)
        except Malformed:
            continue
        for schema in _SCHEMAS:
            try:
                load_values(schema, found)
            except Invalid as error:
                assert error.fields
