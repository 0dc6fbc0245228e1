"""What every page tells the browser: only our own files, no frames, no copies."""

from __future__ import annotations

from aiohttp import web

from updater.web.dashboard.templates import environment
from updater.web.messages.errors import Answer

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


# In words for people, where the interfaces' own are for programs.
_WORDS = {404: "There is no such page", 405: "This page cannot be asked in this way"}


def page_headers() -> dict[str, str]:
    """Return the headers of every page and redirect.

    The referrer stays within the site: with none at all, browsers would send `Origin: null` from our own forms.
    """
    return {
        "Content-Security-Policy": _POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cache-Control": "no-store",
    }


def write_page(answer: Answer, request_id: str) -> web.Response:
    """Render a failure as a page without a script, or as a redirect when the answer has a `Location`."""
    headers = {**answer.headers, **page_headers()}
    if "Location" in headers:
        return web.Response(status=answer.status, headers=headers)
    context = {
        "status": answer.status,
        "message": _WORDS.get(answer.status, answer.message),
        "fields": answer.fields or {},
        "retry_after_s": answer.headers.get("Retry-After"),
        "request_id": request_id,
    }
    text = environment().get_template("error.html").render(context)
    return web.Response(status=answer.status, text=text, content_type="text/html", headers=headers)
