"""What a path of the REST API says: where it begins; platform and architecture, checked before use."""

from __future__ import annotations

from aiohttp import web

from updater.catalog.platforms import ARCHITECTURES, PLATFORMS, Target
from updater.errors import Invalid
from updater.web.messages.fields import shown

PREFIX = "/api/v1"
# aiohttp's own pattern takes no braces.
FILE_NAME = "{file_name:[^/]+}"


def target_in_path(request: web.Request) -> Target:
    """Return platform and architecture of the path. Raises Invalid for words that are none."""
    target = Target(request.match_info["platform"], request.match_info["arch"])
    if target.platform in PLATFORMS and target.architecture in ARCHITECTURES:
        return target
    problems = {}
    if target.platform not in PLATFORMS:
        problems["platform"] = f"invalid platform: {shown(target.platform)}; expected one of {', '.join(PLATFORMS)}"
    if target.architecture not in ARCHITECTURES:
        problems["architecture"] = (
            f"invalid architecture: {shown(target.architecture)}; expected one of {', '.join(ARCHITECTURES)}"
        )
    raise Invalid(problems)
