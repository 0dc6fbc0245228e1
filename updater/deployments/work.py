"""What each step does: git's, the configured ones, the restart, the health check. `pipeline` decides the order."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Mapping

from updater.config import pick_environment
from updater.deployments.checkout import Checkout
from updater.deployments.git import Git
from updater.deployments.git_command import GitCommand, TookTooLong
from updater.deployments.leftovers import MARK, identify
from updater.deployments.model import Kind, LogLevel, Plan
from updater.deployments.progress import Progress, StepFailed
from updater.deployments.steps import BASE_ENVIRONMENT, Command, run_command
from updater.deployments.tree import named, read_tree
from updater.errors import Failure, Invalid
from updater.settings import DeploymentSettings, HealthSettings, RestartSettings, StepSettings

Precondition = Callable[[], Awaitable[None]]
_MAX_LEAVERS = 1_000


class Work:
    """The steps of one plan. Each method returns when its step is done, and raises StepFailed otherwise."""

    def __init__(self, plan: Plan, progress: Progress) -> None:
        self._plan = plan
        self._deployment = plan.deployment
        self._progress = progress
        command = GitCommand(plan.deployment, self._environment((), mark=True))
        self._git, self._checkout, self._command_of_git = Git(command), Checkout(command), command

    async def git_fetch(self) -> None:
        """Fetch the remote's branch; the checkout stays as it is. Raises StepFailed."""
        await _checked("git_fetch", self._git.check_checkout, self._git.check_names)
        await self._run("git_fetch", await self._checkout.fetch())

    async def git_pull(self) -> None:
        """Move the checkout ahead to its target.

        Raises:
            StepFailed: the move is refused, and nothing was changed; or git failed after `touched` was stored.
        """
        await _checked("git_pull", self._refuse_local_changes, self._aim)
        older, newer = self._progress.ends
        await _checked("git_pull", lambda: self._check_ends("git_pull", older, newer))
        if older == newer:
            self._progress.say("git_pull", "already up to date")
            return
        await _checked("git_pull", lambda: self._git.check_move(older, newer))
        self._progress.save_or_stop("git_pull", touched=True)
        await self._run("git_pull", await self._checkout.forward(newer))
        await self._bring_submodules("git_pull")
        await _checked("git_pull", lambda: self._confirm("git_pull", newer))

    async def git_reset(self) -> None:
        """Move the checkout to an earlier commit, when it is as the update left it.

        Raises:
            StepFailed: the move is refused, and nothing was changed; or git failed after `touched` was stored.
        """
        await _checked("git_reset", self._git.check_checkout, self._git.check_names, self._refuse_local_changes)
        await _checked("git_reset", self._aim)
        older, newer = self._progress.ends
        await _checked("git_reset", lambda: self._check_ends("git_reset", older, newer))
        await _checked("git_reset", lambda: self._git.check_move(older, newer))
        self._progress.save_or_stop("git_reset", touched=True)
        await self._run("git_reset", await self._checkout.reset(newer, keep=True))
        await self._bring_submodules("git_reset")
        await _checked("git_reset", lambda: self._confirm("git_reset", newer))

    async def git_undo(self) -> None:
        """Restore the commit that was checked out at the start; only changes of this run are lost.

        Raises StepFailed.
        """
        older, newer = self._progress.ends
        await _checked("git_reset", lambda: self._clear(older, newer))
        await self._run("git_reset", await self._checkout.reset(older, keep=False))
        await self._bring_submodules("git_reset")
        await _checked("git_reset", lambda: self._confirm("git_reset", older))

    async def command(self, settings: StepSettings) -> None:
        """Run a configured command in the checkout. Raises StepFailed when it fails or takes too long."""
        await self._run(settings.name, self._command(settings, mark=True))

    async def restart(self, settings: RestartSettings) -> None:
        """Run the restart command; the processes that it starts stay.

        Raises StepFailed when it fails or takes too long.
        """
        progress = self._progress
        progress.save(restarts=progress.state.restarts + 1)
        command = dataclasses.replace(
            self._command(settings, mark=False),
            keeps_children=True,
            on_start=lambda pid: progress.save(restarter=identify(pid)),
        )
        await self._run("restart", command)

    async def health(self, settings: HealthSettings) -> None:
        """Wait until the service is healthy for as long as the settings ask.

        Raises StepFailed when it does not become so.
        """
        # Imported here: commands import this module, and none of them asks whether a service is well.
        from updater.deployments.probes import wait_until_well

        reason = await wait_until_well(settings, lambda line: self._progress.say("health", line))
        if reason is not None:
            raise StepFailed("health", reason)

    async def _aim(self) -> None:
        """Find the commits that the run goes from and to, and record them."""
        head = await self._git.head()
        if self._plan.kind is Kind.ROLLBACK:
            if head != self._plan.expected:
                raise StepFailed("git_reset", f"the checkout is at {head}, not at the version to be rolled back")
            target = self._plan.target or head
        else:
            target = await self._git.resolve(self._plan.target)
            if await self._git.is_ancestor(target, head):
                target = head
            elif not await self._git.is_ancestor(head, target):
                raise StepFailed("git_pull", f"the checkout at {head} and the remote at {target} have diverged")
        self._progress.aim(head, target, await self._git.describe(head, target))

    async def _refuse_local_changes(self) -> None:
        changed = await self._git.local_changes()
        if changed:
            step = "git_pull" if self._plan.kind is Kind.APPLY else "git_reset"
            raise StepFailed(step, f"the checkout has local changes in {named(changed)}")

    async def _check_ends(self, step: str, older: str, newer: str) -> None:
        """Refuse a version that could not be brought whole, and a checkout that only looks like its commit."""
        async with read_tree(self._command_of_git, newer) as tree:
            await tree.check_allowed()
        async with read_tree(self._command_of_git, older) as tree:
            changed = await tree.differences()
        if changed:
            text = "which git does not show: see git update-index --no-assume-unchanged and --no-skip-worktree"
            raise StepFailed(step, f"the checkout has local changes in {named(changed)}, {text}")

    async def _confirm(self, step: str, commit: str) -> None:
        """Fail unless the checkout is the commit, file by file; say which files a sparse checkout leaves out."""
        await self._git.check_checkout()
        head = await self._git.head()
        if head != commit:
            raise StepFailed(step, f"the checkout is at {head}, not at {commit}")
        async with read_tree(self._command_of_git, commit) as tree:
            changed = await tree.differences() or await self._git.local_changes()
            missing, left_out = await tree.missing_content(), await tree.left_out()
        if changed:
            raise StepFailed(step, f"the checkout is not as {commit} has it: {named(changed)}")
        if missing:
            raise StepFailed(step, f"the content is missing of {named(missing)}")
        if left_out:
            self._progress.log(LogLevel.WARNING, step, f"the sparse checkout leaves out {named(left_out)}")

    async def clear_locks(self, step: str) -> None:
        """Remove the locks of a git that was killed in this run, else they stop the next one. Raises Unavailable."""
        for name in await self._checkout.remove_stale_locks(self._plan.started_at):
            self._progress.log(LogLevel.WARNING, step, f"removed {name}, which a killed git had left")

    async def _clear(self, older: str, newer: str) -> None:
        await self.clear_locks("git_reset")
        removed = self._checkout.remove_appeared(await self._git.appearing(older, newer))
        if removed:
            self._progress.say("git_reset", f"removed {removed} files that only {newer} has")

    async def _bring_submodules(self, step: str) -> None:
        command = await self._checkout.submodules()
        if command is not None:
            await self._run(step, command)

    async def _run(self, step: str, command: Command) -> None:
        if not command.keeps_children:
            command = dataclasses.replace(command, adopts=True, on_leavers=self._note_leavers)
        ended = await run_command(command, lambda line: self._progress.say(step, line))
        self._note_leavers(set())
        if not ended.good:
            said = self._progress.telling_line if ended.status is not None else ""
            reason = f"{ended.reason}: {said[:500]}" if said else ended.reason
            raise StepFailed(step, reason, timed_out=ended.timed_out)

    def _note_leavers(self, names: set[str]) -> None:
        """Store who would stay when this process is killed now."""
        known = tuple(sorted(names))[-_MAX_LEAVERS:]
        if known != self._progress.state.leavers:
            self._progress.save(leavers=known)

    def _command(self, settings: StepSettings | RestartSettings, *, mark: bool) -> Command:
        environment = self._environment(settings.environment, mark=mark)
        return Command(settings.command, self._deployment.path, environment, settings.timeout_s)

    def _environment(self, names: tuple[str, ...], *, mark: bool) -> Mapping[str, str]:
        picked = pick_environment((*BASE_ENVIRONMENT, *self._deployment.environment, *names))
        return {**picked, MARK: self._plan.run} if mark else picked


async def _checked(step: str, *preconditions: Precondition) -> None:
    """Check the preconditions in order. Raises StepFailed when one of them fails."""
    try:
        for check in preconditions:
            await check()
    except Failure as failure:
        fields = failure.fields if isinstance(failure, Invalid) else {}
        reason = "; ".join(f"{name}: {text}" for name, text in fields.items()) or failure.message
        raise StepFailed(step, reason, timed_out=isinstance(failure, TookTooLong)) from None


def environment_names(deployment: DeploymentSettings) -> tuple[str, ...]:
    """Return the variables that a run of this deployment may need, for the process that carries it out.

    The order is that of the settings; a name may occur twice.
    """
    more = [name for step in deployment.steps for name in step.environment]
    if deployment.restart is not None:
        more += deployment.restart.environment
    return (*BASE_ENVIRONMENT, *deployment.environment, *more)
