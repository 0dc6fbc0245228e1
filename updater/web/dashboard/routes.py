"""The pages at `/admin`: all routes on one screen, one module a noun."""

from __future__ import annotations

from aiohttp import web

from updater.access.attempts import SignInAttempts
from updater.access.first_run import FirstRun
from updater.access.limits import RateLimits
from updater.services import Services
from updater.telemetry.recent import RecentFigures
from updater.web.dashboard.account import ACCOUNT, Account
from updater.web.dashboard.applications import Applications
from updater.web.dashboard.assets import Assets
from updater.web.dashboard.audit import AUDIT, Audit
from updater.web.dashboard.deployments import DEPLOYMENT, DEPLOYMENTS, Deployments
from updater.web.dashboard.elsewhere import ADDRESSES, Elsewhere
from updater.web.dashboard.explain import Explain
from updater.web.dashboard.feeds import Feeds
from updater.web.dashboard.figures import Figures
from updater.web.dashboard.history import History
from updater.web.dashboard.keys import KEYS, REVOKE, Keys
from updater.web.dashboard.overview import Overview
from updater.web.dashboard.page import OVERVIEW, SIGN_IN, SIGN_OUT, PageKit
from updater.web.dashboard.page_token import PageToken
from updater.web.dashboard.people import PEOPLE, PERSON, People
from updater.web.dashboard.publish import PUBLISH, Publish
from updater.web.dashboard.releases import Releases
from updater.web.dashboard.rollouts import Rollouts
from updater.web.dashboard.settings import SETTINGS, SettingsShown
from updater.web.dashboard.setup import SETUP, Setup
from updater.web.dashboard.sign_in import SignIn
from updater.web.dashboard.templates import load
from updater.web.dashboard.webhooks import APPLICATION, SERVER, Webhooks
from updater.web.gate.identity import IdentityReader
from updater.web.gate.late import Routes
from updater.web.gate.metrics import Metrics
from updater.web.gate.origins import Origins
from updater.web.gate.sessions import SessionAuthenticator
from updater.web.messages.links import Links
from updater.web.transfer.uploads import delay_continue


def make_routes(
    kit: PageKit,
    services: Services,
    links: Links,
    sessions: SessionAuthenticator,
    origins: Origins,
    limits: RateLimits | None,
    metrics: Metrics,
) -> Routes:
    """Return the pages, and what is asked below their prefix and is none. Reads what the first page would wait for."""
    load()
    attempts = SignInAttempts(services.people, limits)
    first_run = FirstRun(services.access, services.people, limits)
    sign_in = SignIn(kit, services.people, sessions, origins, attempts, first_run)
    setup_token = PageToken(services.people, origins, path=SETUP, cookie="setuppage")
    setup = Setup(kit, first_run, sessions, origins, attempts, setup_token)
    assets, deployments = Assets(), Deployments(kit, services.deployments)
    publish = Publish(kit, services, sessions, metrics)
    pages: Routes = (
        web.get("/admin/", assets.go_home),
        *_figure_routes(kit, services),
        web.get(SIGN_IN, sign_in.show_sign_in),
        web.post(SIGN_IN, sign_in.sign_in),
        web.get(SETUP, setup.show_setup),
        web.post(SETUP, setup.set_up),
        web.get(SIGN_OUT, sign_in.show_sign_out),
        web.post(SIGN_OUT, sign_in.sign_out),
        web.get(PUBLISH, publish.show_form),
        web.post(PUBLISH, publish.publish_file, expect_handler=delay_continue),
        *_of_deployments(deployments),
        *_of_the_installation(kit, services, sessions, attempts),
        web.get("/admin/assets/{name}", assets.get_asset),
        *_of_webhooks(Webhooks(kit, services)),
        *_release_routes(kit, services, links),
    )
    nowhere = Elsewhere(pages)
    return (*pages, *(web.get(address, nowhere.find_page) for address in ADDRESSES))


