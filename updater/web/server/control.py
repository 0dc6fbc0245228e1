"""The control socket: operations for the command line, on a Unix socket only the owner of the data folder can open.

`POST /<operation>` with a JSON object of arguments; the answer is one JSON value a line, the last one either
`{"result": ...}` or `{"failure": kind, "message": ..., "fields": ...}`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import cast

import orjson
import structlog
from aiohttp import web

from updater.errors import Failure, Invalid, Malformed
from updater.operations import OPERATIONS, Event
from updater.services import Services
from updater.web.messages.parsing import load_object

_log = structlog.get_logger(__name__)


def build_control(services: Services) -> web.Application:
    """Return the application behind the socket.

    Its handler raises HTTPNotFound for an unknown operation. Source: the protocol at the head of this module.
    """

    async def operate(request: web.Request) -> web.StreamResponse:
        operation = OPERATIONS.get(request.match_info["operation"])
        if operation is None:
            raise web.HTTPNotFound
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        try:
            # Closed here: an interrupted operation must not hold anything until the next garbage collection.
            events = cast(AsyncGenerator[Event], operation(services, **load_object(await request.read())))
            async with aclosing(events):
                async for event in events:
                    await response.write(orjson.dumps(event) + b"\n")
        except ConnectionError:
            _log.info("control.interrupted", operation=request.match_info["operation"])
        except (Failure, TypeError) as error:
            failure = error if isinstance(error, Failure) else Malformed("Wrong arguments for this operation")
            await response.write(orjson.dumps(describe_failure(failure)) + b"\n")
        except Exception as error:
            _log.error("control.failed", operation=request.match_info["operation"], exc_info=error)
            unexpected = {"failure": "Unexpected", "message": "The operation failed; the server's log says why"}
            await response.write(orjson.dumps(unexpected) + b"\n")
        return response

    application = web.Application()
    application.router.add_post("/{operation}", operate)
    return application


def describe_failure(failure: Failure) -> dict[str, object]:
    """Return a failure as the last line of the answer, with the keys in this order: `failure`, `message`, `fields`."""
    fields = failure.fields if isinstance(failure, Invalid) else {}
    return {"failure": type(failure).__name__, "message": failure.message, "fields": fields}
