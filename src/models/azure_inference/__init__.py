"""The Azure AI Model Inference API (`/models`), through Microsoft's own `azure-ai-inference`.

Microsoft retired the service's API in 2026; this is for endpoints that still speak it. The SDK's own retries are off:
the router's are the only ones. The SDK is imported at the first call.
"""

import time
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from http import HTTPStatus
from types import TracebackType
from typing import TYPE_CHECKING

import aiohttp

from models.adapters import FILTERED, Bounds, Completion, Embeddings, TokenSource
from models.assembly import Assembly
from models.catalogue import Target
from models.connections import read_to_end
from models.faults import malformed, refused, timed_out, unavailable
from models.messages import ChatRequest
from models.results import TextDelta
from models.vectors import embeddings
from models.wire import chat_body

if TYPE_CHECKING:
    from azure.ai.inference.aio import ChatCompletionsClient, EmbeddingsClient
    from azure.ai.inference.models import AsyncStreamingChatCompletions
    from azure.core.credentials import AccessToken
    from azure.core.exceptions import HttpResponseError
    from azure.core.pipeline import PipelineResponse
    from azure.core.rest import AsyncHttpResponse, HttpRequest

_HEADERS = {"extra-parameters": "pass-through"}
"""`stream_options` is no field of this API: without the header, endpoints refuse what they do not know."""


class AzureInferenceAdapter:
    """Implements `models.Adapter` over one shared session, whose connector holds the TLS context and the pool.

    A session and not a CA path: azure-core would build a TLS context for each request and never reuse a connection.
    """

    def __init__(self, session: aiohttp.ClientSession, tokens: TokenSource) -> None:
        self._session = session
        self._tokens = tokens
        self._chat_clients: dict[tuple[str, str], ChatCompletionsClient] = {}
        self._embed_clients: dict[tuple[str, str], EmbeddingsClient] = {}

    # mandate: allow[effect-permit] - the router spends the permit, and nobody else calls adapters
    async def chat(
        self, target: Target, request: ChatRequest, bounds: Bounds
    ) -> AsyncGenerator[TextDelta | Completion, None]:
        """Yield the text of each update as a delta, then the completion."""
        assembly = Assembly()
        with _told_plainly():
            response = _Response()
            updates = await self._start(target, request, bounds, response)
            if updates is None:
                yield FILTERED
                return
            async with updates:
                async for update in updates:
                    begun = assembly.begun
                    text = assembly.add(update.as_dict())
                    if text or assembly.begun != begun:
                        yield TextDelta(text)
                if response.raw is not None:
                    await read_to_end(response.raw)
        yield assembly.completion()

    # mandate: allow[effect-permit] - the router spends the permit, and nobody else calls adapters
    async def embed(self, target: Target, texts: tuple[str, ...], dimensions: int, bounds: Bounds) -> Embeddings:
        """Embed `texts` in one call."""
        from azure.ai.inference.aio import EmbeddingsClient

        key = target.base_url, target.scope
        if key not in self._embed_clients:
            self._embed_clients[key] = EmbeddingsClient(
                target.base_url,
                _Credential(self._tokens),
                credential_scopes=[target.scope],
                transport=self._transport(),
                retry_total=0,
                permit_redirects=False,
            )
        body = {"model": target.model, "input": texts, "dimensions": dimensions, "encoding_format": "base64"}
        with _told_plainly():
            result = await self._embed_clients[key].embed(
                body, connection_timeout=bounds.connect, read_timeout=bounds.idle
            )
            return embeddings(result.as_dict(), count=len(texts), dimensions=dimensions)

    async def _start(
        self, target: Target, request: ChatRequest, bounds: Bounds, response: "_Response"
    ) -> "AsyncStreamingChatCompletions | None":
        """Return the stream of updates, or None if it was the prompt that a content filter refused."""
        from azure.ai.inference.models import AsyncStreamingChatCompletions
        from azure.core.exceptions import HttpResponseError

        try:
            updates = await self._chat_client(target).complete(
                chat_body(request, model=target.model, output_limit="max_tokens"),
                headers=_HEADERS,
                connection_timeout=bounds.connect,
                read_timeout=bounds.idle,
                raw_response_hook=response.keep,
            )
        except HttpResponseError as error:
            if _is_filter(error):
                return None
            raise
        if not isinstance(updates, AsyncStreamingChatCompletions):
            raise malformed()
        return updates

    def _chat_client(self, target: Target) -> "ChatCompletionsClient":
        from azure.ai.inference.aio import ChatCompletionsClient

        key = target.base_url, target.scope
        if key not in self._chat_clients:
            self._chat_clients[key] = ChatCompletionsClient(
                target.base_url,
                _Credential(self._tokens),
                credential_scopes=[target.scope],
                transport=self._transport(),
                retry_total=0,
                permit_redirects=False,
            )
        return self._chat_clients[key]

    def _transport(self) -> object:
        from azure.core.pipeline.transport import AioHttpTransport

        return AioHttpTransport(session=self._session, session_owner=False)


class _Response:
    """Holds the aiohttp response below the SDK's stream, which stops reading before the body ends."""

    def __init__(self) -> None:
        self.raw: aiohttp.ClientResponse | None = None

    def keep(self, response: "PipelineResponse[HttpRequest, AsyncHttpResponse]") -> None:
        raw = getattr(response.http_response, "internal_response", None)
        self.raw = raw if isinstance(raw, aiohttp.ClientResponse) else None


class _Credential:
    """Our token source as the SDK wants it. A token is said to expire at once: the source does the caching."""

    def __init__(self, tokens: TokenSource) -> None:
        self._tokens = tokens

    async def get_token(self, *scopes: str, **_: object) -> "AccessToken":
        from azure.core.credentials import AccessToken

        return AccessToken(await self._tokens(scopes[0]), int(time.time()))

    async def close(self) -> None:
        """Do nothing: the token source has its own owner."""

    async def __aenter__(self) -> "_Credential":
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        """Do nothing, as `close`."""


@contextmanager
def _told_plainly() -> Generator[None, None, None]:
    """Turn what the SDK raises into our errors, without its text: that holds what the endpoint wrote."""
    from azure.core.exceptions import (
        AzureError,
        HttpResponseError,
        ServiceRequestTimeoutError,
        ServiceResponseTimeoutError,
    )
    from azure.core.rest import AsyncHttpResponse

    try:
        yield
    except HttpResponseError as error:
        if not isinstance(error.response, AsyncHttpResponse) or error.status_code == HTTPStatus.OK:
            raise malformed() from None
        raise refused(error.response.status_code, error.response.headers) from None
    except (ServiceRequestTimeoutError, ServiceResponseTimeoutError, TimeoutError):
        raise timed_out() from None
    except (AzureError, aiohttp.ClientError, OSError):
        raise unavailable() from None
    except (ValueError, TypeError, AttributeError, KeyError):
        # How the SDK fails on what is not in the format.
        raise malformed() from None


def _is_filter(error: "HttpResponseError") -> bool:
    return (
        error.status_code == HTTPStatus.BAD_REQUEST and error.error is not None and error.error.code == "content_filter"
    )
