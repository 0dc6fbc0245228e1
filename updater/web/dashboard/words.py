"""What pages say after a form did its work: the code in the address, and its text.

An address carries no text of its own: whoever makes somebody follow a link does not choose what a page says.
"""

from __future__ import annotations

SAID: dict[str, str] = {
    "signed-out": "You are signed out.",
    "first-account": "Your account is made. The admin key is for machines: sign in with your name from now on.",
    "key-revoked": "The key is revoked: it opens nothing any more.",
    "person-made": "The person can sign in now.",
    "person-changed": "The change is made, and all sessions of this person are over.",
    "session-ended": "The session is over.",
    "sessions-ended": "The sessions are over.",
    "password-set": "Your password is changed, and your other sessions are over.",
    "audit-verified": "The chain was followed; what it came to stands below.",
    "published": "The release is live.",
    "draft-kept": "The draft is kept. Clients see nothing of it until it is published.",
    "application-made": "The application is made. Publish its first release, or set up its updater.",
    "application-changed": "The settings are saved.",
    "application-deleted": "The application is deleted.",
    "release-publish": "The release is published.",
    "release-delete": "The release is deleted.",
    "release-promote": "The release is promoted.",
    "release-withdraw": "The release is withdrawn: nobody is offered it any more.",
    "release-restore": "The release is offered again.",
    "release-set": "The plan is set.",
    "release-pause": "The rollout is paused.",
    "release-resume": "The rollout goes on.",
    "release-advance": "The next stage has begun.",
    "release-complete": "The rollout is complete: everybody is offered the release.",
    "webhook-changed": "The webhook is changed.",
    "webhook-enabled": "The webhook is on: what happened meanwhile is sent now, as far as the audit is kept.",
    "webhook-disabled": "The webhook is off. What happens meanwhile is sent when it is on again.",
    "webhook-resumed": "It is tried again now, where it stopped.",
    "webhook-replayed": "Events are sent again from there on.",
    "webhook-deleted": "The webhook is deleted.",
    "deployment-new": "There is something new.",
    "deployment-newest": "This is the newest version.",
    "deployment-update": "The update is on its way.",
    "deployment-rollback": "The rollback is on its way.",
}
