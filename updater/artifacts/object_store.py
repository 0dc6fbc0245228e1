"""Clients of object stores: made from a location, in bounded time, with the library's errors as failures."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from updater.artifacts.location import Location
from updater.errors import ConfigurationError, NotFound, StorageFull, Unavailable
from updater.logs.loggers import get_logger

if TYPE_CHECKING:
    from obstore.store import AzureStore, GCSStore, S3Store

    Store = S3Store | GCSStore | AzureStore

T = TypeVar("T")

_FULL: Final = ("QuotaExceeded", "InsufficientStorage", "507 ", "EntityTooLarge")
_NO_BUCKET: Final = ("NoSuchBucket", "ContainerNotFound")
_MAY_BE_ABSENT: Final = ("read", "delete")
_STATUS: Final = re.compile(r"status code: ([0-9]{3})")
_CODE: Final = re.compile(r"<Code>([A-Za-z0-9]{1,80})</Code>")
# The longest timeout that the library takes; it has no "never".
_LONGEST: Final = timedelta(days=2)
_PASSING: Final = (408, 429)
# The library accepts these among the options of a store and ignores them there: they are client options.
_CLIENT_OPTIONS: Final = (
    *("allow_http", "allow_invalid_certificates", "root_certificate"),
    *("proxy_url", "proxy_ca_certificate", "proxy_excludes"),
)
_CLIENT_OPTIONS_OF_OURS: Final = (
    *("connect_timeout", "read_timeout", "timeout", "pool_", "http1_", "http2_"),
    *("default_content_type", "randomize_addresses", "user_agent"),
)

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RequestTimeouts:
    """Time limits of one request, and its retries: at most `retries`, within `retry_s` seconds after the first attempt.

    Copies inside the store get `copy_s`: some stores move gigabytes for one.
    """

    connect_s: float = 3
    request_s: float = 20
    copy_s: float = 120
    retries: int = 2
    retry_s: float = 15

    @property
    def total_s(self) -> float:
        """Return the seconds that a call takes at most, retries included."""
        return self.request_s + self.retry_s


DEFAULT_TIMEOUTS: Final = RequestTimeouts()


def open_store(location: Location, timeouts: RequestTimeouts, request_s: float, *, reads: bool = False) -> Store:
    """Return a client for the bucket whose requests end within `request_s` seconds. Nothing is sent yet.

    With `reads` the limit applies to the silence within an answer, not to its length: its receiver may be slow.

    Raises:
        ConfigurationError: obstore is not installed, or it refuses an option.
    """
    try:
        from obstore.store import AzureStore, GCSStore, S3Store
    except ImportError:
        raise ConfigurationError(
            "storage.blob_url: object stores need the package obstore; run ./scripts/setup extras"
        ) from None
    kinds: dict[str, Any] = {"s3": S3Store, "gs": GCSStore, "az": AzureStore}
    options = dict(location.options)
    if location.scheme == "s3":
        # One DELETE a key: the bulk request is not everywhere, and nothing here deletes in bulk.
        options = {"virtual_hosted_style_request": "false", "disable_bulk_delete": "true", **options}
    client: dict[str, Any] = {name: options.pop(name) for name in _CLIENT_OPTIONS if name in options}
    for name in options:
        if name.startswith(_CLIENT_OPTIONS_OF_OURS):
            raise ConfigurationError(f"storage.blob_url: {location}: the option {name} is not taken")
    if any(value.startswith("http://") for value in options.values()):
        client.setdefault("allow_http", "true")
    try:
        opened: Store = kinds[location.scheme](
            location.bucket,
            prefix=location.prefix or None,
            config=options,
            client_options={
                **client,
                "connect_timeout": timedelta(seconds=timeouts.connect_s),
                "timeout": _LONGEST if reads else timedelta(seconds=request_s),
                **({"read_timeout": timedelta(seconds=request_s)} if reads else {}),
            },
            retry_config={
                "max_retries": timeouts.retries,
                "retry_timeout": timedelta(seconds=timeouts.retry_s),
                "backoff": {
                    "init_backoff": timedelta(milliseconds=100),
                    "max_backoff": timedelta(seconds=2),
                    "base": 2,
                },
            },
        )
    except Exception as error:
        raise ConfigurationError(f"storage.blob_url: {location}: {_reason(error, location.options)}") from None
    return opened


def goes_directly(location: Location) -> bool:
    """Tell whether requests outside the library reach the store too: no proxy and no certificates are configured."""
    return not any(name in location.options for name in _CLIENT_OPTIONS if name != "allow_http")


def _reason(error: Exception, options: Mapping[str, str]) -> str:
    """Return the library's reason on one line, without the values of options: they may be secrets."""
    reason = re.sub(r"^Generic \w+ error: ", "", str(error).partition("\n")[0])
    for value in filter(None, options.values()):
        reason = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", "...", reason)
    return reason


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn the library's errors into failures; what the library said is logged.

    Raises:
        NotFound: no such blob, while `doing` is `read` or `delete`. StorageFull: no room left in the store.
        Unavailable: any other error.
    """
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, OSError) as error:  # TimeoutError is an OSError
        said = str(error)
        # A missing object during a write is no missing blob: the upload has ended, and its answer was lost.
        absent = doing in _MAY_BE_ABSENT and isinstance(error, FileNotFoundError)
        if absent and not any(word in said for word in _NO_BUCKET):
            raise NotFound("blob", "No such blob") from error
        _log.warning("blobs.request_failed", doing=doing, kind=type(error).__name__, said=said[:300])
        if any(word in said for word in _FULL):
            raise StorageFull("No room left in the object store to store this") from error
        raise Unavailable("The object store does not answer as it should") from error


def may_pass(error: BaseException | None) -> bool:
    """Tell whether an error may be gone at the next attempt: a status of 500 and above, 408, 429, or no answer."""
    said = str(error or "")
    status = _STATUS.search(said)
    if status is not None:
        return int(status[1]) >= 500 or int(status[1]) in _PASSING
    return isinstance(error, OSError) or "HTTP error" in said


def find_refusal(error: BaseException | None) -> str | None:
    """Return why a store refuses a listing for good, with status and code; None when it may answer later."""
    said = str(error or "")
    status, code = _STATUS.search(said), _CODE.search(said)
    if status is None or may_pass(error):
        return None
    named = " ".join(found[1] for found in (status, code) if found is not None)
    if code is not None and code[1] in _NO_BUCKET:
        return f"there is no such bucket ({named})"
    if status[1] in ("401", "403"):
        return f"these credentials are refused ({named})"
    return f"a listing is refused ({named})"


async def to_its_end(request: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Make a request and await it to its end even when cancelled; cancelled before its turn, it makes none."""
    # An upload cannot be given up while it is begun or ended.
    task = asyncio.ensure_future(request())
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # retrieved, so that asyncio does not log it
        raise
