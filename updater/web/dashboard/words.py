"""What pages say after a form did its work: the code in the address, and its text.

An address carries no text of its own: whoever makes somebody follow a link does not choose what a page says.
"""

from __future__ import annotations

SAID: dict[str, str] = {
    "signed-out": "You are signed out.",
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
    "deployment-new": "There is something new.",
    "deployment-newest": "This is the newest version.",
    "deployment-update": "The update is on its way.",
    "deployment-rollback": "The rollback is on its way.",
}
