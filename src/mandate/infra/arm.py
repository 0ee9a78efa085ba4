"""Azure Resource Manager over its REST API, as whoever is signed in: by `az login`, `azd auth login`, or a workflow."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import cast

import aiohttp

from core.errors import BadRequest, Forbidden, NotFound, Unavailable
from core.errors import Timeout as TimedOut
from mandate.infra.documents import Json, Object, entries, text
from web import AzureServiceTokens

PUBLIC = "https://management.azure.com"
SECONDS = 60.0
LONGEST = 900.0
"""Seconds that an operation may take which is answered later."""

_MOST_PAGES = 100
_PAUSE_SECONDS = 5.0

Token = Callable[[str], Awaitable[str]]


class Refused(BadRequest):
    """Resource Manager says no to what was asked; `error` is what it says, with its details."""

    def __init__(self, error: Object) -> None:
        super().__init__(text(error, "message") or "Azure refuses without saying why.", code="arm.refused")
        self.error = error


class Arm:
    """One subscription.

    Args:
        session: the caller's to close.
        token: returns a bearer token for a scope.
        subscription: its id.
        address: of Resource Manager; another one in Azure's other clouds.
        pause: seconds between two looks at an operation that is under way, where Azure does not say.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        token: Token,
        subscription: str,
        *,
        address: str = PUBLIC,
        pause: float = _PAUSE_SECONDS,
    ) -> None:
        self._session = session
        self._token = token
        self._address = address.rstrip("/")
        self.pause = pause
        self.subscription = f"/subscriptions/{subscription}"

    async def get(self, path: str, version: str) -> Object:
        """Return what is at a path.

        Raises:
            NotFound, Forbidden, Unavailable, Timeout, Refused: as Azure answers.
        """
        return await self._answer("GET", self._url(path, version))

    async def all(self, path: str, version: str) -> list[Json]:
        """Return every page of a list."""
        found: list[Json] = []
        url = self._url(path, version)
        for _ in range(_MOST_PAGES):
            page = await self._answer("GET", url)
            found += entries(page, "value")
            url = text(page, "nextLink")
            if not url.startswith(f"{self._address}/"):
                break
        return found

    async def put(self, path: str, version: str, body: Object) -> Object:
        return await self._answer("PUT", self._url(path, version), body)

    async def post(self, path: str, version: str, body: Object) -> Object:
        """Ask for something that may be answered later, and wait for it."""
        async with asyncio.timeout(LONGEST):
            return await self._answer("POST", self._url(path, version), body)

    def _url(self, path: str, version: str) -> str:
        return f"{self._address}{path}?api-version={version}"

    async def _answer(self, method: str, url: str, body: Object | None = None) -> Object:
        status, later, wait, found = await self._exchange(method, url, body)
        while status == HTTPStatus.ACCEPTED and later.startswith(f"{self._address}/"):
            await asyncio.sleep(wait)
            status, again, wait, found = await self._exchange("GET", later, None)
            later = again or later
        return found

    async def _exchange(self, method: str, url: str, body: Object | None) -> tuple[int, str, float, Object]:
        headers = {"authorization": f"Bearer {await self._token(f'{self._address}/.default')}"}
        timeout = aiohttp.ClientTimeout(total=SECONDS)
        try:
            async with self._session.request(
                method, url, json=body, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                found = await _object(response)
                _raise_for(response.status, found)
                wait = response.headers.get("retry-after", "")
                seconds = float(wait) if wait.isdecimal() else self.pause
                return response.status, response.headers.get("location", ""), seconds, found
        except TimeoutError:
            raise TimedOut("Azure did not answer in time. Try again.", code="arm.timeout") from None
        except aiohttp.ClientError:
            raise Unavailable("Azure Resource Manager cannot be reached.", code="arm.unreachable") from None


@asynccontextmanager
async def open_arm(subscription: str, address: str = PUBLIC) -> AsyncGenerator[Arm]:
    """Give Resource Manager for as long as the context lasts, as whoever is signed in on this machine."""
    tokens = AzureServiceTokens(None)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        try:
            yield Arm(session, _signed_in(tokens), subscription, address=address)
        finally:
            await tokens.aclose()


def _signed_in(tokens: AzureServiceTokens) -> Token:
    async def token(scope: str) -> str:
        try:
            return await tokens.token(scope)
        except Unavailable:
            raise Forbidden("Nobody is signed in to Azure here. Run `az login`.", code="arm.forbidden") from None

    return token


async def _object(response: aiohttp.ClientResponse) -> Object:
    if not (await response.read()).strip():
        return {}
    try:
        found = cast("Json", await response.json(content_type=None))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _raise_for(status: int, found: Object) -> None:
    error = cast("Object", found.get("error") or {})
    said = text(error, "message")
    if status == HTTPStatus.NOT_FOUND:
        raise NotFound(said or "There is no such thing in Azure.", code="arm.not_found")
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        raise Forbidden(f"Azure does not let you: {said or 'sign in with `az login`.'}", code="arm.forbidden")
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise Unavailable("Azure Resource Manager cannot answer now. Try again shortly.", code="arm.unavailable")
    if status >= HTTPStatus.MULTIPLE_CHOICES:
        raise Refused(error)
