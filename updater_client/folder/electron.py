"""Read what electron-builder leaves: `latest.yml`, `latest-mac.yml`, `beta-linux-arm64.yml`. PURE.

Source: `UpdateInfo` of builder-util-runtime; the suffixes of electron-updater's providers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from updater_client.folder.model import Feed, FeedError, NamedFile, Remark, checked_version
from updater_client.folder.names import last_part

NAME = re.compile(r"(?P<word>[A-Za-z0-9_.-]+?)(?P<suffix>-mac|-linux(?:-arm64|-arm|-ia32)?)?\.ya?ml")
MAX_BYTES = 1 << 20

_TARGETS: Mapping[str, tuple[str, str | None]] = {
    "": ("windows", None),
    "-mac": ("darwin", None),
    "-linux": ("linux", None),
    "-linux-arm64": ("linux", "arm64"),
    "-linux-arm": ("linux", "arm"),
    "-linux-ia32": ("linux", "386"),
}
# What the server says itself; the rest goes to the clients as it is.
_OWN = frozenset(
    (
        *("version", "files", "path", "sha512", "sha2", "releaseName", "releaseNotes", "releaseNotesFile"),
        *("releaseDate", "required", "stagingPercentage", "packages", "githubArtifactName"),
    )
)
_USUAL = re.compile(r"(?:latest|beta|alpha)(?:-.*)?\.ya?ml|.*-(?:mac|linux)\.ya?ml")


def is_usual(name: str) -> bool:
    """Say whether a file of this name can only be a feed file, so that one that cannot be read is worth a word."""
    return _USUAL.fullmatch(name) is not None


def read(place: str, text: str) -> Feed | None:
    """Read a feed file; None for YAML of another kind, of which builds leave some.

    Raises:
        FeedError: it is one, and does not say what it must.
    """
    name = NAME.fullmatch(place.rpartition("/")[2])
    if name is None:
        return None
    content = _load(text)
    if not isinstance(content, dict) or "version" not in content or not ("files" in content or "path" in content):
        return None
    version = content["version"]
    if not isinstance(version, str | int) or isinstance(version, bool):
        raise FeedError("its version is no text")
    platform, architecture = _TARGETS[name["suffix"] or ""]
    share = content.get("stagingPercentage")
    return Feed(
        place,
        "electron",
        checked_version(str(version)),
        _files(content),
        platform=platform,
        architecture=architecture,
        notes=_notes(content.get("releaseNotes")),
        metadata=_metadata(content),
        remarks=() if share is None else (_unused(share),),
    )


def _unused(share: object) -> Remark:
    return Remark(f"stagingPercentage {share} is not used", f"--rollout {share} does the same")


def _files(content: Mapping[str, Any]) -> tuple[NamedFile, ...]:
    entries = content.get("files") or [{"url": content.get("path"), "sha512": content.get("sha512")}]
    packages = content.get("packages")
    if isinstance(packages, dict):
        entries = [
            *entries,
            *({**each, "url": each.get("path")} for each in packages.values() if isinstance(each, dict)),
        ]
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise FeedError("its files are no list of objects")
    return tuple(map(_file, entries))


def _file(entry: Mapping[str, Any]) -> NamedFile:
    url, size = entry.get("url") or entry.get("path"), entry.get("size")
    if not isinstance(url, str) or not last_part(url):
        raise FeedError("a file of it has no url")
    checksums = {kind: str(entry[kind]) for kind in ("sha512",) if entry.get(kind)}
    if not checksums and entry.get("sha2"):
        checksums["sha256"] = str(entry["sha2"])
    return NamedFile(last_part(url), checksums, size if isinstance(size, int) and not isinstance(size, bool) else None)


def _notes(given: Any) -> str:
    """Return release notes: a text, or a list of them by version with the newest first."""
    if isinstance(given, str):
        return given
    if isinstance(given, list):
        return "\n\n".join(
            f"## {each.get('version')}\n\n{each.get('note') or ''}".strip() for each in given if isinstance(each, dict)
        )
    return ""


def _metadata(content: Mapping[str, Any]) -> Mapping[str, Any]:
    kept = {str(name): value for name, value in content.items() if name not in _OWN and value is not None}
    return {"electron": kept} if kept else {}


def _load(text: str) -> Any:
    import yaml

    if len(text) > MAX_BYTES:
        raise FeedError("it is too long for a feed file")
    try:
        return yaml.load(text, _loader())  # noqa: S506 - a SafeLoader that knows less
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        problem = getattr(error, "problem", None) or str(error) or "too deep"
        raise FeedError(f"it is no proper YAML: {problem}") from None


@cache
def _loader() -> Any:
    """Make a loader that keeps versions and times as texts, and refuses aliases, which can stand for endless data."""
    import yaml

    class Loader(yaml.SafeLoader):
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.events.AliasEvent):
                raise yaml.YAMLError("it has aliases")
            return super().compose_node(parent, index)

    texts = ("tag:yaml.org,2002:float", "tag:yaml.org,2002:timestamp")
    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in texts]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    return Loader
