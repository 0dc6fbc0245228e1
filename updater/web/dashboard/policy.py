"""What every page tells the browser: only our own files, no frames, no copies."""

from __future__ import annotations

import html

from aiohttp import web

from updater.web.messages.errors import Answer

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_ERROR_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{status} - updater</title>
<link rel="stylesheet" href="/admin/assets/style.css">
</head>
<body class="narrow">
<main>
<h1>{message}</h1>
<p>Request {request_id}.</p>
<p><a href="/admin/sign-in/">Sign in</a> or go to the <a href="/admin/dashboard/">dashboard</a>.</p>
</main>
</body>
</html>
"""


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
    text = _ERROR_PAGE.format(status=answer.status, message=html.escape(answer.message), request_id=request_id)
    return web.Response(status=answer.status, text=text, content_type="text/html", headers=headers)
