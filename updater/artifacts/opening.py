"""Open the blob store that an address names, and check that it accepts this service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from updater.artifacts.blobs import BlobStore
from updater.artifacts.local import LocalBlobStore
from updater.artifacts.location import LOCAL, parse_location
from updater.errors import ConfigurationError


async def require_usable(blobs: BlobStore, *, signs: bool = False, writes: bool = True) -> None:
    """Check that an object store accepts this service; a local store passes.

    Args:
        blobs: the store.
        signs: also check that it can sign addresses.
        writes: also check that these credentials may write and delete.

    Raises:
        ConfigurationError: the object store refuses for good.
    """
    if not isinstance(blobs, LocalBlobStore):
        from updater.artifacts.remote import RemoteBlobStore

        if isinstance(blobs, RemoteBlobStore):
            await blobs.require_usable(signs=signs, writes=writes)


@contextmanager
def open_blobs(where: str | None, root: Path, *, group_reads: bool = False) -> Iterator[BlobStore]:
    """Open the store for the block: `local` (or None) in the folder `root`, else an object store's address.

    With `group_reads` another program of the owner's group may read local files, such as nginx that sends them.

    Raises:
        ConfigurationError: the folder cannot be used, the address or its options do not fit, or the extra is missing.
    """
    if where is None or where == LOCAL:
        try:
            local = LocalBlobStore(root, group_reads=group_reads)
        except OSError as error:
            raise ConfigurationError(
                f"storage.root: {error.filename or root} cannot be used: {error.strerror}"
            ) from None
        try:
            yield local
        finally:
            local.close()
        return
    # Imported here, so that only services with an object store pay for its library.
    from updater.artifacts.remote import RemoteBlobStore

    try:
        location = parse_location(where)
    except ValueError as error:
        raise ConfigurationError(f"storage.blob_url: {error}") from None
    yield RemoteBlobStore(location)
