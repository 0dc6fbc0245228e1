"""AppImages that update themselves: the zsync file of the release that is shown."""

from __future__ import annotations

from aiohttp import web

from updater.access.limits import Traffic
from updater.artifacts.service import ArtifactService
from updater.artifacts.zsync import rewrite
from updater.errors import NotFound, Unavailable
from updater.feeds.appimage import ControlFile, read_recipe, read_word
from updater.web.feeds.answering import FeedDoor
from updater.web.feeds.schemas import FeedQuery
from updater.web.gate.routing import Contract, endpoint


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
    async def get_zsync(self, request: web.Request) -> web.Response:
        """Return the zsync file of the release that is shown, with the address of its image.

        `machine` is x86_64, aarch64, i686 or armhf.
        """
        question = read_word(request.match_info["machine"])
        if question is None:
            raise NotFound("feed", "No such file: expected x86_64.zsync, aarch64.zsync, i686.zsync or armhf.zsync")
        answer = await self._door.answer(request, question)
        # The entity tag is that of the recipe, from which nothing but this file can be made.
        if answer.status == 200 and isinstance(answer.body, bytes):
            answer.body = await self._make(read_recipe(answer.body))
        return answer

    async def _make(self, recipe: ControlFile) -> bytes:
        """Return the stored file, with its two lines.

        Raises:
            Unavailable: it is missing, cut, or cannot be read now. NotFound: it is no zsync file.
        """
        try:
            stored = b"".join([chunk async for chunk in self._artifacts.blobs.read(recipe.digest)])
            if len(stored) != recipe.size_bytes:
                raise Unavailable("The zsync file is damaged")
        except (NotFound, Unavailable) as error:
            self._artifacts.inspector.suspect(recipe.digest)
            raise Unavailable("The zsync file cannot be read now") from error
        try:
            return rewrite(stored, recipe.file_name, recipe.url)
        except ValueError:
            raise NotFound("release", f"{recipe.file_name}.zsync is no zsync file") from None
