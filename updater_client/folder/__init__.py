"""Publish what a build tool left in a folder: electron-builder, Tauri, Velopack, Squirrel, Sparkle, zsyncmake.

    from updater_client import UpdateClient
    from updater_client.folder import Details, Wishes, compare, make_plan, read_digests, read_folder, send

    wishes = Wishes(exclude=("*.msi",))
    plan = await read_digests(make_plan(read_folder(Path("dist"), wishes), wishes))
    if plan.problems:
        ...  # each says what stands in the way, and what settles it
    async with UpdateClient("https://updates.example.com", key) as client:
        work = compare(plan, await client.releases.list_builds("my-app", plan.version))
        await send(client, "my-app", plan, work, Details(channel="beta"))
        await client.releases.publish("my-app", plan.version, require=plan.require)

Reading feed files of electron-builder needs PyYAML, which is imported when there is one to read.
"""

from updater_client.folder.digests import read_digests
from updater_client.folder.model import Plan, PlannedFile, Problem, Wishes
from updater_client.folder.plan import make_plan
from updater_client.folder.reading import read_folder
from updater_client.folder.sending import Details, Work, compare, send

__all__ = [
    "Details",
    "Plan",
    "PlannedFile",
    "Problem",
    "Wishes",
    "Work",
    "compare",
    "make_plan",
    "read_digests",
    "read_folder",
    "send",
]
