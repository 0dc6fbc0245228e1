"""Channels: the names in an application's list, the most stable first. PURE."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from updater.errors import Conflict

MAX_CHANNELS = 20
CHANNEL_NAME = r"[a-z0-9][a-z0-9._-]{0,39}\Z"


def require_channel_moves(before: Sequence[str], after: Sequence[str], used: Collection[str]) -> None:
    """Hold a new list of channels to the releases that are there.

    Args:
        before: the present list.
        after: the new one.
        used: the channels that hold releases, whatever their status.

    Raises:
        Conflict: a channel that holds releases would go, two of them would change places, or the first one, which
            holds releases, would not be first any more. `details.channel` names it.
    """
    held = [each for each in before if each in used]
    for name in held:
        if name not in after:
            raise _refusal(name, "holds releases and cannot go")
    places = [after.index(name) for name in held]
    for name, place, previous in zip(held[1:], places[1:], places, strict=False):
        if place < previous:
            raise _refusal(name, "holds releases and cannot change places with another that does")
    if held and held[0] == before[0] and after[0] != before[0]:
        raise _refusal(before[0], "holds releases and must stay first")


def require_channels_kept(after: Sequence[str], repositories: Collection[str]) -> None:
    """Hold a new list of channels to the TUF repositories that are there: their clients would be given another one's.

    Raises:
        Conflict: a channel with published metadata would go. `details.channel` names it.
    """
    gone = sorted(set(repositories).difference(after))
    if gone:
        raise _refusal(gone[0], "has TUF metadata and cannot go")


def channel_asked(channels: Sequence[str], asked: str | None) -> int:
    """Return where the channel stands that a client asks for; one that is not there counts as the first."""
    return channels.index(asked) if asked in channels else 0


def _refusal(name: str, why: str) -> Conflict:
    return Conflict(f"Channel {name} {why}", details={"channel": name})
