"""The OpenAI v1 wire format: Azure AI Foundry (`/openai/v1`), Foundry Local, Ollama, llama.cpp.

A thin client on aiohttp. The vendor's SDK costs about 5 ms of CPU a call, most of what a governed turn may cost.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus

import aiohttp
import orjson
from yarl import URL

from core.errors import Unavailable
from models.adapters import FILTERED, Bounds, Completion, Embeddings, TokenSource
from models.assembly import Assembly
from models.catalogue import Target
from models.connections import read_to_end
from models.faults import malformed, refused, timed_out, unavailable
from models.messages import ChatRequest
from models.openai.events import Events
from models.results import TextDelta
from models.vectors import embeddings
from models.wire import Wire, chat_body

_MAX_BODY_BYTES = 64_000_000
_MAX_ERROR_BYTES = 64_000


class OpenAIAdapter:
    """Implements `models.Adapter` over one shared session, whose connector holds the TLS context and the pool."""

    def __init__(self, session: aiohttp.ClientSession, tokens: TokenSource) -> None:
        self._session = session
        self._tokens = tokens
        self._urls: dict[tuple[str, str], URL] = {}

    # mandate: allow[effect-permit] - the router spends the permit, and nobody else calls adapters
    async def chat(
        self, target: Target, request: ChatRequest, bounds: Bounds
    ) -> AsyncGenerator[TextDelta | Completion, None]:
        """Yield each network chunk's text as one delta, then the completion."""
        body = chat_body(request, model=target.model, output_limit=target.output_limit)
        async with self._post(target, "/chat/completions", body, bounds) as response:
            if response.status != HTTPStatus.OK:
                yield await _refused(response)
                return
            assembly, events = Assembly(), Events()
            async for chunk in response.content.iter_any():
                begun = assembly.begun
                text = "".join([assembly.add(_json(data)) for data in events.feed(chunk)])
                if text or assembly.begun != begun:
                    yield TextDelta(text)
                if events.done:
                    break
            completion = assembly.completion()
            await read_to_end(response)
        yield completion

    # mandate: allow[effect-permit] - the router spends the permit, and nobody else calls adapters
    async def embed(self, target: Target, texts: tuple[str, ...], dimensions: int, bounds: Bounds) -> Embeddings:
        """Embed `texts` in one call; asks for base64, which is a quarter of the bytes, and takes floats too."""
        body = {"model": target.model, "input": texts, "dimensions": dimensions, "encoding_format": "base64"}
        async with self._post(target, "/embeddings", body, bounds) as response:
            if response.status != HTTPStatus.OK:
                raise refused(response.status, response.headers)
            data = await _read(response, _MAX_BODY_BYTES)
        return embeddings(_json(data), count=len(texts), dimensions=dimensions)

    @asynccontextmanager
    async def _post(
        self, target: Target, route: str, body: Mapping[str, object], bounds: Bounds
    ) -> AsyncGenerator[aiohttp.ClientResponse, None]:
        headers = {"Content-Type": "application/json"}
        if target.auth == "entra":
            headers["Authorization"] = f"Bearer {await self._tokens(target.scope)}"
        timeout = aiohttp.ClientTimeout(total=None, connect=bounds.connect, sock_read=bounds.idle)
        url = self._url(target, route)
        try:
            # A redirect would carry the token elsewhere.
            async with self._session.post(
                url, data=orjson.dumps(body), headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                yield response
        except TimeoutError as error:
            raise timed_out() from error
        except (aiohttp.ClientError, OSError) as error:
            raise unavailable() from error

    def _url(self, target: Target, route: str) -> URL:
        key = target.base_url, route
        return self._urls.get(key) or self._urls.setdefault(key, URL(target.base_url + route))


async def _refused(response: aiohttp.ClientResponse) -> Completion:
    """Return the empty answer if it was the prompt that a content filter refused; raise for all else."""
    error = refused(response.status, response.headers)
    if response.status == HTTPStatus.BAD_REQUEST:
        with suppress(Unavailable):
            body = _json(await _read(response, _MAX_ERROR_BYTES))
            cause = body.get("error") if isinstance(body, dict) else None
            if isinstance(cause, dict) and cause.get("code") == "content_filter":
                return FILTERED
    raise error


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    parts: list[bytes] = []
    async for chunk in response.content.iter_any():
        parts.append(chunk)
        limit -= len(chunk)
        if limit < 0:
            raise malformed()
    return b"".join(parts)


def _json(data: bytes) -> Wire:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise malformed() from error
