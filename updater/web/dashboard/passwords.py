"""New passwords in forms: typed twice, and never shown again."""

from __future__ import annotations

from updater.errors import Invalid
from updater.web.dashboard.page import Form


def read_new_password(form: Form) -> str:
    """Return the new password of a form, as it was typed. Raises Invalid when `again` is not the same."""
    password = form.values.get("password", "")
    if form.values.get("again", "") != password:
        raise Invalid({"again": "is not the same as the password"})
    return password
