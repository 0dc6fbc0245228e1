"""What the person who starts the service is told about its addresses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.workers.processes import serving


@pytest.mark.parametrize(
    ("server", "warned"),
    [
        ({"host": "127.0.0.1"}, False),
        ({"host": "0.0.0.0"}, True),
        ({"host": "0.0.0.0", "public_url": "https://updates.example.com"}, False),
    ],
)
def test_a_service_that_others_reach_warns_without_a_public_url(
    tmp_path: Path, server: dict[str, Any], warned: bool
) -> None:
    with serving(tmp_path / "data", server=server) as started:
        assert started.stop() == 0
        assert ("warning: server.public_url is not set" in started.said()) is warned
        assert len(started.events("server.no_public_url")) == warned
