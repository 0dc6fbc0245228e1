"""What lies outside: the public address with its certificate, and the checkouts with their remotes."""

from __future__ import annotations

import ipaddress
import os
import shutil
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from updater.clock import utc_now
from updater.deployments.git import Git
from updater.deployments.git_command import because, git_command_of
from updater.doctor.machine import ask_health
from updater.doctor.model import Finding, error, good, warning
from updater.errors import Failure
from updater.settings import DeploymentSettings, Settings

_CONNECT_S: Final = 5.0
_REMOTE_S: Final = 20.0
_RENEWED_DAYS: Final = 14


def look_at_public_url(settings: Settings) -> Iterator[Finding]:
    """Look at `server.public_url` as a client sees it: its name, its certificate, and who answers."""
    subject, url = "public_url", settings.server.public_url
    if url is None:
        return
    parts = urlsplit(url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    context = ssl.create_default_context() if secure else None
    if context is not None:
        finding = _look_at_certificate(host, port, context)
        yield finding
        if finding.remedy:
            return
    elif not _is_local(host):
        yield warning(subject, f"{url} is not https: passwords and keys go in clear", "put a proxy with TLS before it")
    answer = ask_health(host, port, context)
    if answer is None:
        yield error(subject, f"nothing answers at {url}", "start the service and its proxy; look at DNS and firewall")
    elif not answer.is_updater:
        yield error(subject, f"something else answers at {url}/health", "let the proxy pass every path to the service")
    else:
        yield good(subject, f"the service answers at {url}")


def _look_at_certificate(host: str, port: int, context: ssl.SSLContext) -> Finding:
    subject = "certificate"
    try:
        with (
            socket.create_connection((host, port), timeout=_CONNECT_S) as plain,
            context.wrap_socket(plain, server_hostname=host) as secured,
        ):
            seen = secured.getpeercert() or {}
    except ssl.SSLCertVerificationError as failure:
        said = failure.verify_message or "it does not verify"
        return error(subject, f"{host}: {said}", "renew it, and let the proxy send the whole chain")
    except ssl.SSLError as failure:
        return error(subject, f"{host}:{port} speaks no TLS: {failure.reason}", "let the proxy speak https there")
    except OSError as failure:
        return error(
            subject, f"{host}:{port} cannot be reached: {failure.strerror or failure}", "look at DNS and firewall"
        )
    ends_at = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(seen["notAfter"])), UTC)
    days = (ends_at - utc_now()).days
    if days < _RENEWED_DAYS:
        return warning(subject, f"that of {host} ends in {days} days", "renew it; does the renewal run?")
    return good(subject, f"that of {host} holds for {days} days")


async def look_at_deployment(deployment: DeploymentSettings) -> Finding:
    """Look at a checkout: is it what the settings say, can it be changed, does its remote answer?"""
    subject = f"deployment {deployment.id}"
    try:
        return await _look_at_checkout(subject, deployment)
    except Failure as failure:
        return error(subject, failure.message, "mend the checkout, or the deployment's settings")


async def _look_at_checkout(subject: str, deployment: DeploymentSettings) -> Finding:
    command = git_command_of(deployment)
    git = Git(command)
    await git.check_checkout()
    await git.check_names()
    if not os.access(deployment.path, os.W_OK):
        remedy = "let the service's user own the checkout"
        return error(subject, f"{deployment.path} is not writable for user {os.geteuid()}", remedy)
    missing = [each for each in _programs_of(deployment) if not _is_there(each, deployment.path)]
    if missing:
        return error(subject, f"there is no program {missing[0]}", "install it, or name it with its whole path")
    ref = f"refs/heads/{deployment.branch}"
    answer = await command.ask("ls-remote", "--exit-code", deployment.remote, ref, timeout_s=_REMOTE_S)
    if not answer.ended.good:
        seen = because(f"the remote {deployment.remote} does not give branch {deployment.branch}", answer)
        return error(subject, seen, "can this user reach the remote (key, token, network)?")
    return good(subject, f"{deployment.path} on {deployment.branch}; its remote answers")


def _programs_of(deployment: DeploymentSettings) -> Iterator[str]:
    """Yield the first word of each command that a run needs; those without a command of their own need none."""
    commands = [deployment.launcher]
    commands += [each.command for each in deployment.steps]
    commands += [each.command for each in deployment.busy]
    if deployment.restart is not None:
        commands.append(deployment.restart.command)
    yield from (each[0] for each in commands if each)


def _is_there(program: str, folder: str) -> bool:
    """Tell whether a checkout's command finds its program: with a slash it counts from the checkout, else by PATH."""
    return shutil.which(str(Path(folder, program)) if "/" in program else program) is not None


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
