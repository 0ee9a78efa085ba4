"""What the command line is to the product: one more client of its HTTP API, signed in as a person."""

import io
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus

import aiohttp
import orjson

from core import Json
from core.errors import MandateError
from emulators.identity.client import sign_in
from web import ServerEvent, read_events

CLIENT_ID = "mandate-cli"
REDIRECT_URI = "http://127.0.0.1:8400/callback"
SCOPE = "api://mandate/.default"
SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API said: `body` is JSON, or None where there was none."""

    status: int
    headers: Mapping[str, str]
    body: "dict[str, Json]"


@dataclass(frozen=True, slots=True)
class File:
    """A file to be sent: its name, its media type, its bytes."""

    name: str
    media_type: str
    data: bytes


class ApiError(MandateError):
    """The API refused; what it said is shown as it is."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(str(answer.body.get("detail", "")), code=str(answer.body.get("code", answer.status)))
        self.answer = answer


class Client:
    """A signed-in person's view of the product."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str, username: str) -> None:
        self._session = session
        self.url = url
        self.token = token
        self.username = username

    @classmethod
    async def signed_in(cls, session: aiohttp.ClientSession, url: str, tid: str, username: str) -> "Client":
        """Sign in by the authorization-code flow with PKCE, as a public client does."""
        answer = await sign_in(
            session,
            f"{url}/identity",
            tid,
            username,
            client_id=CLIENT_ID,
            redirect_uri=REDIRECT_URI,
            scope=SCOPE,
        )
        return cls(session, url, answer.access_token, username)

    async def ask(self, method: str, path: str, body: Json = None, **headers: str) -> Answer:
        """Make one request and return the answer, whatever its status.

        Raises:
            aiohttp.ClientError, TimeoutError: there is no answer.
        """
        data = None if body is None else orjson.dumps(body)
        return await self._asked(method, path, data, self._headers(headers, data is not None))

    async def upload(self, path: str, file: File, fields: Mapping[str, str], **headers: str) -> dict[str, Json]:
        """Send a file in a form, and return what the API says of it."""
        form = aiohttp.FormData(dict(fields), quote_fields=False)
        form.add_field("file", io.BytesIO(file.data), filename=file.name, content_type=file.media_type)
        return self._ok(await self._asked("POST", path, form, self._headers(headers, has_body=False))).body

    async def _asked(
        self, method: str, path: str, data: bytes | aiohttp.FormData | None, headers: Mapping[str, str]
    ) -> Answer:
        timeout = aiohttp.ClientTimeout(total=SECONDS)
        async with self._session.request(
            method, f"{self.url}{path}", data=data, headers=headers, timeout=timeout
        ) as response:
            raw = await response.read()
            return Answer(response.status, response.headers, orjson.loads(raw) if raw else {})

    async def get(self, path: str) -> dict[str, Json]:
        return self._ok(await self.ask("GET", path)).body

    async def post(self, path: str, body: Json = None, **headers: str) -> dict[str, Json]:
        return self._ok(await self.ask("POST", path, body, **headers)).body

    async def put(self, path: str, body: Json, **headers: str) -> dict[str, Json]:
        return self._ok(await self.ask("PUT", path, body, **headers)).body

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, body: Json = None, **headers: str
    ) -> AsyncGenerator[AsyncIterator[ServerEvent]]:
        """Give the server-sent events of a request as they come."""
        data = None if body is None else orjson.dumps(body)
        sent = self._headers({"Accept": "text/event-stream", **headers}, data is not None)
        timeout = aiohttp.ClientTimeout(total=None, sock_read=SECONDS)
        async with self._session.request(
            method, f"{self.url}{path}", data=data, headers=sent, timeout=timeout
        ) as response:
            if response.status >= HTTPStatus.BAD_REQUEST:
                raise ApiError(Answer(response.status, response.headers, orjson.loads(await response.read())))
            yield read_events(response.content.iter_any())

    def _headers(self, more: Mapping[str, str], has_body: bool) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {self.token}", **{k.replace("_", "-"): v for k, v in more.items()}}
        return headers | ({"Content-Type": "application/json"} if has_body else {})

    def _ok(self, answer: Answer) -> Answer:
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise ApiError(answer)
        return answer
