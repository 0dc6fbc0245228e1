"""Forms of pages as a browser without script sends them, and releases to look at."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from aiohttp import ClientSession

APP = "/admin/applications/my-app/"


class Desk:
    """A signed-in person: pages and forms, by their addresses; redirects are not followed."""

    def __init__(self, url: str, session: ClientSession) -> None:
        self.url = url
        self.session = session

    async def get(self, path: str, *, status: int = 200) -> str:
        async with self.session.get(self.url + path, allow_redirects=False) as answer:
            text = await answer.text()
            assert answer.status == status, (path, answer.status, text[:600])
            if status == 200:
                assert "unsafe" not in answer.headers["Content-Security-Policy"]
            return text

    async def send(self, path: str, *, status: int = 303, **fields: str) -> str:
        """Send the form of a page with what stands in it, changed by `fields`; return where it leads, or the page."""
        page = await self.get(path)
        form = {**inputs_of(page), **{name.replace("__", "."): value for name, value in fields.items()}}
        return await self.post(path, form, status=status)

    async def post(self, path: str, form: dict[str, str], *, status: int = 303) -> str:
        headers = {"Origin": self.url}
        async with self.session.post(self.url + path, data=form, headers=headers, allow_redirects=False) as answer:
            text = await answer.text()
            assert answer.status == status, (path, answer.status, text[:3000])
            return answer.headers["Location"] if status == 303 else text


def inputs_of(page: str) -> dict[str, str]:
    """Return what the fields of a page's posted form hold; boxes that are not ticked are absent."""
    form = next(each for each in re.findall(r"<form method=\"post\"(?! action).*?</form>", page, re.DOTALL))
    values: dict[str, str] = {}
    for tag in re.findall(r"<input[^>]*>", form):
        found = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        if found.get("type") == "checkbox" and not re.search(r"\schecked(?=[\s>])", tag):
            continue
        values[found["name"]] = unescape(found.get("value", ""))
    for name, text in re.findall(r'<textarea id="[^"]*" name="([^"]*)"[^>]*>(.*?)</textarea>', form, re.DOTALL):
        values[name] = unescape(text)
    for name, options in re.findall(r'<select id="[^"]*" name="([^"]*)"[^>]*>(.*?)</select>', form, re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', options) or re.search(r'value="([^"]*)"', options)
        values[name] = unescape(chosen[1]) if chosen else ""
    return values


async def open_shop(service: Any, **more: Any) -> None:
    """Make `my-app` with channels."""
    await service.application(channels=["stable", "beta"], **more)
