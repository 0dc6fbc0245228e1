"""`updater figures` as a process against a running server."""

from __future__ import annotations

from updater_client import InstallReport, UpdateClient
from updater_client.model import Target

LINUX = Target("linux", "amd64")


async def test_figures_as_words_and_as_json(client: UpdateClient, updater) -> None:
    await client.check("my-app", "1.0.0", LINUX)
    for number in range(3):
        report = InstallReport("1.0.0", "1.1.0", LINUX, "completed", install_time_seconds=9, report_id=f"r{number}")
        await client.report("my-app", report)
    await client.report("my-app", InstallReport("1.0.0", "1.1.0", LINUX, "failed", "no room in /tmp/x"))

    shown = await updater("figures", "my-app")
    assert (shown.status, shown.err) == (0, "")
    assert "failure rate   25.00%" in shown.out
    assert "3 completed, 1 failed, 0 cancelled" in shown.out
    assert "no room in <path>" in shown.out

    told = await updater("figures", "my-app", "--bucket", "hour", "--json")
    assert told.json["bucket"] == "hour"
    assert told.json["versions"][0] | {"installs": 3, "failures": 1} == told.json["versions"][0]

    assert (await updater("figures", "my-app", "--from", "yesterday")).status == 7
    assert (await updater("figures", "unknown")).status == 5
    assert (await updater("figures", "my-app", key="")).status == 4
