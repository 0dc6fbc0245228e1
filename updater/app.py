"""The web application: every surface behind one gate, and the runner that serves it."""

from __future__ import annotations

import functools
import warnings

from aiohttp import web

from updater.access.addresses import AddressReader
from updater.access.limits import RateLimits
from updater.access.shared import SharedWindows
from updater.processes.listening import affordable_connections
from updater.services import Services
from updater.settings import Settings
from updater.web import api, dashboard, desktop, docs, feeds, system, tus, updates
from updater.web.desktop.agents import AGENTS
from updater.web.docs.figures import add_figures
from updater.web.gate.access_log import AccessLog
from updater.web.gate.cross_origin import CrossOrigin
from updater.web.gate.metrics import METRICS, Metrics
from updater.web.gate.middleware import GATE, Gate, GateParts
from updater.web.gate.origins import Origins
from updater.web.gate.routing import REQUIRE_APPLICATION, Surface
from updater.web.gate.sessions import SessionAuthenticator
from updater.web.messages.bodies import PENDING_BODIES, PendingBodies
from updater.web.messages.links import Links
from updater.web.messages.pace import MIN_BYTES_PER_S, RECEIVE_BYTES
from updater.web.server.at_once import AtOnce
from updater.web.server.connections import ConnectionLimiter
from updater.web.server.late import LateResource
from updater.web.server.router import Router
from updater.web.server.runner import Runner
from updater.web.transfer.delivery import DELIVERY, Delivery

CUT_S = 1.0
"""What requests that outlast `server.drain_s` get to end by themselves, and then as long again to clear up.

Uploads to an object store take back there what they have sent.
"""


def build_app(services: Services, limits: RateLimits | None = None) -> web.Application:
    """Return the web application: every surface behind one gate.

    `limits` None: requests are not limited. Surfaces are matched in the order in which they are listed here.
    """
    settings = services.settings
    metrics = Metrics()
    add_figures(metrics, services)
    addresses = AddressReader(settings.server.trusted_proxies)
    if limits is not None and limits.shared is not None:
        metrics.add_gauge(
            "updater_rate_limit_shared",
            "1 while requests are counted in Redis",
            functools.partial(_available, limits.shared),
        )
    links = Links(settings.server.public_url, settings.storage.cdn_url)
    origins = Origins(settings.server.public_url, addresses)
    sessions = SessionAuthenticator(services.people, origins)
    api_surface = api.build(services, links, metrics, sessions, limits)
    docs_surface = docs.build(services.access, metrics, lambda: surfaces)
    desktops = (desktop.build(services, links, metrics, each) for each in settings.desktop)
    # The first one that has a path answers for it.
    surfaces = (
        *desktops,
        docs_surface,
        tus.build(services, links, metrics, sessions),
        api.build_deployments(services, sessions),
        api_surface,
        feeds.build(services, links, sessions),
        *system.build(services.deployments, sessions),
        *dashboard.build(services, links, sessions, origins, limits, metrics),
        updates.build(services),
    )
    access_log = AccessLog() if settings.logging.access else None
    parts = GateParts(
        limits=limits,
        addresses=addresses,
        metrics=metrics,
        access_log=access_log,
        agents=AGENTS,
        get_snapshot=services.offers.snapshot_of,
        catch_up=services.catch_up,
        cross_origin=CrossOrigin(settings.server.cors_origins) if settings.server.cors_origins else None,
    )
    gate = Gate(parts, surfaces, fallback=api_surface)
    with warnings.catch_warnings():
        # The argument goes with aiohttp 4; there the class of `application.router` is what remains.
        warnings.simplefilter("ignore", DeprecationWarning)
        application = web.Application(middlewares=[gate.handle], client_max_size=1 << 20, router=Router())
    application[GATE], application[METRICS] = gate, metrics
    application[REQUIRE_APPLICATION] = gate.require_application
    application[DELIVERY] = Delivery(services.artifacts, settings)
    application[PENDING_BODIES] = PendingBodies()
    application[MIN_BYTES_PER_S] = settings.server.min_bytes_per_s
    if access_log is not None:
        application.on_cleanup.append(access_log.close)
    for surface in surfaces:
        _add(application.router, surface)
    return application


def _add(router: web.UrlDispatcher, surface: Surface) -> None:
    router.add_routes(surface.routes)
    if surface.late is not None:
        for prefix in surface.prefixes:
            router.register_resource(LateResource(prefix, surface.late))


def make_runner(application: web.Application, settings: Settings) -> Runner:
    """Return the runner with limits that hold slow and hostile clients off.

    Source: measured; AppRunner's own keep-alive of an hour would let idle connections pile up, and a Range
    header of a differential updater is up to 11 kB.
    """
    server, metrics = settings.server, application[METRICS]
    most = min(server.max_connections or affordable_connections(), affordable_connections())
    addresses = AddressReader(server.trusted_proxies)
    limiter = ConnectionLimiter(
        most, server.max_connections_per_address, addresses, metrics, application[PENDING_BODIES]
    )
    metrics.add_gauge("updater_connections", "Open connections", lambda: len(limiter))
    at_once = AtOnce(application)
    metrics.add_gauge(
        "updater_answered_at_once", "Requests answered where they were read", lambda: float(at_once.answered)
    )
    return Runner(
        application,
        limiter=limiter,
        at_once=at_once,
        min_bytes_per_s=server.min_bytes_per_s,
        access_log=None,
        keepalive_timeout=15,
        max_line_size=8190,
        max_field_size=32768,
        read_bufsize=RECEIVE_BYTES,
        tcp_keepalive=True,
        handler_cancellation=False,
        shutdown_timeout=CUT_S,
    )


def _available(shared: SharedWindows) -> float:
    return float(shared.available)
