"""Names of packages and files, as NuGet, Squirrel and Velopack write them: read, or None."""

from __future__ import annotations

from updater.catalog.files import name_key, own_name
from updater_client.folder import names, versions
from updater_client.folder.packages import read_package_name

SEEDS = (
    b"My.App-1.2.3-rc.1-win-x64-full.nupkg",
    b"App.1.0.0.nupkg",
    b"app_1.0_amd64.AppImage",
    b"a-1.0.0-osx-delta.nupkg",
)


def check(data: bytes) -> None:
    name = data.decode(errors="replace")
    found = read_package_name(name)
    assert found is None or found.version
    names.kind_of(name), names.is_dull(name), names.platform_of(name), names.architectures_of(name)
    names.last_part(name), names.loose_key(name), names.is_kept(name), versions.versions_in(name)
    kept = own_name(name)
    if kept is not None:
        assert own_name(kept) == kept
        assert 0 < len(kept.encode()) <= 180
        name_key(kept)
