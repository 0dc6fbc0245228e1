"""Keys, people, sessions, the audit and the settings, as marshmallow schemas: what is taken, and what is answered."""

from __future__ import annotations

from marshmallow import Schema, fields

import updater.web.messages.fields as own
from updater.access.users import MAX_PASSWORD_CHARACTERS, MIN_PASSWORD_CHARACTERS, Role
from updater.web.api.answer_schemas import PageAnswer
from updater.web.api.schemas import PageQuery
from updater.web.messages.schemas import Strict

ROLES = tuple(each.word for each in sorted(Role, reverse=True))


def _password(**kwargs: object) -> fields.String:
    # Whether it fits, the service says; this describes.
    length = {"minLength": MIN_PASSWORD_CHARACTERS, "maxLength": MAX_PASSWORD_CHARACTERS, "format": "password"}
    return fields.String(metadata=length, **kwargs)  # type: ignore[arg-type]


class KeysQuery(PageQuery):
    """Which keys."""

    application = own.ApplicationId()


class KeyItem(Schema):
    """A key, without its text. One of the settings has no id, and cannot be revoked here."""

    id = fields.Integer(required=True, allow_none=True)
    name = fields.String(required=True)
    level = fields.String(required=True)
    application = fields.String(required=True, allow_none=True)
    state = fields.String(required=True, metadata={"enum": ["usable", "expired", "revoked"]})
    source = fields.String(required=True, metadata={"enum": ["database", "settings"]})
    created_at = fields.DateTime(required=True, allow_none=True)
    expires_at = fields.DateTime(required=True, allow_none=True)
    revoked_at = fields.DateTime(required=True, allow_none=True)
    last_used_at = fields.DateTime(required=True, allow_none=True)


class NewKeyAnswer(KeyItem):
    """A new key with its text, which is shown this once."""

    key = fields.String(required=True)


class KeysAnswer(PageAnswer):
    """A page of keys."""

    keys = fields.List(fields.Nested(KeyItem), required=True)


class KeyRevoked(Schema):
    """A key opens nothing any more."""

    id = fields.Integer(required=True)
    message = fields.String(required=True)


class UserBody(Strict):
    """A new person."""

    name = fields.String(required=True)
    role = own.OneOf("role", ROLES, required=True)
    password = _password(required=True)


class UserChanges(Strict):
    """Changes of a person; what is left out stays."""

    role = own.OneOf("role", ROLES)
    disabled = own.StrictBoolean()
    password = _password()


class UserItem(Schema):
    """A person who can sign in, or could."""

    id = fields.Integer(required=True)
    name = fields.String(required=True)
    role = fields.String(required=True, metadata={"enum": list(ROLES)})
    disabled = fields.Boolean(required=True)
    created_at = fields.DateTime(required=True)
    disabled_at = fields.DateTime(required=True, allow_none=True)
    last_sign_in_at = fields.DateTime(required=True, allow_none=True)


class UsersAnswer(PageAnswer):
    """A page of people."""

    users = fields.List(fields.Nested(UserItem), required=True)


class SessionItem(Schema):
    """A session. Its id here is a number that opens nothing."""

    id = fields.String(required=True)
    created_at = fields.DateTime(required=True)
    last_used_at = fields.DateTime(required=True)
    expires_at = fields.DateTime(required=True)
    idle_until = fields.DateTime(required=True, allow_none=True)
    current = fields.Boolean(required=True)


class SessionsAnswer(Schema):
    """The open sessions of a person, the latest opened first."""

    sessions = fields.List(fields.Nested(SessionItem), required=True)


class SessionEnded(Schema):
    """A session is over."""

    id = fields.String(required=True)
    message = fields.String(required=True)


class SessionsEnded(Schema):
    """So many sessions are over."""

    ended = fields.Integer(required=True)


class PasswordBody(Strict):
    """A new password, and the present one."""

    current_password = fields.String(required=True, metadata={"format": "password"})
    password = _password(required=True)


class ActorItem(Schema):
    """Who did it."""

    kind = fields.String(required=True)
    name = fields.String(required=True)


class AuditItem(Schema):
    """A row of the audit."""

    id = fields.Integer(required=True)
    at = fields.DateTime(required=True)
    actor = fields.Nested(ActorItem, required=True)
    action = fields.String(required=True)
    subject = fields.String(required=True)
    application = fields.String(required=True, allow_none=True)
    version = fields.String(required=True, allow_none=True)
    reason = fields.String(required=True, allow_none=True)
    before = fields.Dict(required=True, allow_none=True)
    after = fields.Dict(required=True, allow_none=True)
    hash = fields.String(required=True)


class BreakItem(Schema):
    """Where the chain does not hold."""

    id = fields.Integer(required=True)
    why = fields.String(required=True)


class CheckItem(Schema):
    """What the last verification came to."""

    at = fields.DateTime(required=True)
    by = fields.Nested(ActorItem, required=True)
    first_id = fields.Integer(required=True)
    last_id = fields.Integer(required=True)
    rows = fields.Integer(required=True)
    complete = fields.Boolean(required=True)
    broken = fields.Nested(BreakItem, required=True, allow_none=True)


class ChainAnswer(Schema):
    """Where the chain of rows ends, and how far it was verified."""

    last_id = fields.Integer(required=True)
    last_hash = fields.String(required=True)
    unverified_rows = fields.Integer(required=True)
    verified = fields.Nested(CheckItem, required=True, allow_none=True)


class AuditAnswer(Schema):
    """Rows, newest first; `next_before` asks for the next page, null on the last one."""

    entries = fields.List(fields.Nested(AuditItem), required=True)
    next_before = fields.Integer(required=True, allow_none=True)
    has_more = fields.Boolean(required=True)
    chain = fields.Nested(ChainAnswer, required=True)


class VerifyBody(Strict):
    """How long the chain may be followed; the next verification goes on where this one stops."""

    within_s = own.StrictInteger(1, 30, load_default=10)


class SettingsAnswer(Schema):
    """The settings in effect; what is secret is `***`."""

    settings = fields.Dict(required=True)
