"""The `updater` command: a group that imports a command when it is called, and not before.

`updater --help` and `updater serve` thus pay for nothing that another command needs. To add a command, add
one line to `COMMANDS`.
"""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

import click

from updater import __version__
from updater.cli.exits import as_help


class Entry(NamedTuple):
    """Where a command is, and its line in `updater --help`."""

    place: str  # "module:attribute"
    summary: str


COMMANDS = {
    "serve": Entry("updater.cli.serve:serve", "Run the service until SIGTERM or Ctrl-C."),
    "doctor": Entry("updater.cli.doctor:doctor", "Look for what keeps the service from working, with remedies."),
    "config": Entry("updater.cli.config:config", "Show the settings that hold, or check that they fit."),
    "restart": Entry("updater.cli.serve:restart", "Exchange the workers of a service, losing no request."),
    "publish": Entry("updater.cli.publish:publish", "Upload a file as one build, or a folder as a release."),
    "check": Entry("updater.cli.check:check", "Ask whether there is a newer release."),
    "fetch": Entry("updater.cli.fetch:fetch", "Download a release: resumes, verifies."),
    "report": Entry("updater.cli.report:report", "Tell how an installation went."),
    "app": Entry("updater.cli.app:app", "List, show, create, update, delete applications."),
    "release": Entry("updater.cli.release:release", "List, register, publish, promote, withdraw releases."),
    "rollout": Entry("updater.cli.rollout:rollout", "Offer a release to a share of clients; stop, resume that."),
    "feeds": Entry("updater.cli.feeds:feeds", "Show what each stock updater is shown, and why."),
    "explain": Entry("updater.cli.explain:explain", "Say what a client is offered, and why."),
    "history": Entry("updater.cli.history:history", "Show who changed what of releases and rollouts."),
    "figures": Entry("updater.cli.figures:figures", "Show adoption, failures, downloads and countries."),
    "key": Entry("updater.cli.key:key", "Make, list and revoke API keys."),
    "user": Entry("updater.cli.user:user", "Add, list and disable people who sign in."),
    "webhook": Entry("updater.cli.webhook:webhook", "Tell programs and chats what happens."),
    "audit": Entry("updater.cli.audit:audit", "Show who changed what; verify that no row was touched."),
    "deployment": Entry("updater.cli.deployment:deployment", "Update the checkouts this server looks after."),
    "verify": Entry("updater.cli.storage:verify", "Hash stored files again; quarantine what is wrong."),
    "retain": Entry("updater.cli.storage:retain", "Remove releases that the settings do not keep."),
    "backup": Entry("updater.cli.backup:backup", "Back everything up into a folder."),
    "restore": Entry("updater.cli.backup:restore", "Restore a backup into an empty data folder."),
    "migrate-blobs": Entry("updater.cli.storage:migrate_blobs", "Copy stored files to another store, verified."),
    "migrate-database": Entry("updater.cli.database:migrate_database", "Copy the embedded database into PostgreSQL."),
    "collect": Entry("updater.cli.storage:collect", "Remove stored files that no build uses."),
}


class LazyGroup(click.Group):
    """A group that knows its commands by `COMMANDS` alone."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command.

        Returns:
            None when the table has no command of this name.
        """
        if cmd_name not in COMMANDS:
            return None
        from updater.cli.certificates import late_certificates

        module, _, attribute = COMMANDS[cmd_name].place.partition(":")
        with late_certificates():
            command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands in the order of the table, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])


@click.group(cls=LazyGroup, epilog=as_help(), context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="updater")
def main() -> None:
    """Publish, check for, download and report software updates.

    Commands that talk to a server take --server and --key, or UPDATER_SERVER and UPDATER_KEY.
    """
    from updater.cli.output import replace_unprintable

    replace_unprintable()
