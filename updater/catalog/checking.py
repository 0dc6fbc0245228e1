"""What uploads are held to before anything is written: their application, their release, and what they say of bytes."""

from __future__ import annotations

from collections.abc import Sequence

from updater.catalog.files import name_key, own_name
from updater.catalog.model import Application, BuildDetails, ReleaseStatus
from updater.catalog.platforms import Target
from updater.catalog.release_store import KnownRelease
from updater.catalog.requests import PublishRequest, ReceivedFile
from updater.catalog.versions import parse_field
from updater.errors import Conflict, DigestMismatch, Invalid, Malformed


def require_open(release: KnownRelease, *, draft: bool) -> None:
    """Refuse what a release does not take: anything when it is withdrawn, a draft's files when it is live.

    Raises:
        Conflict: as said.
    """
    if release.status is ReleaseStatus.WITHDRAWN:
        raise Conflict(f"Version {release.version} was deactivated; publish a new version")
    if draft and release.status is ReleaseStatus.ACTIVE:
        raise Conflict(
            f"Version {release.version} is live and cannot become a draft again", details={"status": "active"}
        )


def require_one_of_each_name(received: Sequence[ReceivedFile]) -> None:
    """Refuse an upload with two files of one name and different bytes: neither is the right one. Raises Conflict."""
    digests: dict[str, str] = {}
    for each in received:
        name = own_name(each.uploaded_name)
        if name is not None and digests.setdefault(name_key(name), each.staged.digest) != each.staged.digest:
            raise Conflict(f"{name} is given twice, with other bytes", details={"file_name": name})


def checked_details(known: Application, request: PublishRequest, received: Sequence[ReceivedFile]) -> BuildDetails:
    """Hold a request to its application. Raises Invalid, DigestMismatch, Malformed."""
    minimum = request.minimum_version
    details = BuildDetails(
        version=parse_field(request.version, known.scheme, "version"),
        target=request.target,
        notes=request.notes,
        required=request.required,
        minimum=parse_field(minimum, known.scheme, "minimum_version") if minimum else None,
        metadata=request.metadata,
    )
    if details.minimum is not None and details.minimum.sort_key > details.version.sort_key:
        # Only who has a newer version could take it.
        raise Invalid(
            {"minimum_version": f"{details.minimum.text} is above the version itself, {details.version.text}"}
        )
    for each in received:
        require_announced(each)
    require_platform(known, request.target)
    return details


def require_platform(known: Application, target: Target) -> None:
    """Hold a target to the platforms that its application lists. Raises Malformed."""
    if target.platform not in known.platforms:
        raise Malformed(
            f"Application {known.id} does not list platform {target.platform}; it lists {', '.join(known.platforms)}",
            details={"platform": target.platform, "platforms": list(known.platforms)},
        )


def require_announced(file: ReceivedFile) -> None:
    """Hold received bytes to the digest that was announced of them. Raises DigestMismatch."""
    if file.checksum not in (None, file.staged.digest):
        raise DigestMismatch({"checksum": f"the received file has sha256 {file.staged.digest}, not {file.checksum}"})
