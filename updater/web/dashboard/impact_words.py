"""How many installs an action touches, in sentences. PURE."""

from __future__ import annotations

from updater.rollouts.impact import Action, Impact
from updater.rollouts.words import as_percent
from updater.web.dashboard.templates import counted

_GONE = (Action.WITHDRAW, Action.DELETE)


def impact_in_words(impact: Impact) -> str:
    """Say how many installs an action touches, and which; that there are no figures where there are none."""
    if impact.installs is None:
        return "No figures yet: no install was reported in 30 days, and no client asked in the last day."
    touched, older = counted(impact.installs, "install"), counted(impact.older.installs, "install")
    now = as_percent(impact.percent_now)
    if impact.action in _GONE:
        text = f"Touches {touched} of {impact.version}: they keep it, and are offered nothing until something is newer."
        if impact.percent_now and impact.older.installs:
            text += f" Up to {older} on older versions are offered what is before it; {now} of them were offered this."
        return text
    if impact.action is Action.PROMOTE:
        return f"Touches up to {touched} on older versions, as far as they are on the channel that it moves to."
    if impact.percent_then is None:
        return f"Touches up to {touched} on older versions: which share of them, the plan says. It is {now} now."
    then = as_percent(impact.percent_then)
    if impact.action is Action.PAUSE:
        return f"Touches up to {touched} on older versions: the {now} that are offered it now are not until it resumes."
    return f"Touches up to {touched}: of {older} on older versions, {now} are offered it now and {then} then."
