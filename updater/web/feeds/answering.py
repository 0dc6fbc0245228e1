"""The way of every feed: who asks, what it gets, and the answer with its entity tag.

A handler reads its address into a question (`updater.feeds.model`); no rule of a feed is here.
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple
from urllib.parse import parse_qsl

from aiohttp import hdrs, web
from multidict import CIMultiDict

from updater.artifacts.ranges import names_etag
from updater.catalog.channels import channel_asked
from updater.catalog.model import Application, Build, BuildFile
from updater.catalog.platforms import Target
from updater.catalog.versions import Version, parse_field, parse_version
from updater.feeds.model import Question
from updater.feeds.service import FeedAnswer, FeedService
from updater.offers.feed_choice import FeedClient
from updater.services import Services
from updater.telemetry.model import UNKNOWN, ClientFacts
from updater.web.feeds.answers import NO_CACHE
from updater.web.feeds.schemas import FeedQuery
from updater.web.gate.context import CONTEXT
from updater.web.gate.country_hints import CountryHints
from updater.web.gate.identity import IdentityReader
from updater.web.messages.client_fields import is_identity
from updater.web.messages.links import Links
from updater.web.messages.parsing import load_values

NO_STORE = "private, no-store"
_QUERY = FeedQuery()
# What longer queries say is not worth keeping.
_KEPT_CHARACTERS = 300


class Told(NamedTuple):
    """What a client says of itself in its query: versions as texts, ids as they came."""

    current_version: str = ""
    local_version: str = ""
    client_id: str = ""
    staging_id: str | None = None
    allow_prerelease: bool = False
    manual: bool = False


NOTHING_TOLD = Told()


class FeedDoor:
    """Answers questions of feeds."""

    def __init__(self, services: Services, links: Links) -> None:
        self._feeds: FeedService = services.feeds
        self._offers = services.offers
        self._links = links
        self._counter = services.telemetry.checks
        self._identities = IdentityReader(services.settings)
        self._places = CountryHints(services.settings)

    def waits_for_nothing(self, request: web.Request, notes_of: Target | None = None) -> bool:
        """Tell whether `answer` awaits nothing now. Raises NotFound: no such application. Unavailable: not now."""
        state = self._feeds.find(request.match_info["app_id"])
        return state is not None and (notes_of is None or state.has_notes(notes_of))

    async def answer(
        self,
        request: web.Request,
        question: Question,
        *,
        current: str | None = None,
        channel: str | None = None,
        notes_of: Target | None = None,
    ) -> web.Response:
        """Answer a question.

        Args:
            request: the request; `app_id` and `channel` are in its path.
            question: what its address asks.
            current: the client's version, where the path names it; else the query may.
            channel: the channel that it asks for, where that is not the path's.
            notes_of: the target whose notes the answer holds as HTML, if it does.

        Raises:
            NotFound: no such application, or nothing to show. Invalid: `version` is none, or something of the query.
            Unavailable: not now.
        """
        application_id = request.match_info["app_id"]
        told = read_query(request.rel_url.raw_query_string)
        state = self._feeds.find(application_id) or await self._feeds.load(application_id)
        while notes_of is not None and not state.has_notes(notes_of):
            await state.prepare_notes(notes_of)
            # Something may have changed meanwhile, and what is gone must keep no answer.
            state = self._feeds.find(application_id) or await self._feeds.load(application_id)
        application = state.snapshot.application
        client = _client(application, told, current, channel or request.match_info["channel"])
        origin = self._links.download_origin(request)

        def identify() -> str | None:
            return None if told.manual else self._identities.of(request, told.client_id, told.staging_id).value

        def file_url(build: Build, file: BuildFile) -> str:
            return self._links.file_url(build, file.name, origin)

        found = self._feeds.answer(state, question, client, origin=origin, file_url=file_url, identify=identify)
        version = UNKNOWN if client.current is None else client.current.text
        self._counter.count(ClientFacts(application_id, version, _target_of(question)), self._places.of(request))
        headers: CIMultiDict[str] = found.headers
        if headers is None:
            headers = found.headers = _headers_of(found)
        if found.rendered.status == 204:
            request[CONTEXT].outcome = "current"
            return web.Response(status=204, headers=headers)
        if hdrs.IF_NONE_MATCH in request.headers and names_etag(
            request.headers, hdrs.IF_NONE_MATCH, headers[hdrs.ETAG], weakly=True
        ):
            request[CONTEXT].outcome = "not_modified"
            headers = headers.copy()
            del headers[hdrs.CONTENT_TYPE]
            return web.Response(status=304, headers=headers)
        return web.Response(body=found.rendered.body, headers=headers)


class Feed:
    """The handlers of a feed."""

    def __init__(self, door: FeedDoor) -> None:
        self.door = door

    def is_loaded(self, request: web.Request) -> bool:
        """Tell whether an answer without notes awaits nothing now. Raises as `FeedDoor.waits_for_nothing`."""
        return self.door.waits_for_nothing(request)


def _headers_of(answer: FeedAnswer) -> CIMultiDict[str]:
    headers = CIMultiDict({hdrs.CACHE_CONTROL: NO_STORE if answer.by_dice else NO_CACHE})
    if answer.rendered.status != 204:
        headers[hdrs.ETAG] = f'"{answer.digest}"'
        headers[hdrs.CONTENT_TYPE] = answer.rendered.media_type
    return headers


@functools.lru_cache(256)
def _target_of(question: Question) -> str:
    """Return the target that is asked for, as figures have it."""
    targets = {target for group in question.groups for target in group}
    return "/".join(targets.pop()) if len(targets) == 1 else UNKNOWN


def read_query(raw_query: str) -> Told:
    """Return what a query says, percent-encoded as it came; of a name given twice, the first counts.

    Parameters that no feed knows are ignored: one client sends another `noCache` each time. Raises Invalid.
    """
    if "%" not in raw_query and _KNOWN.search(raw_query) is None:
        return NOTHING_TOLD
    given = dict(reversed([each for each in parse_qsl(raw_query, keep_blank_values=True) if each[0] in _NAMES]))
    if not given:
        return NOTHING_TOLD
    # Ids are another client's each; the schema sees those that do not fit.
    staging_id = given.pop("stagingId", None)
    client_id = given.pop("client_id") if is_identity(given.get("client_id", "")) else ""
    told = _read_kept(tuple(given.items())) if len(raw_query) <= _KEPT_CHARACTERS else _read(tuple(given.items()))
    if client_id:
        told = told._replace(client_id=client_id)
    return told if staging_id is None else told._replace(staging_id=staging_id)


def _read(given: tuple[tuple[str, str], ...]) -> Told:
    return Told(**load_values(_QUERY, dict(given)))


_NAMES = frozenset(each.data_key or name for name, each in _QUERY.fields.items())
# Hardly any client says something that a feed reads, and a search costs a tenth of splitting a query.
_KNOWN = re.compile("|".join(map(re.escape, sorted(_NAMES))))
_read_kept = functools.lru_cache(256)(_read)


def _client(application: Application, told: Told, current: str | None, channel: str) -> FeedClient:
    position = channel_asked(application.channels, channel)
    return FeedClient(_version(application, told, current), position, told.allow_prerelease)


def _version(application: Application, told: Told, current: str | None) -> Version | None:
    """Return the client's version. Raises Invalid: the one in the path is none."""
    if current is not None:
        return parse_field(current, application.scheme, "version")
    for text in (told.current_version, told.local_version):
        if text:
            try:
                return parse_version(text, application.scheme)
            except ValueError:
                continue
    return None
