"""Platforms and architectures on the command line: also in the words that people use for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from updater_client.words import (
    ARCHITECTURES,
    PLATFORMS,
    close_architecture,
    close_platform,
    find_architecture,
    find_platform,
)


class Word(click.Choice[str]):
    """One of several words, or another word that stands for one of them; "did you mean" for the rest."""

    def __init__(
        self, words: Sequence[str], find: Callable[[str], str | None], close: Callable[[str], str | None]
    ) -> None:
        super().__init__(words)
        self._find = find
        self._close = close

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the word that stands in the list.

        Raises:
            UsageError: the text stands for none; names the one that is close.
        """
        text = str(value)
        try:
            return super().convert(self._find(text) or text, param, ctx)
        except click.BadParameter as error:
            meant = self._close(text)
            self.fail(f"{error.message} Did you mean {meant!r}?" if meant else error.message, param, ctx)


PLATFORM = Word(PLATFORMS, find_platform, close_platform)
# What one file of a Mac is for both of.
UNIVERSAL = "universal"

ARCHITECTURE = Word(ARCHITECTURES, find_architecture, close_architecture)


class Required(click.ParamType[str]):
    """A target, or a file of one: `windows/amd64`, `darwin/arm64/App.zip`."""

    name = "target"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return it in the words of the server.

        Raises:
            UsageError: it is none; names the word that is close.
        """
        platform, _, rest = str(value).partition("/")
        architecture, slash, name = rest.partition("/")
        if not architecture or (slash and not name):
            self.fail(f"{value!r} is no target such as windows/amd64, nor a file of one", param, ctx)
        words = (PLATFORM.convert(platform, param, ctx), ARCHITECTURE.convert(architecture, param, ctx))
        return "/".join(words) + slash + name


def _find_of_file(word: str) -> str | None:
    return UNIVERSAL if word.strip().lower() == UNIVERSAL else find_architecture(word)


ARCHITECTURE_OF_FILE = Word((*ARCHITECTURES, UNIVERSAL), _find_of_file, close_architecture)
