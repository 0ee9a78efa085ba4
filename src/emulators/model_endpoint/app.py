"""The server: routes, authorisation, faults, counts."""

import asyncio
import base64
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Literal

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from core.errors import BadRequest, MandateError, RateLimited, Timeout, TooLarge, Unauthenticated
from emulators.model_endpoint.completion import Completion, tokens
from emulators.model_endpoint.conversation import Conversation
from emulators.model_endpoint.embedder import DIMENSIONS, E5Embedder, Embedder
from emulators.model_endpoint.faults import Fault, Faults
from emulators.model_endpoint.hostile import hostile_reply, malformed_reply
from emulators.model_endpoint.responses import PiecewiseResponse, json_response
from emulators.model_endpoint.stand_in import Reply, reply
from emulators.model_endpoint.wire import CHAT_MODELS, EMBEDDING_MODEL, Body, EmbeddingRequest, Wire, parse
from emulators.model_endpoint.wire_inference import API_VERSION, INFERENCE
from emulators.model_endpoint.wire_openai import OPENAI

Authorize = Callable[[str], Awaitable[None]]

_LARGEST_BODY = 8 * 1024 * 1024
_PROVIDER = "Mandate stand-in (no language model)"
_READ_TIMEOUT = 30.0


class _FaultBody(Body):
    fault: str


class _Injected(MandateError):
    """A failure that was ordered."""

    def __init__(self, status: int) -> None:
        super().__init__("This failure was ordered by the fault that is in force.", code=f"injected_{status}")
        self.injected = status


@dataclass(slots=True)
class _Endpoint:
    """The state of one server."""

    authorize: Authorize
    embedder: Embedder
    deployments: Mapping[str, str] = field(default_factory=dict[str, str])
    faults: Faults = field(default_factory=Faults)
    counts: Counter[str] = field(default_factory=Counter[str])

    def route(self, path: str, work: Callable[[Request], Awaitable[Response]], wire: Wire, method: str) -> Route:
        """Return a route that counts, checks the token, and turns errors into the shape of `wire`."""

        async def endpoint(request: Request) -> Response:
            self.counts[f"{method} {path}"] += 1
            try:
                await self.authorize(_bearer(request))
                if wire is INFERENCE and request.query_params.get("api-version") != API_VERSION:
                    raise BadRequest(f"The query parameter api-version must be {API_VERSION}.")
                return await work(request)
            except MandateError as error:
                status = error.injected if isinstance(error, _Injected) else int(error.status)
                return json_response(wire.error(error), status, _error_headers(error))

        return Route(path, endpoint, methods=[method])

    async def chat(self, request: Request, wire: Wire) -> Response:
        body, fault = await self._begin(request, "chat")
        asked = wire.chat(body, request.headers)
        answer = _reply_of(fault)(asked.conversation)
        completion = Completion(asked, answer, wire.marks)
        if asked.stream:
            return PiecewiseResponse(completion.pieces(), fault, media_type="text/event-stream; charset=utf-8")
        return _whole(completion.whole(), fault)

    async def embeddings(self, request: Request, wire: Wire) -> Response:
        body, fault = await self._begin(request, "embeddings")
        asked = wire.embeddings(body, request.headers)
        vectors = await _embed(self.embedder, asked)
        data = [
            {"object": "embedding", "index": i, "embedding": _encode(v, as_base64=asked.base64)}
            for i, v in enumerate(vectors)
        ]
        read = sum(tokens(text) for text in asked.texts)
        usage = {"prompt_tokens": read, "total_tokens": read}
        document = {"object": "list", "data": data, "model": EMBEDDING_MODEL, "usage": usage}
        return _whole(json_response(document).body, fault)

    async def _begin(self, request: Request, kind: Literal["chat", "embeddings"]) -> tuple[bytes, Fault]:
        """Read the body and let the faults strike that come before the answer."""
        body = self._by_model(await _read(request))
        fault = self.faults.take(request.headers.get("x-mandate-fault", ""), body, kind=kind)
        if fault.stall:
            await asyncio.sleep(fault.stall)
        if fault.retry_after is not None:
            raise RateLimited("Too fast, as ordered by the fault in force.", retry_after=fault.retry_after)
        if fault.status:
            raise _Injected(fault.status)
        return body, fault

    def _by_model(self, body: bytes) -> bytes:
        """Put the model where the request names a deployment of it; what is no JSON is refused later."""
        with suppress(orjson.JSONDecodeError):
            asked: dict[str, object] = orjson.loads(body) if self.deployments else {}
            if model := self.deployments.get(str(asked.get("model"))):
                return orjson.dumps({**asked, "model": model})
        return body

    async def set_faults(self, request: Request) -> Response:
        self.faults.set(parse(_FaultBody, await _read(request)).fault)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def clear_faults(self, _: Request) -> Response:
        self.faults.set("")
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def show_counts(self, _: Request) -> Response:
        return json_response(dict(self.counts))


