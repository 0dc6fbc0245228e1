"""Files of stock updaters in a folder that is published: appcasts, latest.yml, releases.json, RELEASES, and a plan."""

from __future__ import annotations

from updater_client.folder import appcast, electron, packages
from updater_client.folder.given import plan_given
from updater_client.folder.markdown import from_html
from updater_client.folder.model import FeedError, Wishes

SEEDS = (
    b'<rss xmlns:sparkle="http://www.andymatuschak.org/xml-namespaces/sparkle"><channel><item><sparkle:version>7'
    b'</sparkle:version><description><b>x</b></description><enclosure url="https://a/App-1.0.dmg" length="3" '
    b'sparkle:edSignature="AA=="/></item></channel></rss>',
    b"version: 1.2.0\nfiles:\n- {url: app-1.2.0.exe, sha512: AA==, size: 3}\npath: app-1.2.0.exe\nreleaseNotes: a\n",
    b'{"Assets": [{"PackageId": "a", "Version": "1.0.0", "Type": "Full", "FileName": "a-1.0.0-full.nupkg"}]}',
    b"0123456789012345678901234567890123456789 a-1.0.0-full.nupkg 3\n",
)
_PLACES = ("appcast.xml", "latest.yml", "releases.win.json", "RELEASES", "a.exe.sig")


def check(data: bytes) -> None:
    text = data.decode(errors="replace")
    for read in (
        lambda: appcast.read("appcast.xml", data, None),
        lambda: electron.read("latest.yml", text),
        lambda: packages.read_velopack("releases.win.json", text, None),
        lambda: packages.read_assets("assets.win.json", text),
        lambda: packages.read_releases("RELEASES", text, "1.0.0"),
    ):
        try:
            read()
        except FeedError as error:
            assert str(error)
    from_html(text)
    sizes = {place: len(data) for place in _PLACES} | {"App-1.0.0.exe": 1, "a.exe": 2}
    plan_given(sizes, dict.fromkeys(_PLACES, data), Wishes())
