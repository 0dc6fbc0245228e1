"""What is mutated, and the tests that are asked: those that run within the process of the tests, without servers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Group:
    """Modules of one job, and the tests that should notice a change there; `words` chooses among them as `-k` does."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]
    words: str = ""


GROUPS = {
    "ranges": Group(("updater/artifacts/ranges.py",), ("tests/artifacts/test_ranges.py",)),
    "versions": Group(
        ("updater/catalog/versions.py",), ("tests/catalog/test_version_keys.py", "tests/catalog/test_versions.py")
    ),
    "decision": Group(
        ("updater/offers/decision.py", "updater/offers/cohorts.py"),
        ("tests/offers/test_cohorts.py", "tests/offers/test_decision.py"),
    ),
    "evidence": Group(
        ("updater/rollouts/evidence.py", "updater/rollouts/intervals.py"),
        (
            "tests/rollouts/test_evidence.py",
            "tests/rollouts/test_intervals.py",
            "tests/rollouts/test_sources.py",
            "tests/rollouts/test_clock.py",
        ),
        "not hardly_ever_halted",  # many simulated days
    ),
    "plan": Group(("updater/rollouts/plan.py",), ("tests/rollouts/test_plan.py", "tests/rollouts/test_clock.py")),
    "codecs": Group(
        (
            "updater/feeds/appcast.py",
            "updater/feeds/appimage.py",
            "updater/feeds/electron.py",
            "updater/feeds/packages.py",
            "updater/feeds/registry.py",
            "updater/feeds/scoop.py",
            "updater/feeds/squirrel.py",
            "updater/feeds/tauri.py",
            "updater/feeds/velopack.py",
            "updater/feeds/winget.py",
        ),
        ("tests/feeds",),
    ),
    "access": Group(
        (
            "updater/access/addresses.py",
            "updater/access/attempts.py",
            "updater/access/keys.py",
            "updater/access/limits.py",
            "updater/access/principals.py",
            "updater/access/service.py",
            "updater/access/tokens.py",
            "updater/access/windows.py",
        ),
        (
            "tests/access/test_access_limits.py",
            "tests/access/test_access_service.py",
            "tests/access/test_addresses_and_keys.py",
            "tests/access/test_attempts.py",
            "tests/access/test_key_values.py",
            "tests/access/test_token_readers.py",
            "tests/access/test_tokens.py",
            "tests/access/test_windows.py",
        ),
    ),
    "store": Group(
        (
            "updater/artifacts/blobs.py",
            "updater/artifacts/digests.py",
            "updater/artifacts/folders.py",
            "updater/artifacts/hashing.py",
            "updater/artifacts/local.py",
            "updater/artifacts/received.py",
            "updater/artifacts/staged.py",
        ),
        (
            "tests/artifacts/test_backlog.py",
            "tests/artifacts/test_digests.py",
            "tests/artifacts/test_local_files.py",
            "tests/artifacts/test_local_folders.py",
            "tests/artifacts/test_local_store.py",
            "tests/artifacts/test_hashing.py",
        ),
    ),
}
