"""Long listings, a slice at a time: a page of the largest rows is 80 MB, and memory holds one slice of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any, Final

import orjson
from aiohttp import web

from updater.catalog.model import Page
from updater.web.gate.context import CONTEXT, begin
from updater.web.messages.answers import JSON, json_answer

SLICE_ROWS: Final = 50

Read = Callable[[Page], Awaitable[tuple[list[dict[str, Any]], int]]]
"""Returns the rendered rows of a page, and how many there are in all."""


async def list_answer(
    request: web.Request, name: str, page: Page, read: Read, rest: Callable[[int, int], dict[str, Any]]
) -> web.StreamResponse:
    """Answer with `{name: [rows of the page], **rest(rows shown, total)}`.

    A page of more than `SLICE_ROWS` rows is read and sent in slices; what changes meanwhile may be missed or shown
    twice, as between two pages. Once the first slice is out, a failure cuts the answer.
    """
    rows, total = await read(dataclasses.replace(page, limit=min(page.limit, SLICE_ROWS)))
    if page.limit <= SLICE_ROWS or len(rows) < SLICE_ROWS:
        return json_answer({name: rows, **rest(len(rows), total)})
    response = web.StreamResponse(headers={"Content-Type": JSON})
    begin(request, response)
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    shown, context = 0, request[CONTEXT]
    piece = b"{" + orjson.dumps(name) + b":["
    while rows:
        piece += (b"," if shown else b"") + b",".join(orjson.dumps(row) for row in rows)
        await response.write(piece)
        context.sent_bytes += len(piece)
        shown, piece = shown + len(rows), b""
        left = min(page.limit - shown, SLICE_ROWS)
        rows, total = await read(Page(left, page.offset + shown)) if left else ([], total)
    # What follows stands in the same object: its brace goes.
    piece = b"]," + orjson.dumps(rest(shown, total))[1:]
    await response.write_eof(piece)
    context.sent_bytes += len(piece)
    return response
