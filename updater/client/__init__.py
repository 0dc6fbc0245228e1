"""A small async client for an update server, to be imported by desktop applications and build scripts.

Needs only aiohttp, and nothing else of this package.

    from pathlib import Path
    from updater.client import InstallReport, UpdateClient, UpdateError

    async with UpdateClient("https://updates.example.com") as client:
        result = await client.check("my-app", "2.0.0")
        if result.release:
            await client.fetch(result.release, Path("my-app-setup.exe"), progress=print)
            ...  # install it
            report = InstallReport("2.0.0", result.release.version, result.release.machine, "completed")
            await client.report("my-app", report)

Every call is repeated after failures that pass by themselves (see `RetryPolicy`), and fails for good with an
`UpdateError` or one of its kinds. Values are frozen dataclasses. A key is needed for publishing and for
everything that lists or changes; it is never sent along with a download.
"""

from updater.client.client import UpdateClient
from updater.client.errors import BadAnswer, DigestMismatch, FileChanged, Unreachable, UpdateError
from updater.client.model import (
    ARCHITECTURES,
    PLATFORMS,
    Application,
    ApplicationChanges,
    CheckResult,
    ExternalBuild,
    FetchedFile,
    InstallReport,
    Machine,
    NewApplication,
    NewBuild,
    Page,
    Progress,
    PublishedBuild,
    Registered,
    Release,
    ReleaseQuery,
)
from updater.client.retry import RetryPolicy

__all__ = [
    "ARCHITECTURES",
    "PLATFORMS",
    "Application",
    "ApplicationChanges",
    "BadAnswer",
    "CheckResult",
    "DigestMismatch",
    "ExternalBuild",
    "FetchedFile",
    "FileChanged",
    "InstallReport",
    "Machine",
    "NewApplication",
    "NewBuild",
    "Page",
    "Progress",
    "PublishedBuild",
    "Registered",
    "Release",
    "ReleaseQuery",
    "RetryPolicy",
    "Unreachable",
    "UpdateClient",
    "UpdateError",
]
