"""What git says of a hostile repository: subjects, dates, tags, complaints, one a line. Texts for people come out."""

from __future__ import annotations

from typing import Any

from updater.deployments.asking import Answer
from updater.deployments.git import Git
from updater.deployments.git_command import because
from updater.deployments.steps import Ended

SEEDS = (
    b"refs/tags/v1.0\nfix \x1b[31mred\x1b[0m\n1700000000\nerror: no\n",
    b"\n\xff\xfe\xe2\x80\xae\n-99999999999999\nfatal: x\n",
    b"x\n\x01\n99999999999999999999\n",
)
_GOOD, _BAD = Ended(0, False, 0.1), Ended(128, False, 0.1)


class _Command:
    """Answers as git would: only the parts that a repository decides are of these bytes."""

    def __init__(self, parts: list[bytes]) -> None:
        self._parts = [part.replace(b"\0", b"") for part in parts]  # git cuts a message at a NUL

    async def ask(self, *words: str, **_: Any) -> Answer:
        tag, subject, at, *_rest = [*self._parts, b"", b"", b""]
        # git prints a whole number, whatever the commit says.
        digits = bytes(each for each in at if each in b"0123456789")[:20] or b"0"
        record = (
            b"commit x\n\0" + b"a" * 40 + b"\0" + (b"-" if at[:1] == b"-" else b"") + digits + b"\0" + subject + b"\0"
        )
        return Answer(_GOOD, record * 3 + b"\n" if words[0] == "rev-list" else tag, ())

    async def tell(self, *words: str) -> str:
        return (await self.ask(*words)).out.strip()


def check(data: bytes) -> None:
    parts = data.split(b"\n")
    version = _run(Git(_Command(parts)).describe("a" * 40, "b" * 40))  # type: ignore[arg-type]
    for text in (version.version, version.title, *version.description.split("\n")):
        assert all(each.isprintable() for each in text), text
    lines = tuple(line.decode(errors="replace") for line in parts)
    assert len(because("git failed", Answer(_BAD, data, lines))) < 600


def _run(question: Any) -> Any:
    """Run what never waits, without an event loop."""
    try:
        question.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits")