def create_app(
    *, authorize: Authorize, embedder: Embedder | None = None, deployments: Mapping[str, str] | None = None
) -> Starlette:
    """Return the server of both wire formats.

    Args:
        authorize: called with the bearer token of each request; raises `Unauthenticated` or `Forbidden`.
        embedder: computes vectors; by default multilingual-e5-small without a cache on disk.
        deployments: the model behind each name that it is also known by, as in Azure, where deployments have names.
    """
    state = _Endpoint(authorize, embedder or E5Embedder(), deployments or {})
    routes = [
        Route("/healthz", _healthy, methods=["GET"]),
        state.route("/faults", state.set_faults, OPENAI, "POST"),
        state.route("/faults", state.clear_faults, OPENAI, "DELETE"),
        state.route("/counts", state.show_counts, OPENAI, "GET"),
        state.route("/openai/v1/models", _models, OPENAI, "GET"),
        state.route("/models/info", _info, INFERENCE, "GET"),
    ]
    for root, wire in (("/openai/v1", OPENAI), ("/models", INFERENCE)):
        routes += [
            state.route(f"{root}/chat/completions", _bind(state.chat, wire), wire, "POST"),
            state.route(f"{root}/embeddings", _bind(state.embeddings, wire), wire, "POST"),
        ]
    return Starlette(routes=routes, exception_handlers={HTTPException: _no_route})


def _bind(work: Callable[[Request, Wire], Awaitable[Response]], wire: Wire) -> Callable[[Request], Awaitable[Response]]:
    return lambda request: work(request, wire)


async def _healthy(_: Request) -> Response:
    return PlainTextResponse("ok")


async def _models(_: Request) -> Response:
    data = [{"id": n, "object": "model", "created": 0, "owned_by": _PROVIDER} for n in (*CHAT_MODELS, EMBEDDING_MODEL)]
    return json_response({"object": "list", "data": data})


async def _info(_: Request) -> Response:
    return json_response(
        {"model_name": CHAT_MODELS[0], "model_type": "chat_completion", "model_provider_name": _PROVIDER}
    )


async def _no_route(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else HTTPStatus.INTERNAL_SERVER_ERROR
    headers = error.headers if isinstance(error, HTTPException) else None
    known = MandateError(f"There is no {request.method} at this path.", code="not_found")
    return json_response(OPENAI.error(known), status, headers)


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("Send an access token for this endpoint in the header Authorization, as Bearer.")
    return token


async def _read(request: Request) -> bytes:
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(_READ_TIMEOUT):
            async for part in request.stream():
                size += len(part)
                if size > _LARGEST_BODY:
                    raise TooLarge(f"A request may have {_LARGEST_BODY} bytes at most.")
                parts.append(part)
    except TimeoutError:
        raise Timeout(f"The request's body took longer than {_READ_TIMEOUT:.0f} s to arrive.") from None
    return b"".join(parts)


def _error_headers(error: MandateError) -> Mapping[str, str]:
    if isinstance(error, Unauthenticated):
        return {"www-authenticate": "Bearer"}
    if error.retry_after is None:
        return {}
    milliseconds = math.ceil(error.retry_after * 1000)
    return {"retry-after": str(math.ceil(error.retry_after)), "retry-after-ms": str(milliseconds)}


def _reply_of(fault: Fault) -> Callable[[Conversation], Reply]:
    if fault.malformed_tools:
        return malformed_reply
    return hostile_reply if fault.hostile else reply


def _whole(data: bytes | memoryview, fault: Fault) -> Response:
    """Return one JSON document, in two pieces where a fault strikes between them."""
    if fault.drop or fault.stall_mid:
        half = len(data) // 2
        pieces = [bytes(data[:1]), bytes(data[1:half]), bytes(data[half:])]
        return PiecewiseResponse(pieces, fault, media_type="application/json")
    return Response(bytes(data), media_type="application/json")


async def _embed(embedder: Embedder, asked: EmbeddingRequest) -> list[bytes]:
    """Embed the texts, each as a query or as a passage, in their order.

    Where the request does not say which, the convention of E5 does: a text that begins with `query: ` is one.
    """
    marked = [_marked(text) if asked.query is None else (asked.query, text) for text in asked.texts]
    vectors: dict[int, bytes] = {}
    for query in (True, False):
        places = [i for i, (is_query, _) in enumerate(marked) if is_query is query]
        found = await embedder.embed([marked[i][1] for i in places], query=query) if places else []
        vectors |= dict(zip(places, found, strict=True))
    return [vectors[i] for i in range(len(marked))]


def _marked(text: str) -> tuple[bool, str]:
    if text.startswith("query: "):
        return True, text.removeprefix("query: ")
    return False, text.removeprefix("passage: ")


def _encode(vector: bytes, *, as_base64: bool) -> object:
    if as_base64:
        return base64.b64encode(vector).decode()
    import numpy as np

    return np.frombuffer(vector, dtype="<f4", count=DIMENSIONS)
