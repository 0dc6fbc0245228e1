"""Answers in JSON, for every surface."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web

JSON = "application/json"


def json_answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return an answer with `value` as JSON.

    Raises:
        TypeError: orjson has no form for a part of `value`.
    """
    return web.Response(status=status, body=orjson.dumps(value), content_type=JSON, headers=headers)
