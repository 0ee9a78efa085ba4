"""A refusal as a person sees it: the problem document of any route, drawn as a page for a browser that shows pages."""

from http import HTTPStatus

from fastapi import FastAPI, Request
from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response
from starlette.types import Scope

from interaction.console.rendering import Page
from interaction.console.return_to import path_of, sign_in_address
from interaction.dependencies import InteractionDependencies
from web import SAFE_METHODS, Problem, Reshaped

_API = ("/v1/", "/openai/")
_SIGN_IN_AGAIN = ("identity.missing", "identity.session")
_SEE_OTHER = 303


def install_error_pages(app: FastAPI, deps: InteractionDependencies) -> None:
    """Show refusals as pages. Programs get the problem document as it is: they ask the API, or do not accept HTML."""

    async def as_page(request: Request, problem: Problem, head: Headers) -> Response:
        response = await _page(request, problem, deps)
        for name in ("retry-after", "allow", "x-correlation-id"):
            if value := head.get(name):
                response.headers[name] = value
        for cookie in head.getlist("set-cookie"):
            response.headers.append("set-cookie", cookie)
        return response

    app.add_middleware(Reshaped, applies=_shows_pages, reshape=as_page)


async def _page(request: Request, problem: Problem, deps: InteractionDependencies) -> Response:
    if problem.status == HTTPStatus.UNAUTHORIZED and problem.code in _SIGN_IN_AGAIN:
        return RedirectResponse(sign_in_address(deps.public_url, _back_to(request, deps)), _SEE_OTHER)
    return await Page(request, deps).show("error.html", problem.status, problem=problem)


def _back_to(request: Request, deps: InteractionDependencies) -> str:
    if request.method not in SAFE_METHODS:
        return path_of(request.headers.get("referer", ""), deps.public_url)
    return f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path


def _shows_pages(scope: Scope) -> bool:
    return "text/html" in Headers(scope=scope).get("accept", "") and not str(scope["path"]).startswith(_API)
