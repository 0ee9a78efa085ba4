"""A browser without a screen: keeps cookies, follows redirects, remembers every address it was at."""

import re
from dataclasses import dataclass, field
from html import unescape
from http import HTTPStatus
from urllib.parse import urljoin

import aiohttp

from mandate.demo.report import expect

_CSRF = re.compile(r'name="csrf" value="([^"]+)"')
_MOST_REDIRECTS = 10


@dataclass(slots=True)
class Browser:
    """One person's. `visited` are the addresses at which a page was shown, as a history has them."""

    session: aiohttp.ClientSession
    url: str
    cookies: dict[str, str] = field(default_factory=dict[str, str])
    visited: list[str] = field(default_factory=list[str])
    page: str = ""

    async def open(self, url: str) -> int:
        return await self._go("GET", url, None)

    async def submit(self, url: str, **fields: str) -> int:
        """Send the page's form, with the token that it holds."""
        found = _CSRF.search(self.page)
        csrf = {"csrf": unescape(found[1])} if found else {}
        return await self._go("POST", url, {**csrf, **fields})

    @property
    def at(self) -> str:
        return self.visited[-1]

    async def _go(self, method: str, url: str, form: dict[str, str] | None) -> int:
        for _ in range(_MOST_REDIRECTS):
            headers = {"Accept": "text/html", "Origin": self.url} if form is not None else {"Accept": "text/html"}
            if self.cookies:
                headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
            async with self.session.request(method, url, data=form, headers=headers, allow_redirects=False) as response:
                self.cookies |= {name: morsel.value for name, morsel in response.cookies.items()}
                location = response.headers.get("Location")
                if response.status not in (HTTPStatus.FOUND, HTTPStatus.SEE_OTHER) or location is None:
                    self.page = await response.text()
                    self.visited.append(url)
                    return response.status
            method, url, form = "GET", urljoin(url, location), None
        expect(holds=False, seen="it was sent from one address to another without end")
        return 0
