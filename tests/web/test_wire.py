"""A connection with a full buffer: the corners that a download meets only now and then."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest
from aiohttp import web

from tests.web.exchange import request_bytes
from updater.artifacts.ranges import ByteRange
from updater.web.messages.pace import Pace
from updater.web.transfer.wire import Wire

FILE_BYTES = 64 * 1024 * 1024


@pytest.fixture
async def connected(tmp_path):
    """Run a coroutine function on the wire of a request whose client has not read anything yet."""
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(FILE_BYTES)
    runners, writers = [], []

    async def connect(use):
        result = asyncio.get_running_loop().create_future()

        async def handle(request):
            response = web.StreamResponse()
            response.content_length = 2 * FILE_BYTES
            await response.prepare(request)
            transport = request.transport
            with path.open("rb", buffering=0) as file:
                try:
                    result.set_result(await use(Wire(request, response, transport), transport, file))
                except Exception as error:
                    result.set_exception(error)
            response.force_close()
            transport.abort()
            return response

        app = web.Application()
        app.router.add_get("/file", handle)
        runners.append(web.AppRunner(app, shutdown_timeout=0.1))
        await runners[-1].setup()
        await web.TCPSite(runners[-1], "127.0.0.1", 0).start()
        reader, writer = await asyncio.open_connection(*runners[-1].addresses[0], limit=2**16)
        writers.append(writer)
        writer.write(request_bytes())
        return reader, result

    yield connect
    for writer in writers:
        writer.transport.abort()
    for runner in runners:
        await runner.cleanup()


async def fill(wire: Wire, transport: asyncio.Transport) -> None:
    transport.set_write_buffer_limits(high=2 * FILE_BYTES)
    await wire.write(bytes(FILE_BYTES))
    assert transport.get_write_buffer_size() > 0


async def test_flush_waits_until_the_kernel_has_every_byte(connected):
    async def use(wire, transport, _file):
        await fill(wire, transport)
        await wire.flush()
        return transport.get_write_buffer_size()

    reader, left_bytes = await connected(use)
    done, _ = await asyncio.wait([left_bytes], timeout=0.3)
    assert not done
    await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(FILE_BYTES)
    assert await left_bytes == 0


async def test_a_stall_before_a_sendfile_can_start_breaks_nothing(connected, caplog):
    async def use(wire, transport, file):
        await fill(wire, transport)

        async def body():
            await wire.send_file(file, ByteRange(0, FILE_BYTES))

        try:
            await wire.watch(body(), 0.3, Pace(0))
        finally:
            stalled = wire.stalled
            wire.abort()
            await asyncio.sleep(0.05)
            assert stalled

    _, ended = await connected(use)
    with pytest.raises(TimeoutError):
        await ended
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_sendfile_notices_that_its_connection_was_closed(connected):
    async def use(wire, transport, file):
        async def body():
            await wire.send_file(file, ByteRange(0, FILE_BYTES))

        asyncio.get_running_loop().call_later(0.2, transport.close)
        began_s = time.monotonic()
        try:
            await wire.watch(body(), 8, Pace(0))
        except TimeoutError:
            return time.monotonic() - began_s, wire.stalled

    _, ended = await connected(use)
    took_s, stalled = await ended
    assert took_s < 4
    assert not stalled
