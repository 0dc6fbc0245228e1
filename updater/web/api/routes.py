"""All routes of the surface on one screen, but for those that installed applications ask."""

from __future__ import annotations

from aiohttp import web

from updater.access.attempts import SignInAttempts
from updater.access.limits import RateLimits
from updater.services import Services
from updater.web.api.account import Account
from updater.web.api.applications import Applications
from updater.web.api.audit import Audit
from updater.web.api.builds import Builds
from updater.web.api.deployments import Deployments
from updater.web.api.drafts import Drafts
from updater.web.api.explain import Explain
from updater.web.api.feed_keys import FeedKeys
from updater.web.api.feeds import Feeds
from updater.web.api.figures import ApplicationFigures
from updater.web.api.files import Files
from updater.web.api.history import History
from updater.web.api.impact import Impacts
from updater.web.api.keys import Keys
from updater.web.api.overview import Overview
from updater.web.api.plans import Plans
from updater.web.api.releases import Releases
from updater.web.api.rollouts import ReleaseMoving, Rollouts
from updater.web.api.settings import SettingsShown
from updater.web.api.targets import FILE_NAME, PREFIX
from updater.web.api.tuf import TufRepositories
from updater.web.api.users import Users
from updater.web.api.webhooks import Webhooks
from updater.web.gate.identity import IdentityReader
from updater.web.gate.late import Routes
from updater.web.gate.metrics import Metrics
from updater.web.gate.sessions import SessionAuthenticator
from updater.web.messages.links import Links
from updater.web.transfer.uploads import delay_continue

# DELETE below a release's rollout is 405, not the deletion of a build.
_PLATFORM = "{platform:(?!rollout/)[^/]+}"
_ONE_BUILD = f"{PREFIX}/updates/{{app_id}}/builds/{{version}}/{{platform}}/{{arch}}"
_ONE_FILE = f"{_ONE_BUILD}/files/{FILE_NAME}"
_ONE_RELEASE = f"{PREFIX}/updates/{{app_id}}/releases/{{version}}"
_ROLLOUT = f"{_ONE_RELEASE}/rollout"
_DEPLOYMENT = f"{PREFIX}/deployments/{{deployment_id}}"
_RUN = f"{_DEPLOYMENT}/runs/{{run}}"
_TUF = f"{PREFIX}/updates/{{app_id}}/tuf/{{channel}}"


def make_routes(
    services: Services, links: Links, metrics: Metrics, sessions: SessionAuthenticator, limits: RateLimits | None
) -> Routes:
    """Return the routes, without those about deployments. Paths are tried in this order."""
    releases, builds = Releases(services, links), Builds(services, links, metrics)
    applications, figures = Applications(services), ApplicationFigures(services.telemetry)
    feed_keys, feeds = FeedKeys(services.access), Feeds(services, links)
    history, explain = History(services.catalog), Explain(services, links, IdentityReader(services.settings))
    files, rollouts = Files(services, links, metrics), Rollouts(services)
    tuf = TufRepositories(services, metrics)
    return (
        web.get(f"{PREFIX}/updates/{{app_id}}/releases", releases.list_releases),
        web.post(f"{PREFIX}/updates/{{app_id}}/register", releases.register_release),
        web.delete(f"{_ONE_RELEASE}/{_PLATFORM}/{{arch}}", releases.delete_release),
        web.post(f"{PREFIX}/updates/{{app_id}}/upload", builds.upload_form, expect_handler=delay_continue),
        *_planning(services),
        web.put(_ONE_BUILD, builds.upload_body, expect_handler=delay_continue),
        web.put(_ONE_FILE, files.upload_file, expect_handler=delay_continue),
        web.put(f"{_ONE_FILE}/signatures", files.sign_file),
        web.delete(_ONE_FILE, files.delete_file),
        web.put(f"{_TUF}/targets/{{path:(?s:.+)}}", tuf.put_target, expect_handler=delay_continue),
        web.post(f"{_TUF}/metadata", tuf.publish_metadata, expect_handler=delay_continue),
        web.get(f"{PREFIX}/updates/{{app_id}}/history", history.list_history),
        web.get(f"{PREFIX}/updates/{{app_id}}/rollouts", rollouts.list_rollouts),
        web.get(f"{PREFIX}/updates/{{app_id}}/explain", explain.explain),
        web.get(f"{PREFIX}/updates/{{app_id}}/feeds", feeds.list_feeds),
        *_release_routes(services),
        web.get(f"{PREFIX}/applications", applications.list_applications),
        web.post(f"{PREFIX}/applications", applications.create_application),
        web.get(f"{PREFIX}/applications/{{app_id}}", applications.get_application),
        web.put(f"{PREFIX}/applications/{{app_id}}", applications.update_application),
        web.delete(f"{PREFIX}/applications/{{app_id}}", applications.delete_application),
        web.get(f"{PREFIX}/applications/{{app_id}}/figures", figures.get_figures),
        web.post(f"{PREFIX}/applications/{{app_id}}/feed-keys", feed_keys.create_feed_key),
        *_at_a_glance(Overview(services)),
        *_webhook_routes(Webhooks(services)),
        *_of_the_installation(services, sessions, limits),
    )


