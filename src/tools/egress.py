"""The only way out for tools: HTTP to hosts that were allowed by name, for one call, never retried.

An effect that may have happened must never be taken for one that did not. So a client remembers whether any of its
requests can have reached the other side: `EgressClient.maybe_sent`.
"""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal, Self

import aiohttp
from yarl import URL

from core import Json, canonical
from core.errors import Conflict, Defect, Forbidden, TooLarge, Unavailable
from core.errors import Timeout as TimedOut
from tools.caller import Caller

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]

MAX_RESPONSE_BYTES = 256 * 1024
_PLAIN_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]*)+")
_STRANGER = {"accept": "text/html, text/plain", "accept-encoding": "identity"}
_CONNECT_SECONDS = 5.0
_IDLE_SECONDS = 2.0
"""Shorter than servers keep a connection: one closed under a write would leave its outcome unknown for nothing."""


@dataclass(frozen=True, slots=True)
class Origin:
    """A place that tools may call. `scope` is of the token that goes there, and nowhere else; empty: none."""

    scheme: str
    host: str
    port: int
    scope: str = ""

    @classmethod
    def parse(cls, url: str, *, scope: str = "") -> Self:
        """Read `https://host[:port]`.

        Raises:
            Defect: it is not that, so that a slip in configuration is found at start.
        """
        parsed = _parsed(url)
        if parsed is None or parsed.host is None or parsed.port is None:
            raise Defect("An allowed address must be http or https with a host.", code="defect.egress")
        return cls(scheme=parsed.scheme, host=parsed.host, port=parsed.port, scope=scope)


@dataclass(frozen=True, slots=True)
class EgressResponse:
    status: int
    body: bytes


def open_session(*, connector: aiohttp.BaseConnector | None = None) -> aiohttp.ClientSession:
    """Return a session as `Egress` needs it: no cookies, short-lived idle connections. The caller closes it."""
    connector = connector or aiohttp.TCPConnector(keepalive_timeout=_IDLE_SECONDS)
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())


