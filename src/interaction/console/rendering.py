"""Drawing a page: the template, what every page needs besides its own values, and the headers that protect it."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, cast

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from control import Notice, Session, current_notices
from core import PUBLISHER, Role, TenantContext
from core.errors import Defect
from interaction.console import assets, formats
from interaction.console.markdown import render_markdown
from interaction.console.navigation import counts, entries
from interaction.console.texts import known, t
from interaction.cookies import THEME_COOKIE
from interaction.dependencies import InteractionDependencies, dependencies_of
from web import VerifiedToken

HEADERS = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            "connect-src 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types mandate",
        )
    ),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    # Not `no-referrer`: then browsers would name no origin with a form, and we could not check it.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cache-Control": "no-store",
}
"""What browsers are told about every page. No page has a script, a style or a handler inside it."""

THEMES = ("light", "dark")


class Page:
    """Dependency: draws pages for whoever asked."""

    def __init__(self, request: Request, deps: InteractionDependencies) -> None:
        self._request = request
        self._deps = deps

    def leave(self) -> None:
        """Show the page to nobody in particular: who asked is signed out by then."""
        self._request.state.context = self._request.state.token = self._request.state.session = None

    async def show(self, template: str, status: int = 200, **values: object) -> HTMLResponse:
        """Return a page. `values` are the template's own; see `shared` for what it has besides.

        Raises:
            Defect: a name of the template's own is taken already.
        """
        shared = await self.shared()
        if taken := shared.keys() & values.keys():
            raise Defect(f"Every page has these names already: {', '.join(sorted(taken))}.", code="defect.page")
        html = environment().get_template(template).render({**shared, **values})
        return HTMLResponse(html, status, headers=HEADERS)

    async def shared(self) -> dict[str, object]:
        """Return what every template has.

        `me` is None on a page for somebody who is not signed in. `person` is the name that their token says now.
        """
        state, deps = self._request.state, self._deps
        me = cast("TenantContext | None", getattr(state, "context", None))
        token = cast("VerifiedToken | None", getattr(state, "token", None))
        session = cast("Session | None", getattr(state, "session", None))
        theme = self._request.cookies.get(THEME_COOKIE, "")
        return {
            "me": me,
            "person": token.name if token else "",
            "organisation": await _organisation(me, deps),
            "is_staff": bool(me and me.tenant == PUBLISHER),
            "from_publisher": await _from_publisher(me, deps),
            "menu": entries(me) if me else [],
            "waiting": await counts(me, deps) if me else {},
            "path": self._request.url.path,
            "csrf": session.csrf if session else "",
            "theme": theme if theme in THEMES else "",
            "reader": formats.reader_of(self._request, deps.clock.now(), deps.currency),
            "environment": deps.environment,
        }


async def _organisation(me: TenantContext | None, deps: InteractionDependencies) -> str:
    if me is None:
        return ""
    return t("publisher.place") if me.tenant == PUBLISHER else (await deps.directory.tenant(me.tenant)).name


async def _from_publisher(me: TenantContext | None, deps: InteractionDependencies) -> Sequence[Notice]:
    """Return what the publisher tells whoever answers for the tenant."""
    if me is None or me.tenant == PUBLISHER or not me.has(Role.OWNER, Role.ADMIN):
        return ()
    return await current_notices(deps.store.tenant(me), deps.clock.now())


async def _page(request: Request) -> Page:
    return Page(request, await dependencies_of(request))


PageView = Annotated[Page, Depends(_page)]


@cache
def environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # jinja2's own types of these two are those of what it puts in itself.
    filters: dict[str, object] = vars(made)["filters"]
    names: dict[str, object] = vars(made)["globals"]
    filters.update({**formats.FILTERS, "markdown": render_markdown})
    names.update({"t": t, "known": known, "asset": assets.address})
    return made
