"""The object stores that tests run on, one for each protocol that `updater.artifacts.remote` speaks."""

from __future__ import annotations

from typing import Protocol

import pytest


class Buckets(Protocol):
    """A running object store."""

    port: int

    def make_bucket(self) -> str:
        """Make an empty bucket; return its name."""

    def url(self, bucket: str, prefix: str = "", *, port: int | None = None, **options: str) -> str:
        """Return the address for `storage.blob_url`; `port` leads through a proxy."""

    def keys(self, bucket: str) -> list[str]:
        """List what is in a bucket, past every prefix."""


@pytest.fixture(params=["ceph", "azurite"])
def buckets(request: pytest.FixtureRequest) -> Buckets:
    """Run the test on each object store."""
    store: Buckets = request.getfixturevalue(request.param)
    return store
