"""Signing in and out: the browser goes to the identity provider and comes back with a code; no token reaches it."""

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

import orjson
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from control import NOBODY, contexts, csrf_token
from core.errors import BadRequest, Forbidden, MandateError, NotFound, Unauthenticated
from interaction.console.browsers import browser_of
from interaction.console.rendering import PageView
from interaction.console.return_to import HOME, LANDING, SIGN_IN, is_staffs, own_path
from interaction.cookies import (
    LANDING_COOKIE,
    PURCHASE_COOKIE,
    SESSION_COOKIE,
    SIGN_IN_COOKIE,
    STAFF_COOKIE,
    drop_cookie,
    set_cookie,
)
from interaction.dependencies import Deps, InteractionDependencies
from web import (
    SIGNED_IN,
    SIGNED_OUT,
    Attempt,
    Tokens,
    VerifiedToken,
    check_csrf,
    correlation_of,
    problem_response,
    problem_responses,
)

router = APIRouter(tags=["console"], default_response_class=HTMLResponse)

_SIGNED_IN_REFUSALS = problem_responses(400, 401, 403, 422, 503)
_TEN_MINUTES = 600
_SEE_OTHER = 303
_STATE_SHOWN = 8
_LANDING_TAKES = timedelta(seconds=30)

Code = Annotated[str, Query(pattern=r"^[!-~]{0,4000}$")]
State = Annotated[str, Query(pattern=r"^[A-Za-z0-9_-]{0,100}$")]
ErrorName = Annotated[str, Query(pattern=r"^[A-Za-z0-9_.-]{0,100}$")]


@dataclass(frozen=True, slots=True)
class _Begun:
    """A sign-in that the browser is in the middle of. It keeps this itself: only it could be harmed by changing it."""

    attempt: Attempt
    return_to: str

    @property
    def cookie_name(self) -> str:
        return SIGN_IN_COOKIE + self.attempt.state[:_STATE_SHOWN]

    def cookie(self) -> str:
        attempt = self.attempt
        return urlsafe_b64encode(
            orjson.dumps([attempt.state, attempt.nonce, attempt.verifier, self.return_to])
        ).decode()


@router.get(SIGN_IN, responses={303: {"description": "To the identity provider"}, **problem_responses(422, 503)})
async def sign_in(deps: Deps, return_to: Annotated[str, Query(max_length=2000)] = HOME) -> Response:
    """Begin to sign in; you come back to where you were. Anybody."""
    return await begin_sign_in(deps, own_path(return_to))


async def begin_sign_in(deps: InteractionDependencies, return_to: str) -> Response:
    """Return what sends a browser to sign in, and then to the path `return_to`."""
    begun = _Begun(Attempt(secrets.token_urlsafe(24), secrets.token_urlsafe(24), secrets.token_urlsafe(48)), return_to)
    response = RedirectResponse(await deps.provider.address(begun.attempt), _SEE_OTHER)
    set_cookie(response, begun.cookie_name, begun.cookie(), seconds=_TEN_MINUTES)
    return response


@router.get(
    SIGNED_IN, responses={303: {"description": "To where you were"}, **problem_responses(400, 401, 403, 422, 503)}
)
async def signed_in(
    request: Request, deps: Deps, code: Code = "", state: State = "", error: ErrorName = ""
) -> Response:
    """Finish to sign in: the identity provider sends browsers here. Anybody."""
    begun = _begun(request, state)
    if error or not code:
        raise BadRequest(
            "You did not sign in. Try again, or ask an admin of your organisation.", code="identity.declined"
        )
    tokens = await deps.provider.redeem(code, begun.attempt)
    response = RedirectResponse(begun.return_to, _SEE_OTHER)
    if begun.return_to == LANDING:
        try:
            set_cookie(response, LANDING_COOKIE, await _landing(request, deps, tokens, begun.attempt))
        except (Forbidden, NotFound) as refusal:
            response = await _not_landed(request, deps, refusal)
        drop_cookie(response, PURCHASE_COOKIE)
    elif is_staffs(begun.return_to):
        set_cookie(response, STAFF_COOKIE, await _staff_session(request, deps, tokens, begun.attempt))
    else:
        set_cookie(response, SESSION_COOKIE, await _session(request, deps, tokens, begun.attempt))
    drop_cookie(response, begun.cookie_name)
    return response


@router.post("/sign-out", responses={303: {"description": "To the page that says so"}, **problem_responses(403, 503)})
async def sign_out(request: Request, deps: Deps) -> Response:
    """End this browser's session. Anybody: without a session there is nothing to end."""
    return await _sign_out(request, deps, SESSION_COOKIE)