def make_deployment_routes(services: Services) -> Routes:
    """Return the routes about deployments."""
    deployments = Deployments(services.deployments)
    return (
        web.get(f"{PREFIX}/deployments", deployments.list_deployments),
        web.get(_DEPLOYMENT, deployments.get_deployment),
        web.post(f"{_DEPLOYMENT}/check", deployments.check_deployment),
        web.post(f"{_DEPLOYMENT}/update", deployments.update_deployment),
        web.post(f"{_DEPLOYMENT}/rollback", deployments.roll_deployment_back),
        web.get(f"{_DEPLOYMENT}/runs", deployments.list_runs),
        web.get(_RUN, deployments.get_run),
        web.get(f"{_RUN}/log", deployments.list_run_lines),
        web.get(f"{_RUN}/events", deployments.follow_run),
    )


def _planning(services: Services) -> Routes:
    plans = Plans(services)
    return (
        web.post(f"{PREFIX}/updates/{{app_id}}/plan", plans.plan_folder),
        web.post(f"{PREFIX}/updates/{{app_id}}/preview", plans.preview_notes),
    )


def _release_routes(services: Services) -> Routes:
    """Return what is asked of one release as a whole."""
    moving, drafts, rollouts, impact = ReleaseMoving(services), Drafts(services), Rollouts(services), Impacts(services)
    return (
        web.get(_ONE_RELEASE, moving.get_release),
        web.get(f"{_ONE_RELEASE}/impact", impact.get_impact),
        web.post(f"{_ONE_RELEASE}/publish", drafts.publish_release),
        web.delete(_ONE_RELEASE, drafts.delete_release),
        web.post(f"{_ONE_RELEASE}/promote", moving.promote),
        web.post(f"{_ONE_RELEASE}/withdraw", moving.withdraw),
        web.post(f"{_ONE_RELEASE}/restore", moving.restore),
        web.get(_ROLLOUT, rollouts.get_rollout),
        web.put(_ROLLOUT, rollouts.set_plan),
        web.post(f"{_ROLLOUT}/pause", rollouts.pause),
        web.post(f"{_ROLLOUT}/resume", rollouts.resume),
        web.post(f"{_ROLLOUT}/advance", rollouts.advance),
        web.post(f"{_ROLLOUT}/complete", rollouts.complete),
    )


def _at_a_glance(overview: Overview) -> Routes:
    """Return the routes of what a person wants to know first."""
    return (
        web.get(f"{PREFIX}/overview", overview.get_overview),
        web.get(f"{PREFIX}/attention", overview.get_attention),
    )


def _of_the_installation(services: Services, sessions: SessionAuthenticator, limits: RateLimits | None) -> Routes:
    """Return the routes about keys, people, the audit and the settings: of the whole installation, not of a product."""
    keys, users = Keys(services.access), Users(services, sessions)
    account = Account(services, sessions, SignInAttempts(services.people, limits))
    audit, settings = Audit(services), SettingsShown(services.in_effect)
    user, own_sessions = f"{PREFIX}/users/{{name}}", f"{PREFIX}/account/sessions"
    return (
        web.get(f"{PREFIX}/keys", keys.list_keys),
        web.post(f"{PREFIX}/keys", keys.create_key),
        web.delete(f"{PREFIX}/keys/{{key_id}}", keys.revoke_key),
        web.get(f"{PREFIX}/users", users.list_users),
        web.post(f"{PREFIX}/users", users.create_user),
        web.patch(user, users.change_user),
        web.get(f"{user}/sessions", users.list_sessions),
        web.delete(f"{user}/sessions", users.end_sessions),
        web.delete(f"{user}/sessions/{{session}}", users.end_session),
        web.get(f"{PREFIX}/account", account.get_account),
        web.post(f"{PREFIX}/account/password", account.change_password),
        web.get(own_sessions, account.list_sessions),
        web.delete(own_sessions, account.end_sessions),
        web.delete(f"{own_sessions}/{{session}}", account.end_session),
        web.get(f"{PREFIX}/audit", audit.list_audit),
        web.post(f"{PREFIX}/audit/verify", audit.verify_audit),
        web.get(f"{PREFIX}/settings", settings.get_settings),
    )


def _webhook_routes(webhooks: Webhooks) -> Routes:
    """Return the routes of receivers of events."""
    one = f"{PREFIX}/webhooks/{{webhook_id}}"
    return (
        web.get(f"{PREFIX}/webhooks", webhooks.list_of_server),
        web.post(f"{PREFIX}/webhooks", webhooks.create_of_server),
        web.get(f"{PREFIX}/applications/{{app_id}}/webhooks", webhooks.list_of_application),
        web.post(f"{PREFIX}/applications/{{app_id}}/webhooks", webhooks.create_of_application),
        web.get(one, webhooks.get_webhook),
        web.patch(one, webhooks.change_webhook),
        web.delete(one, webhooks.delete_webhook),
        web.post(f"{one}/test", webhooks.test_webhook),
        web.post(f"{one}/replay", webhooks.replay_webhook),
        web.post(f"{one}/secret", webhooks.rotate_secret),
        web.get(f"{one}/deliveries", webhooks.list_deliveries),
    )
