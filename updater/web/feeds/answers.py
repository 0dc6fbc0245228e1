"""What all feeds have in common: the channel of an address, and an answer with its entity tag."""

from __future__ import annotations

import hashlib

from aiohttp import hdrs, web

from updater.artifacts.ranges import names_etag
from updater.catalog.channels import channel_asked
from updater.offers.service import OfferService
from updater.web.gate.context import CONTEXT

NO_CACHE = "no-cache"


def channel_in_path(request: web.Request, offers: OfferService) -> str:
    """Return the channel of an address's application; one that it does not have counts as the first.

    Raises:
        NotFound: no such application. Unavailable: it was changed, and the change cannot be read.
    """
    channels = offers.get_application(request.match_info["app_id"]).channels
    return channels[channel_asked(channels, request.match_info["channel"])]


def feed_answer(
    request: web.Request, body: bytes, media_type: str, *, cache_control: str = NO_CACHE, digest: str | None = None
) -> web.Response:
    """Answer with a body that is in memory, or with 304 to a client that has it.

    `media_type` is the whole header, with its charset if it has one. `digest` is the SHA-256 of the body, in hex, where
    it is known. Source: RFC 9110 sections 8.8.3 and 13.1.2; the gate makes answers about private applications private.
    """
    etag = f'"{digest or hashlib.sha256(body).hexdigest()}"'
    headers = {hdrs.ETAG: etag, hdrs.CACHE_CONTROL: cache_control}
    if hdrs.IF_NONE_MATCH in request.headers and names_etag(request.headers, hdrs.IF_NONE_MATCH, etag, weakly=True):
        request[CONTEXT].outcome = "not_modified"
        return web.Response(status=304, headers=headers)
    return web.Response(body=body, headers={**headers, hdrs.CONTENT_TYPE: media_type})
