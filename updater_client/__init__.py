"""A small client for an update server, to be imported by desktop applications and build scripts.

    from pathlib import Path
    from updater_client import InstallReport, SyncUpdateClient

    # `client_id` is made once (`str(uuid.uuid4())`), and kept with the application's settings: rollouts know an
    # installation by it.
    with SyncUpdateClient("https://updates.example.com", client_id=client_id) as client:
        build = client.check("my-app", "2.0.0").build
        if build is not None:
            client.fetch(build, Path("my-app-setup.exe"), progress=print)
            ...  # install it
            client.report("my-app", InstallReport("2.0.0", build.version, build.target, "completed"))

`UpdateClient` has the same calls for code with an event loop:

    async with UpdateClient("https://updates.example.com", client_id=client_id) as client:
        build = (await client.check("my-app", "2.0.0")).build

Every call is repeated after failures that pass by themselves (see `RetryPolicy`), and fails for good with an
`UpdateError` or one of its kinds, whose text names each wrong field. Values are frozen dataclasses. A key is needed
for publishing and for everything that lists or changes; it is never sent along with a download.
"""

from updater_client._version import __version__
from updater_client.client import UpdateClient
from updater_client.errors import BadAnswer, DigestMismatch, FileChanged, Unreachable, UpdateError
from updater_client.files import AddedFile, NewFile
from updater_client.folders import Folders
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
from updater_client.sync import SyncFolders, SyncReleases, SyncRollouts, SyncUpdateClient, SyncWebhooks
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
    "Folders",
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
    "SyncFolders",
    "SyncReleases",
    "SyncRollouts",
    "SyncUpdateClient",
    "SyncWebhooks",
    "Target",
    "Unreachable",
    "UpdateClient",
    "UpdateError",
    "Wait",
    "Webhooks",
    "__version__",
]
