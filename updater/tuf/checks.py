"""Whether metadata files may be published together, beside those that are there. PURE.

What is looked at is the repository as it would be: clients begin with the timestamp, and ask for what each file names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from updater.tuf.model import ROOT, SNAPSHOT, TIMESTAMP, Metadata, Named, Target, own_path, shown

_START: Final = f"{TIMESTAMP}.json"
_SAID_AT_ONCE: Final = 5


class Repository:
    """The metadata files of a repository, by name, as clients see them."""

    def __init__(self, files: Mapping[str, Metadata]) -> None:
        self.files = files
        roots = (each for each in files.values() if each.role == ROOT)
        self._root = max(roots, key=lambda each: (each.version, each.number is not None), default=None)

    def chain(self) -> dict[str, Metadata]:
        """Return, by name, the timestamp and as far as they are there the files that follow from it, in this order."""
        found = {_START: self.files[_START]} if _START in self.files else {}
        todo = list(found.values())
        while todo:
            for name, said in todo.pop().meta.items():
                following = self.find(name, said)
                if isinstance(following, Metadata) and following.name not in found:
                    found[following.name] = following
                    todo.append(following)
        return found

    def current_names(self) -> set[str]:
        """Return the files that a client takes now: those of the chain, and the newest root."""
        return {*self.chain(), *([] if self._root is None else [self._root.name])}

    def find(self, name: str, said: Named) -> Metadata | str:
        """Return the file that a client takes for a name in metadata, or why it finds none.

        Clients ask for `VERSION.ROLE.json` where the root says `consistent_snapshot`, else for `ROLE.json`. Without a
        root that says either, both will do. Source: the specification of The Update Framework 1.0, section 6.2.
        """
        wanted = [f"{said.version}.{name}", name]
        if self._root is not None and self._root.consistent is not None:
            wanted = [wanted[0 if self._root.consistent else 1]]
        for each in wanted:
            found = self.files.get(each)
            if found is None or found.version != said.version:
                continue
            if said.size_bytes not in (None, found.size_bytes) or said.sha256 not in (None, found.digest):
                return f"names {shown(name)} with other bytes than those of {shown(each)}"
            return found
        return f"names version {said.version} of {shown(name)}, which is not there as {' or '.join(map(shown, wanted))}"


def find_problems(
    there: Mapping[str, Metadata],
    new: Mapping[str, Metadata],
    targets: Mapping[str, Target],
    pins: Mapping[str, str],
) -> dict[str, str]:
    """Return why new files cannot be published, by name; nothing when they can.

    Args:
        there: what was published before; those in the chain of both together in full, of others `meta` may be empty.
        new: the files to publish.
        targets: the stored targets that new files name, by path as it is stored.
        pins: the digests that names with a version have ever had.
    """
    repository = Repository({**there, **new})
    chain = repository.chain()
    # What is there with the same bytes was looked at when it came.
    changed = {name: each for name, each in new.items() if name not in there or there[name].digest != each.digest}
    reasons: dict[str, list[str]] = {}
    for name, each in {**chain, **changed}.items():
        found = [*_missing_metadata(each, repository)]
        if name in chain:
            found += _missing_delegates(each, chain)
        if name in changed:
            found = [*_against_before(each, there, pins), *_root_gaps(each, repository), *found]
            found += _missing_targets(each, targets)
        if found:
            reasons[name] = found
    return {name: _together(found) for name, found in sorted(reasons.items())}


def _against_before(each: Metadata, there: Mapping[str, Metadata], pins: Mapping[str, str]) -> Iterator[str]:
    before = there.get(each.name)
    if each.number is not None:
        if pins.get(each.name, each.digest) != each.digest:
            yield "was published with other bytes, which caches may still hold"
    elif before is not None and each.version <= before.version:
        yield f"version {before.version} is published; other bytes need a higher one than {each.version}"


def _root_gaps(each: Metadata, repository: Repository) -> Iterator[str]:
    if each.role == ROOT and each.number not in (None, 1):
        before = f"{each.version - 1}.{ROOT}.json"
        if before not in repository.files:
            yield f"follows {before}, which is not there"


def _missing_metadata(each: Metadata, repository: Repository) -> Iterator[str]:
    for name, said in each.meta.items():
        found = repository.find(name, said)
        if isinstance(found, str):
            yield found


def _missing_delegates(each: Metadata, chain: Mapping[str, Metadata]) -> Iterator[str]:
    for snapshot in (other for other in chain.values() if other.role == SNAPSHOT):
        for role in each.delegates:
            if f"{role}.json" not in snapshot.meta:
                yield f"delegates to {shown(role)}, which {snapshot.name} does not name"


def _missing_targets(each: Metadata, targets: Mapping[str, Target]) -> Iterator[str]:
    for path, said in each.targets.items():
        own = own_path(path)
        target = None if own is None else targets.get(own)
        if own is None:
            yield f"target {shown(path)} is no path that can be stored here"
        elif target is None:
            yield f"target {shown(path)} is not there"
        elif target.digest != said.sha256:
            yield f"target {shown(path)} is there with another sha256"
        elif target.size_bytes != said.size_bytes:
            yield f"target {shown(path)} has {target.size_bytes} bytes, not {said.size_bytes}"
        elif target.damaged:
            yield f"target {shown(path)} is damaged; upload it again"


def _together(reasons: list[str]) -> str:
    """Join reasons, so many of them that an answer stays short."""
    more = len(reasons) - _SAID_AT_ONCE
    return "; ".join(reasons[:_SAID_AT_ONCE]) + (f"; and {more} more" if more > 0 else "")
