"""What an application says of itself to package managers, as marshmallow schemas: `feeds` of an application.

Source: Scoop's `schema.json`; the REST source of WinGet, interface 1.4, which bounds each text.
"""

from __future__ import annotations

import re
from typing import Any

from marshmallow import ValidationError, fields, validate

import updater.web.messages.fields as own
from updater.web.messages.schemas import Strict

MAX_LISTED = 64
_PART = r"[^\.\s\\/:*?\"<>|\x00-\x1f]{1,32}"
_IDENTIFIER = re.compile(rf"{_PART}(?:\.{_PART}){{1,7}}")


class PackageIdentifier(own.Text):
    """An identifier of WinGet: 2 to 8 parts of 1 to 32 characters, with a dot between each two."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_bytes=128, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if _IDENTIFIER.fullmatch(text) is None:
            raise ValidationError("expected two to eight parts with a dot between each two, such as Example.MyApp")
        return text


class Entries(fields.Field[Any]):
    """A list of what Scoop makes commands or shortcuts of: each a list of texts, or one text where `alone` says so.

    With `alone` the whole may be one text, too.
    """

    def __init__(self, least: int, most: int, *, alone: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._least = least
        self._most = most
        self._alone = alone

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        entries = [value] if self._alone and isinstance(value, str) else value
        if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_LISTED:
            raise ValidationError(f"expected a list of 1 to {MAX_LISTED}")
        text = own.Text(max_bytes=512)
        for each in entries:
            if isinstance(each, list) and self._least <= len(each) <= self._most:
                for part in each:
                    text.deserialize(part)
            elif self._alone and isinstance(each, str):
                text.deserialize(each)
            else:
                one = "texts, or " if self._alone else ""
                raise ValidationError(f"expected {one}lists of {self._least} to {self._most} texts")
        return value


def _text(low: int, high: int, **kwargs: Any) -> own.Text:
    """Return a text of so many characters."""
    return own.Text(max_bytes=4 * high, validate=validate.Length(low, high), **kwargs)


class ScoopBody(Strict):
    """What a manifest of Scoop says beside its version and its files; `bin` and `shortcuts` as Scoop has them."""

    description = _text(1, 1_000)
    homepage = own.HttpUrl()
    license = _text(1, 512)
    bin = Entries(1, 16, alone=True)
    shortcuts = Entries(2, 4, alone=False)


class InstallerTypeBody(Strict):
    """What made the installers, by their ending; without it `nullsoft` and `wix`."""

    exe = own.OneOf("installer type", ("exe", "inno", "nullsoft", "burn", "wix", "portable"))
    msi = own.OneOf("installer type", ("msi", "wix"))


class WingetBody(Strict):
    """What a package of WinGet says beside its versions and its installers."""

    package_identifier = PackageIdentifier(required=True)
    publisher = _text(2, 256, required=True)
    license = _text(3, 512, required=True)
    short_description = _text(3, 256, required=True)
    scope = own.OneOf("scope", ("user", "machine"))
    installer_type = fields.Nested(InstallerTypeBody)
    portable_files = fields.List(_text(1, 512), validate=validate.Length(1, MAX_LISTED))


class FeedsBody(Strict):
    """What an application says to the feeds of package managers."""

    scoop = fields.Nested(ScoopBody)
    winget = fields.Nested(WingetBody)
