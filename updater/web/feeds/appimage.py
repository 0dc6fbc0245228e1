"""AppImages that update themselves: the zsync file of the release that is shown."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Final, cast

from aiohttp import hdrs, web

from updater.access.limits import Traffic
from updater.artifacts.service import ArtifactService
from updater.artifacts.zsync import rewrite
from updater.errors import NotFound, Unavailable
from updater.feeds.appimage import ControlFile, read_recipe, read_word
from updater.web.feeds.answering import FeedDoor
from updater.web.feeds.schemas import FeedQuery
from updater.web.gate.context import CONTEXT, begin
from updater.web.gate.routing import Contract, endpoint

_MAX_LINES_BYTES: Final = 256 << 10
_KEPT: Final = (hdrs.CONTENT_TYPE, hdrs.ETAG, hdrs.CACHE_CONTROL)


class AppImageFeed:
    """The one address in the update information of an image; it never changes."""

    def __init__(self, door: FeedDoor, artifacts: ArtifactService) -> None:
        self._door = door
        self._artifacts = artifacts

    @endpoint(
        Contract(
            "AppImage: the zsync file",
            traffic=Traffic.FEED,
            query=FeedQuery(),
            parses_itself=True,
            answers={200: None, 304: None},
            failures=(404, 422, 503),
            media_types=("application/x-zsync",),
        )
    )
    async def get_zsync(self, request: web.Request) -> web.StreamResponse:
        """Return the zsync file of the release that is shown, with the address of its image.

        `machine` is x86_64, aarch64, i686 or armhf.
        """
        question = read_word(request.match_info["machine"])
        if question is None:
            raise NotFound("feed", "No such file: expected x86_64.zsync, aarch64.zsync, i686.zsync or armhf.zsync")
        answer = await self._door.answer(request, question)
        if answer.status != 200 or not isinstance(answer.body, bytes):
            return answer
        recipe = read_recipe(answer.body)
        async with aclosing(self._read(recipe)) as pieces:
            beginning = await _beginning(pieces)
            try:
                made = rewrite(beginning, recipe.file_name, recipe.url)
            except ValueError:
                raise NotFound("release", f"{recipe.file_name}.zsync is no zsync file") from None
            # The entity tag is that of the recipe, from which nothing but this file can be made.
            if len(beginning) == recipe.size_bytes:
                answer.body = made
                return answer
            response = web.StreamResponse(headers={name: answer.headers[name] for name in _KEPT})
            response.content_length = len(made) + recipe.size_bytes - len(beginning)
            begin(request, response)
            await response.prepare(request)
            if request.method != "HEAD":
                await _write(request, response, made, pieces)
            return response

    async def _read(self, recipe: ControlFile) -> AsyncGenerator[bytes]:
        """Give the stored file in pieces. Raises Unavailable: it is missing, of another size, or cannot be read now."""
        size_bytes = 0
        try:
            stored = cast(AsyncGenerator[bytes], self._artifacts.blobs.read(recipe.digest))
            async with aclosing(stored):
                async for piece in stored:
                    size_bytes += len(piece)
                    yield piece
            if size_bytes != recipe.size_bytes:
                raise Unavailable("The zsync file is damaged")
        except (NotFound, Unavailable) as error:
            self._artifacts.inspector.suspect(recipe.digest)
            raise Unavailable("The zsync file cannot be read now") from error


async def _beginning(pieces: AsyncIterator[bytes]) -> bytes:
    """Return the first pieces, with all lines of a zsync file among them; a small file as a whole."""
    beginning = b""
    async for piece in pieces:
        beginning += piece
        if len(beginning) > _MAX_LINES_BYTES:
            break
    return beginning


async def _write(
    request: web.Request, response: web.StreamResponse, beginning: bytes, pieces: AsyncIterator[bytes]
) -> None:
    """Send the rest piece by piece: of many clients that take their time, memory holds a piece each."""
    context = request[CONTEXT]
    await response.write(beginning)
    context.sent_bytes += len(beginning)
    async for piece in pieces:
        await response.write(piece)
        context.sent_bytes += len(piece)
    await response.write_eof()
