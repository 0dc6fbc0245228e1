"""Publish what a build tool left in a folder: electron-builder, Tauri, Velopack, Squirrel, Sparkle, zsyncmake.

    from updater_client import SyncUpdateClient
    from updater_client.folder import Details, Wishes

    with SyncUpdateClient("https://updates.example.com", key) as client:
        plan = client.folders.read(Path("dist"), Wishes(exclude=("*.msi",)))
        for problem in plan.problems:
            print(problem)  # what stands in the way, and what settles it
        client.folders.publish("my-app", plan, Details(channel="beta"))

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