@router.post(
    "/sign-out/publisher", responses={303: {"description": "To the page that says so"}, **problem_responses(403, 503)}
)
async def sign_out_staff(request: Request, deps: Deps) -> Response:
    """End this browser's session of one of the publisher's people. Anybody, as above."""
    return await _sign_out(request, deps, STAFF_COOKIE)


async def _sign_out(request: Request, deps: InteractionDependencies, name: str) -> Response:
    if cookie := request.cookies.get(name):
        await check_csrf(request, csrf_token(cookie), deps.public_url)
        await deps.sessions.end(cookie)
    response = RedirectResponse(SIGNED_OUT, _SEE_OTHER)
    drop_cookie(response, name)
    return response


@router.get(SIGNED_OUT, responses=problem_responses(503))
async def signed_out(deps: Deps, page: PageView) -> Response:
    """Say that you are signed out, and how to leave the identity provider too. Anybody."""
    return await page.show("signed_out.html", leaving=await deps.provider.leaving(f"{deps.public_url}{SIGNED_OUT}"))


async def _session(request: Request, deps: InteractionDependencies, tokens: Tokens, attempt: Attempt) -> str:
    """Verify what came back and begin a session; nobody goes on with one that they had before.

    Raises:
        Unauthenticated: the tokens prove nothing, or not of the same person.
        Forbidden: the person has no place here.
    """
    token = await _person(deps, tokens, attempt)
    request.state.token = token
    context = await deps.directory.resolve(token, correlation=correlation_of(request.scope))
    return await deps.sessions.begin(
        context,
        tokens,
        browser=browser_of(request.headers.get("user-agent", "")),
        instead_of=request.cookies.get(SESSION_COOKIE, ""),
    )


async def _staff_session(request: Request, deps: InteractionDependencies, tokens: Tokens, attempt: Attempt) -> str:
    """Begin a session of one of the publisher's people.

    Raises:
        Unauthenticated: the tokens prove nothing, or not of the same person.
        Forbidden: it is nobody of theirs, or they have no role.
    """
    token = await _person(deps, tokens, attempt)
    context = await deps.directory.staff(token, deps.publisher, correlation=correlation_of(request.scope))
    return await deps.sessions.begin(
        context,
        tokens,
        browser=browser_of(request.headers.get("user-agent", "")),
        instead_of=request.cookies.get(STAFF_COOKIE, ""),
    )


async def _landing(request: Request, deps: InteractionDependencies, tokens: Tokens, attempt: Attempt) -> str:
    """Exchange what the marketplace sent along for a landing's secret; the person needs no place here yet.

    Raises:
        Unauthenticated: the tokens prove nothing, or not of the same person.
        Forbidden: what was bought is neither for nor by them.
        NotFound: the link has expired.
    """
    token = await _person(deps, tokens, attempt)
    arrival = {
        "token": request.cookies.get(PURCHASE_COOKIE, "-"),
        "tid": token.tenant_id,
        "oid": token.object_id,
        "puid": token.puid,
    }
    answer = await deps.control.call(
        contexts.visitor(correlation_of(request.scope)),
        "POST",
        "/internal/marketplace/landings",
        body=orjson.dumps(arrival),
        deadline=deps.clock.now() + _LANDING_TAKES,
    )
    return orjson.loads(answer)["secret"]


async def _not_landed(request: Request, deps: InteractionDependencies, refusal: MandateError) -> Response:
    """Refuse here, and not by an error: what the marketplace sent along is dropped with the answer."""
    await deps.access.refused(None, refusal.code, f"GET {SIGNED_IN}", NOBODY)
    return problem_response(refusal, correlation_of(request.scope))


async def _person(deps: InteractionDependencies, tokens: Tokens, attempt: Attempt) -> VerifiedToken:
    """Return who signed in: both tokens are verified, and of the same person.

    Raises:
        Unauthenticated: they are not.
    """
    tid, oid = await deps.sign_ins.verify_sign_in(tokens.id_token, attempt.nonce)
    token = await deps.validator.verify(tokens.access_token)
    if (token.tenant_id, token.object_id) != (tid, oid):
        raise Unauthenticated("This answers another sign-in. Sign in again.", code="identity.nonce")
    return token


def _begun(request: Request, state: str) -> _Begun:
    """Return the sign-in that this browser began under `state`.

    Raises:
        BadRequest: there is none, or not any more (`identity.state`).
    """
    raw = request.cookies.get(SIGN_IN_COOKIE + state[:_STATE_SHOWN], "")
    try:
        known, nonce, verifier, return_to = map(str, orjson.loads(urlsafe_b64decode(raw)))
    except ValueError:
        known = nonce = verifier = return_to = ""
    if not known or not hmac.compare_digest(known.encode(), state.encode()):
        raise BadRequest(
            "This sign-in was not begun in this browser, or too long ago. Sign in again.", code="identity.state"
        )
    return _Begun(Attempt(known, nonce, verifier), own_path(return_to))
