"""How a deployment stands, as people and programs are told. PURE values."""

from __future__ import annotations

from dataclasses import dataclass

from updater.deployments.model import Commit, DeploymentStatus, Update
from updater.settings import DeploymentSettings


@dataclass(frozen=True)
class ProbeAnswer:
    """What one busy probe says. `busy` None: it gives no answer, so nothing may begin. `said` is one printable line."""

    probe: str
    busy: bool | None
    said: str


@dataclass(frozen=True)
class Standing:
    """How a deployment stands: `status`, or the `problem` that keeps it from being looked at.

    `probes` are in the order of the settings. `incoming` are the commits that the last fetch found, newest first, when
    they were asked for; `rollback` is the update that can be taken back.
    """

    deployment: DeploymentSettings
    status: DeploymentStatus | None
    problem: str | None
    probes: tuple[ProbeAnswer, ...] = ()
    incoming: tuple[Commit, ...] = ()
    rollback: Update | None = None

    @property
    def busy(self) -> bool | None:
        """Tell whether work is in progress there; None when a probe gives no answer and no other one says yes."""
        said = [each.busy for each in self.probes]
        return True if True in said else None if None in said else False
