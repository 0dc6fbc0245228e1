"""Publish what a build tool left in a folder: electron-builder, Tauri, Velopack, Squirrel, Sparkle, zsyncmake.

    from updater.client.folder import Wishes, make_plan, read_folder

    plan = make_plan(read_folder(Path("dist"), Wishes()), Wishes())

Reading feed files of electron-builder needs PyYAML, which is imported when there is one to read.
"""
