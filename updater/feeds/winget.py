"""WinGet: a REST source of version 1.4 with the one package of an application. PURE.

Source: microsoft/winget-cli-restsource, `documentation/WinGet-1.4.0.yaml`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final

import orjson

from updater.catalog.files import name_key
from updater.catalog.model import Application, Build, BuildFile
from updater.catalog.platforms import ARCHITECTURES, Target
from updater.feeds.model import Feed, Page, Rendered, fitting_files, judge_files
from updater.feeds.notes import to_text
from updater.offers.feed_choice import Candidate, FeedBuild, Judgement, Shape

MEDIA_TYPE: Final = "application/json"
VERSIONS: Final = ("1.0.0", "1.1.0", "1.4.0")
"""The versions of the interface whose clients find all that they need here."""
MAX_NOTES_CHARACTERS: Final = 10_000
_WORDS: Final = {"amd64": "x64", "arm64": "arm64", "386": "x86", "arm": "arm"}
# What a file is unless the application says otherwise; installers come before archives, which are chosen last.
_TYPES: Final = {".exe": "nullsoft", ".msi": "wix", ".msix": "msix", ".zip": "zip"}
# Archives that hold an installer for Tauri's updater, and no application.
_WRAPPED: Final = (".nsis.zip", ".msi.zip")
_LOCALE: Final = "en-US"
# What a search may look into, and what it must not ask for.
_FIELDS: Final = {"PackageIdentifier": "PackageIdentifier", "PackageName": "PackageName"}
_UNKNOWN_FIELDS: Final = (
    "Moniker",
    "Command",
    "Tag",
    "PackageFamilyName",
    "ProductCode",
    "NormalizedPackageNameAndPublisher",
    "Market",
)


@dataclass(frozen=True, slots=True)
class _Package:
    """The question of the package: all of its versions that the client may see."""

    @property
    def groups(self) -> tuple[tuple[Target, ...], ...]:
        """Return all architectures of windows, asked as one."""
        return (tuple(Target("windows", each) for each in ARCHITECTURES),)

    @property
    def shape(self) -> Shape:
        """Return the shape: the client compares versions itself, and may ask for an older one."""
        return Shape.LIST

    def judge(self, each: FeedBuild) -> Judgement | None:
        """Judge a build."""
        return judge(each)


@dataclass(frozen=True, slots=True)
class WingetManifests(_Package):
    """The question for the manifests of the package."""

    def render(self, page: Page) -> Rendered | None:
        """Return the manifests of all versions, newest first."""
        listed = page.choice.listed
        if not listed or not FEED.is_of(page.application):
            return None
        versions = [_version(page, each) for each in listed]
        data = {"PackageIdentifier": names_of(page.application)["PackageIdentifier"], "Versions": versions}
        return Rendered(orjson.dumps({"Data": data}), MEDIA_TYPE)


@dataclass(frozen=True, slots=True)
class WingetSearch(_Package):
    """The question of a search that the package fits."""

    def render(self, page: Page) -> Rendered | None:
        """Return the package with its versions, newest first; 204 when there is none."""
        if not FEED.is_of(page.application):
            return None
        versions = [{"PackageVersion": each.version.text} for each in page.choice.listed]
        if not versions:
            return Rendered(b"", status=204)
        data = [{**names_of(page.application), "Versions": versions}]
        body = {"Data": data, "RequiredPackageMatchFields": [], "UnsupportedPackageMatchFields": _UNKNOWN_FIELDS}
        return Rendered(orjson.dumps(body), MEDIA_TYPE)


def render_information(application: Application, channel: str) -> bytes:
    """Return what the source says of itself."""
    data = {
        "SourceIdentifier": f"updater.{application.id}.{channel}"[:128],
        "ServerSupportedVersions": VERSIONS,
        "UnsupportedPackageMatchFields": _UNKNOWN_FIELDS,
        "RequiredPackageMatchFields": [],
        "UnsupportedQueryParameters": ["Channel", "Market"],
        "RequiredQueryParameters": [],
    }
    return orjson.dumps({"Data": data})


def names_of(application: Application) -> dict[str, str]:
    """Return by what the package is found: its identifier, its name, its publisher."""
    said = application.feeds["winget"]
    return {
        "PackageIdentifier": said["package_identifier"],
        "PackageName": application.name,
        "Publisher": said["publisher"],
    }


def select_version(body: bytes, version: str | None) -> bytes | None:
    """Return of rendered manifests the one of a version, or all for None; None when it is not there."""
    if version is None:
        return body
    answer = orjson.loads(body)
    found = [each for each in answer["Data"]["Versions"] if each["PackageVersion"] == version]
    answer["Data"]["Versions"] = found
    return orjson.dumps(answer) if found else None


def is_match(names: Mapping[str, str], search: Mapping[str, Any]) -> bool:
    """Tell whether a search, as its body has it, fits a package: query or any inclusion, and all filters.

    A search for nothing at all, like `FetchAllManifests`, fits everything.
    """
    query, inclusions, filters = search.get("Query"), search.get("Inclusions") or (), search.get("Filters") or ()
    wanted = [] if query is None else [_fits(tuple(names.values()), query)]
    wanted += [_fits_field(names, each) for each in inclusions]
    is_wanted = search.get("FetchAllManifests") is True or not wanted or any(wanted)
    return is_wanted and all(_fits_field(names, each) for each in filters)


def _fits_field(names: Mapping[str, str], each: Mapping[str, Any]) -> bool:
    field = each.get("PackageMatchField")
    if field is None:
        return _fits(tuple(names.values()), each.get("RequestMatch"))
    return field in _FIELDS and _fits((names[_FIELDS[field]],), each.get("RequestMatch"))


def _fits(texts: Sequence[str], match: Mapping[str, Any] | None) -> bool:
    """Tell whether one of the texts is what was asked for; in any case, but where an exact match is asked."""
    word, kind = (match or {}).get("KeyWord") or "", (match or {}).get("MatchType")
    if kind == "Exact":
        return word in texts
    folded, texts = word.casefold(), [each.casefold() for each in texts]
    if kind == "CaseInsensitive":
        return folded in texts
    if kind == "StartsWith":
        return any(each.startswith(folded) for each in texts)
    return any(folded in each for each in texts)


def judge(each: FeedBuild) -> Judgement | None:
    """Return what the feed says of a build: all installers, and archives behind them."""
    if each.build.target.platform != "windows":
        return None
    found = [file for file in fitting_files(each, _TYPES) if _ending(file) is not None]
    return judge_files(found) if found else None


def _ending(file: BuildFile) -> str | None:
    name = file.name.lower()
    return None if name.endswith(_WRAPPED) else next((end for end in _TYPES if name.endswith(end)), None)


def _version(page: Page, candidate: Candidate) -> dict[str, Any]:
    said, build = page.application.feeds["winget"], candidate.builds[0].build
    locale = {
        "PackageLocale": _LOCALE,
        "Publisher": said["publisher"],
        "PackageName": page.application.name,
        "License": said["license"],
        "ShortDescription": said["short_description"],
    }
    notes = to_text(build.notes, MAX_NOTES_CHARACTERS)
    if notes:
        locale["ReleaseNotes"] = notes
    urls: dict[tuple[str, str], str] = {}
    installers = []
    for listed in candidate.builds:
        for file in listed.files:
            # One file for several architectures has one address.
            url = urls.setdefault((name_key(file.name), file.digest), page.file_url(listed.build, file))
            installers.append(_installer(page.application, listed.build, file, url))
    return {"PackageVersion": candidate.version.text, "DefaultLocale": locale, "Installers": installers}


def _installer(application: Application, build: Build, file: BuildFile, url: str) -> dict[str, Any]:
    said, ending = application.feeds["winget"], _ending(file) or ""
    kind = said.get("installer_type", {}).get(ending.removeprefix("."), _TYPES[ending])
    installer = {
        "Architecture": _WORDS[build.target.architecture],
        "InstallerType": kind,
        "InstallerUrl": url,
        "InstallerSha256": file.digest.upper(),
        "ReleaseDate": build.released_at.astimezone(UTC).date().isoformat(),
    }
    if "scope" in said:
        installer["Scope"] = said["scope"]
    if ending == ".zip":
        # Without this the client refuses the whole package.
        paths = said.get("portable_files", [f"{application.id}.exe"])
        installer["NestedInstallerType"] = "portable"
        installer["NestedInstallerFiles"] = [{"RelativeFilePath": each} for each in paths]
    return installer


FEED: Final = Feed(
    "winget",
    judge,
    lambda target: "winget" if target.platform == "windows" else None,
    needs_settings=True,
    together=("windows",),
)
