"""`/{tid}/oauth2/v2.0/authorize` and `logout`: what happens in the browser."""

import hmac
import secrets
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from emulators.identity.issuing import SignedIn
from emulators.identity.oauth import OAuthError, SignInRequest, form_values, single_values
from emulators.identity.pages import choose_person, say
from emulators.identity.provider import Provider

_CSRF_COOKIE = "identity_csrf"
_FOUND = 302
_SEE_OTHER = 303


def sign_in_routes(provider: Provider) -> APIRouter:
    """Return the routes. The form on the page has two fields, `csrf` and `username`, and posts to its own address."""
    router = APIRouter(tags=["sign-in"], default_response_class=Response)

    @router.get("/{tid}/oauth2/v2.0/authorize")
    async def authorize(request: Request, tid: str) -> Response:
        """Show whom one can sign in as."""
        return await _answer(request, provider, tid)

    @router.post("/{tid}/oauth2/v2.0/authorize")
    async def choose(request: Request, tid: str) -> Response:
        """Sign in as the chosen person and go back to the client with a code."""
        return await _answer(request, provider, tid)

    @router.get("/{tid}/oauth2/v2.0/logout")
    async def logout(request: Request, tid: str) -> Response:
        """Go back to the client; there is no session here to end."""
        provider.directory.tenants(tid)
        target = request.query_params.get("post_logout_redirect_uri", "")
        if not any(client.allows(target) for client in provider.clients.values()):
            return say("Signed out", "You can close this window.")
        state = request.query_params.get("state", "")
        return RedirectResponse(_asked({"state": state}, "", target).back() if state else target, _FOUND)

    return router


async def _answer(request: Request, provider: Provider, tid: str) -> Response:
    try:
        parameters = single_values(request.query_params.multi_items())
        client, redirect_uri = provider.client(parameters)
        tenants = provider.directory.tenants(tid)
    except OAuthError as error:
        return say("This sign-in cannot begin", error.description, error.status)
    asked = _asked(parameters, client.name, redirect_uri)
    try:
        provider.check(asked, parameters)
    except OAuthError as error:
        return RedirectResponse(asked.back(error=error.error, error_description=error.description), _FOUND)
    if request.method == "POST":
        return await _signed_in(request, provider, tid, asked)
    csrf = request.cookies.get(_CSRF_COOKIE) or secrets.token_urlsafe(32)
    page = choose_person(asked, tenants, csrf)
    base = urlsplit(provider.base)
    secure = base.scheme == "https"
    page.set_cookie(_CSRF_COOKIE, csrf, path=base.path or "/", httponly=True, samesite="lax", secure=secure)
    return page


async def _signed_in(request: Request, provider: Provider, tid: str, asked: SignInRequest) -> Response:
    try:
        form = await form_values(request)
    except OAuthError as error:
        return say("This sign-in cannot go on", error.description, error.status)
    cookie = request.cookies.get(_CSRF_COOKIE, "")
    if not cookie or not hmac.compare_digest(cookie.encode(), form.get("csrf", "").encode()):
        return say("This sign-in cannot go on", "The form was not opened in this browser. Go back and try again.", 400)
    found = provider.directory.person(tid, form.get("username", ""))
    if found is None:
        return say("This sign-in cannot go on", "There is nobody of that name here. Go back and choose again.", 400)
    tenant, user = found
    person = SignedIn(tenant, user, asked.client_id, asked.scope, asked.nonce)
    code = provider.grants.code(person, redirect_uri=asked.redirect_uri, challenge=asked.challenge)
    return RedirectResponse(asked.back(code=code), _SEE_OTHER)


def _asked(parameters: dict[str, str], client_name: str, redirect_uri: str) -> SignInRequest:
    return SignInRequest(
        client_id=parameters.get("client_id", ""),
        client_name=client_name,
        redirect_uri=redirect_uri,
        state=parameters.get("state", ""),
        nonce=parameters.get("nonce", ""),
        scope=parameters.get("scope", ""),
        challenge=parameters.get("code_challenge", ""),
        prompt=parameters.get("prompt", ""),
        login_hint=parameters.get("login_hint", ""),
    )
