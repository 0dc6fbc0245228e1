"""What may be published together: rules, each with what breaks it; and files of any content, which are no error."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tuf.developer import Developer
from updater.tuf.checks import Repository, find_problems
from updater.tuf.model import Metadata, Target, own_path, split_metadata_name, split_prefix
from updater.tuf.reading import read_metadata

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SHA = hashlib.sha256(b"x").hexdigest()


def body_of(kind: str, version: int = 1, **more: Any) -> bytes:
    return json.dumps({"signatures": [], "signed": {"_type": kind, "version": version, **more}}).encode()


def read(name: str, body: bytes) -> Metadata:
    found = read_metadata(name, body, hashlib.sha256(body).hexdigest())
    assert isinstance(found, Metadata), found
    return found


def read_all(files: dict[str, bytes]) -> dict[str, Metadata]:
    return {name: read(name, body) for name, body in files.items()}


def target(path: str, content: bytes = b"x", *, damaged: bool = False) -> Target:
    return Target(path, hashlib.sha256(content).hexdigest(), len(content), False, damaged, NOW)


def problems(
    new: dict[str, bytes], there: dict[str, bytes] | None = None, targets: tuple[Target, ...] = ()
) -> dict[str, str]:
    before = read_all(there or {})
    pins = {name: each.digest for name, each in before.items() if each.number is not None}
    return find_problems(before, read_all(new), {each.path: each for each in targets}, pins)


def small(consistent: bool | None = None, **versions: int) -> dict[str, bytes]:
    """Return a repository with the given versions, under the names that its clients ask for."""
    version = {"timestamp": 1, "snapshot": 1, "targets": 1, **versions}
    numbered = consistent is not False
    name = lambda role: f"{version[role]}.{role}.json" if numbered else f"{role}.json"  # noqa: E731
    root = {} if consistent is None else {"1.root.json": body_of("root", consistent_snapshot=consistent)}
    return {
        **root,
        "timestamp.json": body_of(
            "timestamp", version["timestamp"], meta={"snapshot.json": {"version": version["snapshot"]}}
        ),
        name("snapshot"): body_of(
            "snapshot", version["snapshot"], meta={"targets.json": {"version": version["targets"]}}
        ),
        name("targets"): body_of("targets", version["targets"], targets={}),
    }


@pytest.mark.parametrize("consistent", [True, False, None])
def test_a_whole_repository_fits(consistent: bool | None) -> None:
    files = small(consistent)
    assert problems(files) == {}
    assert problems(files, files) == {}
    assert Repository(read_all(files)).current_names() == set(files)


@pytest.mark.parametrize("consistent", [True, False])
def test_real_repositories_fit(consistent: bool) -> None:
    developer = Developer(consistent=consistent)
    first = developer.taken()
    assert problems(first) == {}
    developer.release("app.zip", b"x")
    developer.delegate("more", ["more/*"], "more/app.zip", b"y")
    developer.rotate_root()
    stored = target("app.zip"), target("more/app.zip", b"y")
    assert problems(developer.taken(), first, stored) == {}


def test_what_a_file_names_has_to_be_there() -> None:
    files = small(True)
    for missing, why in {
        "1.snapshot.json": (
            "timestamp.json",
            "names version 1 of snapshot.json, which is not there as 1.snapshot.json",
        ),
        "1.targets.json": ("1.snapshot.json", "names version 1 of targets.json, which is not there as 1.targets.json"),
    }.items():
        rest = {name: body for name, body in files.items() if name != missing}
        assert problems(rest) == {why[0]: why[1]}
    # In pieces, from the bottom.
    assert problems({name: body for name, body in files.items() if "targets" in name}) == {}
    # Clients ask for the other form of the name.
    plain = {name.removeprefix("1.") if "root" not in name else name: body for name, body in files.items()}
    assert set(problems(plain)) == {"timestamp.json", "snapshot.json"}
    without_root = {name: body for name, body in plain.items() if "root" not in name}
    assert problems(without_root) == {}
    assert set(problems({"1.root.json": files["1.root.json"]}, without_root)) == {"timestamp.json"}


def test_a_plain_file_that_leaves_the_chain_behind() -> None:
    """Without consistent snapshots, new targets without a new snapshot are what no client takes."""
    files = small(False)
    newer = small(False, targets=2)
    assert problems({"targets.json": newer["targets.json"]}, files) == {
        "snapshot.json": "names version 1 of targets.json, which is not there as targets.json"
    }
    assert problems(small(False, timestamp=2, snapshot=2, targets=2), files) == {}


def test_lengths_and_hashes_in_metadata_are_held_to() -> None:
    files = small(True)
    size, digest = len(files["1.snapshot.json"]), hashlib.sha256(files["1.snapshot.json"]).hexdigest()
    for said, fits in (
        ({"length": size, "hashes": {"sha256": digest.upper()}}, True),
        ({"length": size + 1}, False),
        ({"hashes": {"sha256": SHA}}, False),
        ({"hashes": {"sha512": "ab"}}, True),
    ):
        timestamp = body_of("timestamp", meta={"snapshot.json": {"version": 1, **said}})
        found = problems({**files, "timestamp.json": timestamp})
        assert found == (
            {} if fits else {"timestamp.json": "names snapshot.json with other bytes than those of 1.snapshot.json"}
        )


def test_versions_only_go_up() -> None:
    files = small(True, timestamp=5)
    assert problems({"timestamp.json": small(True, timestamp=6)["timestamp.json"]}, files) == {}
    for version in (4, 5):
        lower = small(True, timestamp=version)["timestamp.json"] + b" "
        assert problems({"timestamp.json": lower}, files) == {
            "timestamp.json": f"version 5 is published; other bytes need a higher one than {version}"
        }
    assert problems({"1.targets.json": files["1.targets.json"] + b" "}, files) == {
        "1.targets.json": "was published with other bytes, which caches may still hold"
    }


def test_roots_are_without_gaps() -> None:
    roots = {f"{number}.root.json": body_of("root", number) for number in range(1, 5)}
    assert problems(roots) == {}
    assert problems({"4.root.json": roots["4.root.json"]}, {"1.root.json": roots["1.root.json"]}) == {
        "4.root.json": "follows 3.root.json, which is not there"
    }
    assert problems({**roots, "root.json": roots["4.root.json"]}) == {}


def test_targets_are_there_whole() -> None:
    def with_targets(**targets: Any) -> dict[str, bytes]:
        return {"1.targets.json": body_of("targets", targets=targets)}

    said = {"length": 1, "hashes": {"sha256": SHA, "sha512": "ab"}}
    assert problems(with_targets(app=said), targets=(target("app"),)) == {}
    for stored, why in (
        ((), "target app is not there"),
        ((target("app", b"y"),), "target app is there with another sha256"),
        ((target("app", damaged=True),), "target app is damaged; upload it again"),
    ):
        assert problems(with_targets(app=said), targets=stored) == {"1.targets.json": why}
    assert problems(with_targets(app={**said, "length": 2}), targets=(target("app"),)) == {
        "1.targets.json": "target app has 1 bytes, not 2"
    }
    found = problems(with_targets(**dict.fromkeys(("../x", "a/b/c/d/e/f/g/h/i", "-x", "x\x00"), said)))
    assert found["1.targets.json"].count("is no path that can be stored here") == 4
    many = problems(with_targets(**{f"app-{number}": said for number in range(1000)}))
    assert many["1.targets.json"].endswith("; and 995 more")
    assert len(many["1.targets.json"]) < 300


def test_roles_that_are_delegated_to_are_in_the_snapshot() -> None:
    files = small(True)
    files["1.targets.json"] = body_of("targets", targets={}, delegations={"keys": {}, "roles": [{"name": "more"}]})
    assert problems(files) == {"1.targets.json": "delegates to more, which 1.snapshot.json does not name"}


UNUSABLE = {
    "1.root.json": [b"", b"[]", b"null", b"{}", b'{"signed": 1}', b"\xff", body_of("targets"), body_of("root", 2)],
    "timestamp.json": [
        body_of("timestamp"),
        body_of("timestamp", meta=[]),
        body_of("timestamp", meta={}),
        body_of("timestamp", meta={"snapshot.json": 1}),
        body_of("timestamp", meta={"snapshot.json": {"version": True}}),
        body_of("timestamp", meta={"snapshot.json": {"version": 0}}),
        body_of("timestamp", meta={"snapshot.json": {"version": 2**53}}),
        body_of("timestamp", meta={"snapshot.json": {"version": 1, "length": "1"}}),
        body_of("timestamp", meta={"snapshot.json": {"version": 1, "hashes": []}}),
        body_of("timestamp", meta={"snapshot.json": {"version": 1, "hashes": {"sha256": "x"}}}),
    ],
    "1.snapshot.json": [body_of("snapshot", meta={"targets.json": {"version": 1}, "x": {"version": 1}})],
    "role.json": [
        body_of("role"),
        body_of("targets"),
        body_of("targets", targets={"x": {}}),
        body_of("targets", targets={"x": {"length": 1, "hashes": {"sha512": "ab"}}}),
        body_of("targets", targets={"x": {"length": -1, "hashes": {"sha256": SHA}}}),
        body_of("targets", targets={}, delegations=1),
        body_of("targets", targets={}, delegations={"roles": 1}),
        body_of("targets", targets={}, delegations={"roles": [{}]}),
    ],
    "root.txt": [body_of("root")],
    ".json": [body_of("root")],
}


@pytest.mark.parametrize(("name", "body"), [(name, body) for name, bodies in UNUSABLE.items() for body in bodies])
def test_what_cannot_be_used_is_a_reason(name: str, body: bytes) -> None:
    found = read_metadata(name, body, SHA)
    assert isinstance(found, str)
    assert 0 < len(found) < 200


def test_deep_and_huge_files_are_reasons_too() -> None:
    for body in (
        b"[" * 5_000_000,
        b'{"signed":' * 500_000,
        b'{"signed": {"_type": "root", "version": ' + b"9" * 4_000_000 + b"}}",
        b'{"signed": {"_type": "root", "version": 1e400}}',
        b'{"signed": {"_type": "root", "version": NaN}}',
        b'{"signed": {"_type": "root", "version": "\\ud800"}}',
    ):
        assert isinstance(read_metadata("root.json", body, SHA), str)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=8,
)
signed = st.dictionaries(
    st.sampled_from(["_type", "version", "expires", "meta", "targets", "delegations", "consistent_snapshot"]),
    values
    | st.sampled_from(["root", "timestamp", "snapshot", "targets", 1, 2])
    | st.dictionaries(
        st.sampled_from(["snapshot.json", "targets.json", "roles", "x"]),
        st.dictionaries(st.sampled_from(["version", "length", "hashes", "name"]), values | st.just(1), max_size=4),
        max_size=3,
    ),
    max_size=7,
)


@given(
    st.dictionaries(
        st.sampled_from(["root.json", "2.root.json", "timestamp.json", "1.snapshot.json", "targets.json", "x.json"]),
        signed.map(lambda each: orjson.dumps({"signed": each})) | values.map(orjson.dumps) | st.binary(max_size=20),
    )
)
def test_nothing_that_is_sent_is_an_error(files: dict[str, bytes]) -> None:
    new = {name: read_metadata(name, body, hashlib.sha256(body).hexdigest()) for name, body in files.items()}
    good = {name: each for name, each in new.items() if isinstance(each, Metadata)}
    for name, why in find_problems({}, good, {}, {}).items():
        assert isinstance(name, str)
        assert why
    Repository(good).current_names()


def test_names() -> None:
    assert split_metadata_name("12.root.json") == ("root", 12)
    assert split_metadata_name("root.json") == ("root", None)
    assert split_metadata_name("012.root.json") == ("012.root", None)
    assert split_metadata_name("2024.json") == ("2024", None)
    assert split_metadata_name("root") is None
    assert own_path("a/b") == "a/b"
    assert own_path("e\u0301") == "\u00e9"
    assert [own_path(each) for each in ("", "/a", "a/", "a//b", "../a", "a/.", "a\\b", "/".join("abcdefghi"))] == [
        None
    ] * 8
    assert split_prefix(f"a/{SHA}.b") == (SHA, "a/b")
    assert split_prefix(f"{SHA}.b") == (SHA, "b")
    assert [split_prefix(each) for each in (f"{SHA}", f"{SHA}.", f"{SHA.upper()}.b", f"{SHA}.a/b")] == [None] * 4
