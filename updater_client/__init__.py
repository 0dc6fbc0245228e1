"""A small async client for an update server, to be imported by desktop applications and build scripts.

Needs only aiohttp, and nothing else of this package.

    from pathlib import Path
    from updater_client import InstallReport, UpdateClient, UpdateError

    # Made once (`str(uuid.uuid4())`), and kept with the application's settings: rollouts know an installation by it.
    async with UpdateClient("https://updates.example.com", client_id=client_id) as client:
        result = await client.check("my-app", "2.0.0")
        if result.build:
            await client.fetch(result.build, Path("my-app-setup.exe"), progress=print)
            ...  # install it
            report = InstallReport("2.0.0", result.build.version, result.build.target, "completed")
            await client.report("my-app", report)

Every call is repeated after failures that pass by themselves (see `RetryPolicy`), and fails for good with an
`UpdateError` or one of its kinds. Values are frozen dataclasses. A key is needed for publishing and for
everything that lists or changes; it is never sent along with a download.
"""

from updater_client._version import __version__
from updater_client.client import UpdateClient
from updater_client.errors import BadAnswer, DigestMismatch, FileChanged, Unreachable, UpdateError
from updater_client.files import AddedFile, NewFile
from updater_client.model import (
    Application,
    ApplicationChanges,
    Build,
    BuildFile,
    BuildQuery,
    CheckResult,
    ExternalBuild,
    FetchedFile,
    InstallReport,
    ListedBuild,
    NewApplication,
    NewBuild,
    Page,
    Progress,
    PublishedBuild,
    Registered,
    RolloutPlan,
    Target,
)
from updater_client.releases import Releases
from updater_client.retry import RetryPolicy, Wait
from updater_client.rollouts import Rollouts
from updater_client.webhooks import Webhooks
from updater_client.words import ARCHITECTURES, PLATFORMS

__all__ = [
    "ARCHITECTURES",
    "PLATFORMS",
    "AddedFile",
    "Application",
    "ApplicationChanges",
    "BadAnswer",
    "Build",
    "BuildFile",
    "BuildQuery",
    "CheckResult",
    "DigestMismatch",
    "ExternalBuild",
    "FetchedFile",
    "FileChanged",
    "InstallReport",
    "ListedBuild",
    "NewApplication",
    "NewBuild",
    "NewFile",
    "Page",
    "Progress",
    "PublishedBuild",
    "Registered",
    "Releases",
    "RetryPolicy",
    "RolloutPlan",
    "Rollouts",
    "Target",
    "Unreachable",
    "UpdateClient",
    "UpdateError",
    "Wait",
    "Webhooks",
    "__version__",
]
