"""Signing in without a browser, over exactly the flow that a browser takes."""

import asyncio
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from html import unescape
from urllib.parse import parse_qs, urlsplit

import aiohttp
from pydantic import BaseModel

from core.errors import Unauthenticated, Unavailable
from emulators.identity.oauth import s256
from emulators.identity.token_routes import TokenResponse

_SCOPE = "openid profile offline_access api://mandate/access"
_TIMEOUT_SECONDS = 10.0
_CSRF = re.compile(r'name="csrf" value="([^"]+)"')
_CSRF_COOKIE = "identity_csrf"


class _Endpoints(BaseModel):
    authorization_endpoint: str
    token_endpoint: str


@dataclass(frozen=True, slots=True)
class _Form:
    csrf: str
    cookie: str


async def sign_in(
    session: aiohttp.ClientSession,
    base: str,
    tid: str,
    username: str,
    *,
    client_id: str,
    redirect_uri: str,
    scope: str = _SCOPE,
) -> TokenResponse:
    """Sign in as a person of the emulator: discovery, authorize page, its form, code, token, with PKCE and state.

    Args:
        session: stays the caller's to close.
        base: the provider's public address.
        tid: tenant id, `organizations` or `common`.
        username: whom to choose on the page.
        client_id: of a registered public client.
        redirect_uri: one that it registered; nothing has to listen there.
        scope: what to ask for.

    Raises:
        Unauthenticated: the provider refuses (`identity.sign_in`).
        Unavailable: it does not answer (`dependency.identity`).
    """
    verifier = secrets.token_urlsafe(48)
    asked = {
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "response_type": "code",
        "scope": scope,
        "state": secrets.token_urlsafe(16),
        "nonce": secrets.token_urlsafe(16),
        "code_challenge": s256(verifier),
        "code_challenge_method": "S256",
        "login_hint": username,
    }
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            endpoints = await _discover(session, base, tid)
            code = await _code(session, endpoints.authorization_endpoint, asked, username)
            grant = {"grant_type": "authorization_code", "code": code, "code_verifier": verifier}
            form = {**grant, "client_id": client_id, "redirect_uri": redirect_uri}
            return await _token(session, endpoints.token_endpoint, form)
    except (aiohttp.ClientError, TimeoutError) as error:
        message = "The identity provider does not answer. Is the product running?"
        raise Unavailable(message, code="dependency.identity") from error


async def _discover(session: aiohttp.ClientSession, base: str, tid: str) -> _Endpoints:
    async with session.get(f"{base}/{tid}/v2.0/.well-known/openid-configuration") as response:
        if not response.ok:
            raise _refused("There is no such tenant.")
        return _Endpoints.model_validate_json(await response.read())


async def _code(session: aiohttp.ClientSession, endpoint: str, asked: Mapping[str, str], username: str) -> str:
    form = await _open_form(session, endpoint, asked)
    fields = {"csrf": form.csrf, "username": username}
    cookies = {_CSRF_COOKIE: form.cookie}
    async with session.post(endpoint, params=asked, data=fields, cookies=cookies, allow_redirects=False) as response:
        answer = parse_qs(urlsplit(response.headers.get("Location", "")).query)
    if answer.get("state") != [asked["state"]] or "code" not in answer:
        raise _refused("There is nobody of that name, or the request is not in order.")
    return answer["code"][0]


async def _open_form(session: aiohttp.ClientSession, endpoint: str, asked: Mapping[str, str]) -> _Form:
    async with session.get(endpoint, params=asked, allow_redirects=False) as response:
        field = _CSRF.search(await response.text())
        cookie = response.cookies.get(_CSRF_COOKIE)
    if field is None or cookie is None:
        raise _refused("The client or its redirect URI is not registered.")
    return _Form(csrf=unescape(field[1]), cookie=cookie.value)


async def _token(session: aiohttp.ClientSession, endpoint: str, form: Mapping[str, str]) -> TokenResponse:
    async with session.post(endpoint, data=form) as response:
        if not response.ok:
            raise _refused("The code was not accepted.")
        return TokenResponse.model_validate_json(await response.read())


def _refused(why: str) -> Unauthenticated:
    return Unauthenticated(f"The identity provider refuses the sign-in. {why}", code="identity.sign_in")
