"""How schemas treat keys that they do not know."""

from __future__ import annotations

from marshmallow import EXCLUDE, RAISE, Schema


class Strict(Schema):
    """A body in which a misspelt key is an error: what is published must be what was meant."""

    class Meta:
        """Refuse unknown keys."""

        unknown = RAISE


class Lenient(Schema):
    """What installed clients send: unknown keys are ignored, since clients outlive servers."""

    class Meta:
        """Ignore unknown keys."""

        unknown = EXCLUDE


class FromInstaller(Lenient):
    """What an installer tells: also its JSON is read as well as it can be (see `parsing.load_object`)."""
