"""One table from kinds of failure to answers, and one writer per error shape.

What a client reads is the failure's own message; anything unexpected is a fixed text and the request id, and the
details go to the log alone.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

from updater import errors
from updater.clock import utc_now
from updater.times import rfc3339


@dataclass(frozen=True, slots=True)
class Answer:
    """A failure as HTTP: status, the documents' error code, and what to say."""

    status: int
    code: str
    message: str
    details: dict[str, Any] = field(default_factory=dict)
    fields: dict[str, str] | None = None
    headers: dict[str, str] = field(default_factory=dict)


# Source: "Error Codes" and "Common Error Scenarios" of the REST document. The first fitting row counts.
_TABLE: tuple[tuple[type[errors.Failure], int, str], ...] = (
    (errors.DigestMismatch, 422, "VALIDATION_ERROR"),
    (errors.Invalid, 422, "VALIDATION_ERROR"),
    (errors.TakenOver, 400, "TAKEN_OVER"),
    (errors.Malformed, 400, "INVALID_REQUEST"),
    (errors.Unauthenticated, 401, "UNAUTHORIZED"),
    (errors.Forbidden, 403, "FORBIDDEN"),
    (errors.NotFound, 404, "NOT_FOUND"),
    (errors.Conflict, 409, "CONFLICT"),
    (errors.TooSlow, 408, "BAD_REQUEST"),
    (errors.OtherProtocol, 412, "BAD_REQUEST"),
    (errors.TooLarge, 413, "BAD_REQUEST"),
    (errors.UnsupportedContent, 415, "BAD_REQUEST"),
    (errors.Locked, 423, "LOCKED"),
    (errors.ChunkMismatch, 460, "CHECKSUM_MISMATCH"),
    (errors.RateLimited, 429, "RATE_LIMIT_EXCEEDED"),
    (errors.Unavailable, 503, "SERVICE_UNAVAILABLE"),
    (errors.StorageFull, 507, "SERVICE_UNAVAILABLE"),
)
# What aiohttp itself raises: no such route, wrong method, too large a body. 503: routes that cannot be read any more.
_HTTP = {
    303: ("SIGN_IN_FIRST", "Sign in first"),
    404: ("NOT_FOUND", "No such resource"),
    405: ("INVALID_REQUEST", "Method not allowed"),
    413: ("BAD_REQUEST", "The request body is too large"),
    417: ("BAD_REQUEST", "The only expectation that is met is 100-continue"),
    503: ("SERVICE_UNAVAILABLE", "The program was upgraded while it runs; this works again when it was started anew"),
}


def answer_for(error: Exception) -> Answer | None:
    """Return the answer for an error; None when it is neither a Failure nor an HTTPException of aiohttp.

    Source: "Error Codes" of the REST document, through `_TABLE`.
    """
    if isinstance(error, web.HTTPException):
        return _answer_for_http(error)
    if not isinstance(error, errors.Failure):
        return None
    status, code = next((status, code) for kind, status, code in _TABLE if isinstance(error, kind))
    headers = {}
    if isinstance(error, errors.RateLimited | errors.Unavailable):
        headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, errors.Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, errors.TooSlow | errors.TooLarge):
        headers["Connection"] = "close"
    if isinstance(error, errors.NotFound) and error.kind == "application":
        code = "APPLICATION_NOT_FOUND"
    fields = error.fields if isinstance(error, errors.Invalid) else None
    return Answer(status, code, error.message, error.details or dict(fields or {}), fields, headers)


def unexpected() -> Answer:
    """Return the answer for any other error: 500, with a fixed text. Source: "Error Codes" of the REST document."""
    return Answer(500, "INTERNAL_ERROR", "An unexpected error occurred; the request id names it in the server's log")


def write_api(answer: Answer, request_id: str) -> web.Response:
    """Render the six keys of the REST document, and `errors` beside them when fields did not fit.

    Source: "Error Responses" of the REST document; `timestamp` is UTC.
    """
    body: dict[str, Any] = {
        "error": "error" if answer.fields is None else "validation_error",
        "message": answer.message,
        "code": answer.code,
        "details": answer.details,
        "timestamp": rfc3339(utc_now()),
        "request_id": request_id,
    }
    if answer.fields is not None:
        body["errors"] = answer.fields
    return _json(answer, body)


def write_api_as_400(answer: Answer, request_id: str) -> web.Response:
    """Render the body of the REST document, with 400 for 415 and 422.

    Source: documents 002 and 003 know neither of the two.
    """
    status = 400 if answer.status in (415, 422) else answer.status
    return write_api(dataclasses.replace(answer, status=status), request_id)


def write_system(answer: Answer, request_id: str) -> web.Response:
    """Render the flat error `{error}`. Source: document 000."""
    return _json(answer, {"error": answer.message})


def write_admin(answer: Answer, request_id: str) -> web.Response:
    """Render `{success, error, step}`; `step` names the step that failed, or is None.

    Source: document 001.
    """
    return _json(answer, {"success": False, "error": answer.message, "step": answer.details.get("step")})


def _json(answer: Answer, body: dict[str, Any]) -> web.Response:
    # Said here too: what never reaches the gate is written by the same writers.
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **answer.headers}
    return web.Response(status=answer.status, body=orjson.dumps(body), content_type="application/json", headers=headers)


def _answer_for_http(error: web.HTTPException) -> Answer:
    code, message = _HTTP.get(error.status, ("BAD_REQUEST", "The request cannot be served"))
    headers = {name: error.headers[name] for name in ("Allow", "Location", "Vary") if name in error.headers}
    return Answer(error.status, code, message, headers=headers)