def _of_the_installation(
    kit: PageKit, services: Services, sessions: SessionAuthenticator, attempts: SignInAttempts
) -> Routes:
    """Return the pages of keys, people, the audit and the settings, and everybody's own account."""
    keys, people = Keys(kit, services.access), People(kit, services, sessions)
    account = Account(kit, services, sessions, attempts)
    audit, settings = Audit(kit, services), SettingsShown(kit, services.in_effect)
    return (
        web.get(KEYS, keys.list_keys),
        web.post(KEYS, keys.create_key),
        web.get(REVOKE, keys.show_revocation),
        web.post(REVOKE, keys.revoke_key),
        web.get(PEOPLE, people.list_people),
        web.post(PEOPLE, people.create_person),
        web.get(PERSON, people.show_person),
        web.post(PERSON, people.change_person),
        web.get(ACCOUNT, account.show_account),
        web.post(ACCOUNT, account.change_account),
        web.get(AUDIT, audit.list_audit),
        web.post(AUDIT, audit.verify_audit),
        web.get(SETTINGS, settings.show_settings),
    )


def _of_deployments(deployments: Deployments) -> Routes:
    return (
        web.get(DEPLOYMENTS, deployments.list_deployments),
        web.get(DEPLOYMENT, deployments.show_deployment),
        web.get(f"{DEPLOYMENT}check/", deployments.ask_check),
        web.post(f"{DEPLOYMENT}check/", deployments.check),
        web.get(f"{DEPLOYMENT}update/", deployments.ask_update),
        web.post(f"{DEPLOYMENT}update/", deployments.update),
        web.get(f"{DEPLOYMENT}rollback/", deployments.ask_rollback),
        web.post(f"{DEPLOYMENT}rollback/", deployments.roll_back),
        web.get(f"{DEPLOYMENT}runs/{{run}}/", deployments.show_run),
    )


def _of_webhooks(webhooks: Webhooks) -> Routes:
    """Return the pages of webhooks, of the server and below each application."""
    routes: list[web.RouteDef] = []
    for place in (SERVER, APPLICATION):
        one = f"{place}{{webhook_id}}/"
        routes += [
            web.get(place, webhooks.list_webhooks),
            web.post(place, webhooks.create_webhook),
            web.get(one, webhooks.show_webhook),
            web.post(one, webhooks.change_webhook),
            web.get(f"{one}replay/", webhooks.show_replay),
            web.post(f"{one}replay/", webhooks.replay_webhook),
            web.get(f"{one}secret/", webhooks.show_rotation),
            web.post(f"{one}secret/", webhooks.rotate_secret),
            web.get(f"{one}delete/", webhooks.show_deletion),
            web.post(f"{one}delete/", webhooks.delete_webhook),
        ]
    return tuple(routes)


def _figure_routes(kit: PageKit, services: Services) -> Routes:
    """Return the overview, and the figures of applications."""
    overview = Overview(kit, services.overview)
    figures = Figures(kit, services.offers, RecentFigures(services.telemetry))
    application = "/admin/applications/{app_id}/"
    return (
        web.get(OVERVIEW, overview.show_overview),
        web.get(f"{application}figures/", figures.show_figures),
        web.get(f"{application}figures/{{name}}/", figures.show_table),
        web.get(f"{application}charts/{{name}}.svg", figures.get_chart),
    )


def _release_routes(kit: PageKit, services: Services, links: Links) -> Routes:
    """Return the pages of applications and of their releases."""
    applications, releases = Applications(kit, services), Releases(kit, services, links)
    rollouts, history = Rollouts(kit, services), History(kit, services)
    feeds, explain = Feeds(kit, services, links), Explain(kit, services, IdentityReader(services.settings))
    application = "/admin/applications/{app_id}/"
    release = f"{application}releases/{{version}}/"
    return (
        web.get("/admin/new-application/", applications.show_new),
        web.post("/admin/new-application/", applications.create_application),
        web.get(application, releases.show_releases),
        web.get(f"{application}feeds/", feeds.show_feeds),
        web.get(f"{application}explain/", explain.explain),
        web.get(f"{application}history/", history.show_history),
        web.get(f"{application}settings/", applications.show_settings),
        web.post(f"{application}settings/", applications.update_application),
        web.get(f"{application}settings/delete/", applications.show_deletion),
        web.post(f"{application}settings/delete/", applications.delete_application),
        web.get(release, releases.show_release),
        web.get(f"{release}restore/", rollouts.show_restore),
        web.post(f"{release}restore/", rollouts.restore),
        web.get(f"{release}{{action}}/", rollouts.show_step),
        web.post(f"{release}{{action}}/", rollouts.do_step),
    )
