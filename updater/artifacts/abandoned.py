"""Abandoned multipart uploads: a killed process leaves them in an S3 bucket, where they are invisible and cost money.

obstore begins and ends its own uploads and cannot list any. So this module sends requests with signed addresses of its
own, for which the options have to hold the secret (`Signing.can`). Everything here blocks, and belongs in a thread.
"""

from __future__ import annotations

import dataclasses
import urllib.request
from collections.abc import Iterator
from datetime import datetime, timedelta
from http.client import HTTPException
from typing import Final, NamedTuple
from xml.etree import ElementTree

from updater.artifacts.location import Location
from updater.artifacts.object_store import RequestTimeouts, open_store
from updater.artifacts.presigning import Query, Signing
from updater.logs.loggers import get_logger

_SIGNED_FOR: Final = timedelta(minutes=5)
_UPLOADS_A_PAGE: Final = 1000

_log = get_logger(__name__)


class _Upload(NamedTuple):
    key: str
    id: str
    began_at: datetime


class AbandonedUploads:
    """The multipart uploads below one folder of a bucket."""

    def __init__(self, location: Location, folder: str, timeouts: RequestTimeouts) -> None:
        self._bucket = open_store(dataclasses.replace(location, prefix=""), timeouts, timeouts.request_s)
        self._folder = f"{location.prefix}/{folder}/".lstrip("/")
        self._signing = Signing(location)
        self._request_s = timeouts.request_s

    def end(self, before: datetime) -> int:
        """End the uploads that received nothing since a time (UTC); return their number.

        Raises nothing. 0 also when they cannot be listed: a lifecycle rule of the bucket covers that case.
        """
        ended = 0
        try:
            for each in list(self._list()):
                if each.began_at < before and self._touched_at(each) < before:
                    self._ask("DELETE", each.key, {"uploadId": each.id})
                    ended += 1
        except (OSError, HTTPException, ValueError, ElementTree.ParseError) as error:
            _log.warning("blobs.uploads_left", kind=type(error).__name__, said=str(error)[:300])
        return ended

    def _list(self) -> Iterator[_Upload]:
        marker: Query = {}
        while True:
            asked = {"uploads": "", "prefix": self._folder, "max-uploads": str(_UPLOADS_A_PAGE), **marker}
            answer = self._ask("GET", "", asked)
            page = ElementTree.fromstring(answer or b"<none/>")  # noqa: S314 - from the store that has our bytes
            for each in page.iterfind("{*}Upload"):
                yield _Upload(_text(each, "Key"), _text(each, "UploadId"), _time(each, "Initiated"))
            if page.findtext("{*}IsTruncated") != "true":
                return
            marker = {"key-marker": _text(page, "NextKeyMarker"), "upload-id-marker": _text(page, "NextUploadIdMarker")}

    def _touched_at(self, upload: _Upload) -> datetime:
        """Return when the newest part arrived, or when the upload began if it has none."""
        answer = self._ask("GET", upload.key, {"uploadId": upload.id})
        page = ElementTree.fromstring(answer or b"<none/>")  # noqa: S314
        return max((_time(each, "LastModified") for each in page.iterfind("{*}Part")), default=upload.began_at)

    def _ask(self, method: str, key: str, query: Query) -> bytes | None:
        """Send a request about a key or the bucket; None when our signature differs from the library's."""
        import obstore

        address = obstore.sign(self._bucket, method, key, _SIGNED_FOR)  # type: ignore[call-overload]
        extended = self._signing.extend(method, address, query)
        if extended is None:
            return None
        request = urllib.request.Request(extended, method=method)  # noqa: S310 - the library made it
        with urllib.request.urlopen(request, timeout=self._request_s) as answer:  # noqa: S310
            return bytes(answer.read())


def _text(element: ElementTree.Element, name: str) -> str:
    return element.findtext(f"{{*}}{name}") or ""


def _time(element: ElementTree.Element, name: str) -> datetime:
    return datetime.fromisoformat(_text(element, name))
