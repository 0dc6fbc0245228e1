"""The control socket: operations for the command line, on a Unix socket only the owner of the data folder can open.

`POST /<operation>` with a JSON object of arguments; the answer is one JSON value a line, the last one either
`{"result": ...}` or `{"failure": kind, "message": ..., "fields": ...}`.
"""

from __future__ import annotations

import socket
import struct
from contextlib import aclosing

import orjson
from aiohttp import web

from updater.audit.model import Actor
from updater.audit.operators import operator
from updater.errors import Failure, Malformed
from updater.logs.loggers import get_logger
from updater.operations import OPERATIONS
from updater.operations.events import describe_failure
from updater.services import Services
from updater.web.messages.parsing import load_object

_log = get_logger(__name__)


def build_control(services: Services) -> web.Application:
    """Return the application behind the socket.

    Its handler raises HTTPNotFound for an unknown operation. Source: the protocol at the head of this module.
    """

    async def _operate(request: web.Request) -> web.StreamResponse:
        operation = OPERATIONS.get(request.match_info["operation"])
        if operation is None:
            raise web.HTTPNotFound
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        try:
            # Closed here: an interrupted operation must not hold anything until the next garbage collection.
            arguments = load_object(await request.read())
            async with aclosing(operation(services, _operator(request), **arguments)) as events:
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
    application.router.add_post("/{operation}", _operate)
    return application


def _operator(request: web.Request) -> Actor:
    """Return who runs the command, as the kernel says it of the other end of the socket."""
    transport = request.transport
    if transport is None:
        raise ConnectionError("The command has left")
    peer: socket.socket = transport.get_extra_info("socket")
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, user_id, _ = struct.unpack("3i", credentials)
    return operator(user_id)