class Egress:
    """Where tools may call, and how: one for the process.

    Args:
        session: from `open_session`; one that kept cookies would carry one tenant's into another's request.
        allowed: the origins; anything else is refused.
        tokens: returns a bearer token for a scope.
        pages: addresses under which anybody may read, such as `https://status.example/`; each ends with a slash.
        seconds: bound of one request.

    Raises:
        Defect: `session` keeps cookies, or an address in `pages` is none.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        allowed: Iterable[Origin],
        tokens: Callable[[str], Awaitable[str]],
        *,
        pages: Iterable[str] = (),
        seconds: float = 30.0,
    ) -> None:
        if not isinstance(session.cookie_jar, aiohttp.DummyCookieJar):
            raise Defect("The session of tools must not keep cookies.", code="defect.egress")
        self.session = session
        self._origins = {(origin.scheme, origin.host, origin.port): origin for origin in allowed}
        self._tokens = tokens
        self._pages = [_page_base(page) for page in pages]
        self.timeout = aiohttp.ClientTimeout(total=seconds, connect=min(_CONNECT_SECONDS, seconds))

    def client(self, caller: Caller) -> "EgressClient":
        return EgressClient(self, caller)

    def origin(self, url: URL) -> Origin:
        """Return the allowed origin of `url`, compared as written: no name is looked up, no number understood.

        Raises:
            Forbidden: code `egress.host`.
        """
        origin = self._origins.get((url.scheme, url.host or "", url.port or 0))
        if origin is None or url.user is not None or url.password is not None:
            raise Forbidden("A tool tried to reach an address that is not allowed.", code="egress.host")
        return origin

    def page(self, url: URL) -> URL:
        """Return `url` if anybody may read there: compared as written, without query, escapes or ways back up.

        Raises:
            Forbidden: code `egress.host`.
        """
        plain = url == url.with_query(None).with_fragment(None).with_user(None) and _PLAIN_PATH.fullmatch(url.raw_path)
        under = any(url.origin() == base.origin() and url.raw_path.startswith(base.raw_path) for base in self._pages)
        if not plain or not under or ".." in url.raw_path:
            raise Forbidden("A tool tried to read an address that is not allowed.", code="egress.host")
        return url

    async def headers(self, origin: Origin, caller: Caller) -> dict[str, str]:
        headers = {
            "accept": "application/json",
            "accept-encoding": "identity",
            "x-mandate-tenant": caller.tenant,
            "x-mandate-run": caller.run,
            "x-correlation-id": caller.correlation,
            "idempotency-key": caller.idempotency_key,
        }
        if origin.scope:
            headers["authorization"] = f"Bearer {await self._tokens(origin.scope)}"
        return headers


class EgressClient:
    """HTTP for one tool call.

    Attributes:
        maybe_sent: a request was made that may have reached the other side.
    """

    def __init__(self, egress: Egress, caller: Caller) -> None:
        self._egress = egress
        self._caller = caller
        self.maybe_sent = False

    # mandate: allow[effect-permit] - the executor, which has spent the permit, makes one for each call
    async def request(self, method: Method, url: str, *, body: Json = None) -> EgressResponse:
        """Make one request, once, and return the answer, whatever its status below 300 or from 400 on.

        Raises:
            Conflict: another process may have taken the run over; not sent (`run.lease`).
            Forbidden: the address is not allowed (`egress.host`), or the answer points elsewhere (`egress.redirect`).
            Unavailable: certainly not sent (`egress.unreachable`), or perhaps (`egress.no_answer`).
            TooLarge: the answer is larger than 256 kB (`egress.size`).
            Timeout: no answer in time (`egress.timeout`).
        """
        target = _address(url)
        headers = await self._egress.headers(self._egress.origin(target), self._caller)
        data = None if body is None else canonical(body)
        if data is not None:
            headers["content-type"] = "application/json"
        return await self._send(method, target, headers, data)

    # mandate: allow[effect-permit] - as above
    async def read_page(self, url: str) -> EgressResponse:
        """Get a page that anybody may read, as a stranger would: told nothing of who asks. Raises as `request` does."""
        return await self._send("GET", self._egress.page(_address(url)), dict(_STRANGER), None)

    async def _send(self, method: Method, target: URL, headers: dict[str, str], data: bytes | None) -> EgressResponse:
        if not self._caller.held():
            raise Conflict("This process lost its hold on the run before the tool was called.", code="run.lease")
        async with (
            self._named_failures(),
            self._egress.session.request(
                method,
                target,
                data=data,
                headers=headers,
                timeout=self._egress.timeout,
                allow_redirects=False,
                middlewares=(_never_again,),
            ) as response,
        ):
            if HTTPStatus.MULTIPLE_CHOICES <= response.status < HTTPStatus.BAD_REQUEST:
                raise Forbidden("A tool's service pointed to another address.", code="egress.redirect")
            return EgressResponse(response.status, await _limited(response))

    @asynccontextmanager
    async def _named_failures(self) -> AsyncGenerator[None]:
        sent_before, self.maybe_sent = self.maybe_sent, True
        try:
            yield
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL):
            self.maybe_sent = sent_before
            raise Unavailable("A tool's service cannot be reached.", code="egress.unreachable") from None
        except TimeoutError:
            raise TimedOut("A tool's service did not answer in time.", code="egress.timeout") from None
        except (aiohttp.ClientError, _NoAnswer):
            raise Unavailable("A tool's service broke off without an answer.", code="egress.no_answer") from None


class _NoAnswer(Exception):
    """The connection was lost after it was made."""


async def _never_again(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Hide lost connections from aiohttp, which would send a DELETE, a PUT or a GET a second time by itself."""
    try:
        return await handler(request)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        raise
    except TimeoutError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _NoAnswer from error


def _page_base(page: str) -> URL:
    parsed = _parsed(page)
    if parsed is None or not parsed.raw_path.endswith("/"):
        raise Defect("An address of pages must be http or https, and end with a slash.", code="defect.egress")
    return parsed


def _address(url: str) -> URL:
    parsed = _parsed(url)
    if parsed is None:
        raise Forbidden("A tool tried to reach an address that is not allowed.", code="egress.host")
    return parsed


def _parsed(url: str) -> URL | None:
    try:
        parsed = URL(url)
    except ValueError:
        return None
    return parsed if parsed.scheme in ("http", "https") and parsed.host else None


async def _limited(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(16 * 1024):
        body += chunk
        if len(body) > MAX_RESPONSE_BYTES:
            raise TooLarge("A tool's service answered with too much.", code="egress.size")
    return bytes(body)
