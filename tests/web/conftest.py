from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deployments.site import Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Return a site whose service runs version `one`."""
    site = Site(tmp_path / "site")
    site.start()
    yield site
    site.stop()
