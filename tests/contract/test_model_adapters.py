"""Both wire adapters against real sockets: a TLS server in this file that answers as it is told."""

import asyncio
import base64
import socket
import ssl
import struct
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import aiohttp
import orjson
import pytest
import trustme
import uvicorn
from aiohttp import web

from core import ActionKind, Permit, RunId, SystemClock, TenantId, action_digest
from core.errors import Defect, MandateError, RateLimited, Timeout, Unauthenticated, Unavailable
from emulators.model_endpoint import create_app
from models import (
    Adapter,
    Catalogue,
    ChatModel,
    ChatRequest,
    ChatResult,
    EmbedModel,
    EmbedRequest,
    Message,
    ModelInterrupted,
    ModelRouter,
    Target,
    TextDelta,
    ToolCall,
    ToolOffer,
)
from models.adapters import Bounds, Completion
from models.azure_inference import AzureInferenceAdapter
from models.openai import OpenAIAdapter
from models.routing import Sleep

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ADAPTERS = ("openai", "azure-ai-inference")
TOKEN = "a-token"


class Server:
    """Answers every request with `handler`, and keeps what it was asked over which sockets."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.bodies: list[dict[str, object]] = []
        self.sockets: set[object] = set()
        self.handler: Handler = answer_hello
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.bodies.append(orjson.loads(await request.read()))
        self.sockets.add(request.transport and request.transport.get_extra_info("peername"))
        return await self.handler(request)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@asynccontextmanager
async def running(authority: trustme.CA) -> AsyncGenerator[Server, None]:
    server = Server()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)  # pyright: ignore[reportUnknownMemberType] - takes pyOpenSSL too
    app = web.Application()
    app.router.add_post("/{path:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "localhost", 0, ssl_context=context)
    await site.start()
    server.url = f"https://localhost:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


@pytest.fixture
async def server(authority: trustme.CA) -> AsyncGenerator[Server, None]:
    async with running(authority) as server:
        yield server


@pytest.fixture
async def session(authority: trustme.CA) -> AsyncGenerator[aiohttp.ClientSession, None]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)  # pyright: ignore[reportUnknownMemberType] - takes pyOpenSSL too
    connector = aiohttp.TCPConnector(ssl=context, limit=0)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session


async def token(scope: str) -> str:
    assert scope == "https://cognitiveservices.azure.com/.default"
    return TOKEN


@pytest.fixture
def adapters(session: aiohttp.ClientSession) -> dict[str, Adapter]:
    return {
        "openai": OpenAIAdapter(session, token),
        "azure-ai-inference": AzureInferenceAdapter(session, token),
    }


def target(server: Server | str, adapter: str, name: str = "first") -> Target:
    return Target.model_validate(
        {
            "name": name,
            "adapter": adapter,
            "endpoint": server if isinstance(server, str) else server.url,
            "model": "some-model",
            "version": "7",
            "retires": date(2099, 1, 1),
            "plans": ["*"],
            "regions": ["*"],
            "auth": "entra",
            "input_micros_per_1k": 1000,
            "output_micros_per_1k": 2000,
        }
    )


async def at_once(_: float) -> None:
    """Wait as a test does that is not about waiting."""


def router(adapters: dict[str, Adapter], *targets: Target, sleep: Sleep = at_once) -> ModelRouter:
    models = {
        "chat": ChatModel(purpose="chat", targets=targets),
        "embed": EmbedModel(purpose="embed", targets=targets, dimensions=2, query_prefix="query: "),
    }
    return ModelRouter(Catalogue(currency="EUR", models=models), adapters, SystemClock(), sleep=sleep)


TOOL = ToolOffer("look_up", "Looks an order up.", {"type": "object", "properties": {"order": {"type": "string"}}})
REQUEST = ChatRequest(
    logical="chat",
    messages=(
        Message("system", "Be brief."),
        Message("user", "Where is A-1?"),
        Message("assistant", "", tool_calls=(ToolCall("c1", "look_up", '{"order":"A-1"}'),)),
        Message("tool", "on its way", tool_call_id="c1"),
    ),
    tools=(TOOL,),
    max_output_tokens=50,
)


def permit(request: ChatRequest | EmbedRequest) -> Permit:
    tenant, run = TenantId("ten_x"), RunId("run_x")
    digest = action_digest(tenant, run, ActionKind.CALL_MODEL, request.logical, request.fingerprint())
    return Permit(tenant=tenant, run=run, decision_seq=2, digest=digest)


async def chat(models: ModelRouter, *, seconds: float = 5.0) -> tuple[list[str], ChatResult]:
    deadline = datetime.now(UTC) + timedelta(seconds=seconds)
    texts: list[str] = []
    async for item in models.chat(permit(REQUEST), REQUEST, plan="basic", region="eu", deadline=deadline):
        if isinstance(item, ChatResult):
            return texts, item
        texts.append(item.text)
    raise AssertionError("the stream ended without a result")


def event(delta: dict[str, object] | None = None, finish: str | None = None, **more: object) -> bytes:
    choices = [{"index": 0, "delta": delta or {}, "finish_reason": finish}]
    return b"data: " + orjson.dumps({"id": "1", "created": 1, "model": "m", "choices": choices, **more}) + b"\n\n"


HELLO = (
    event({"role": "assistant", "content": ""}),
    event({"content": "Hel"}),
    event({"content": "lo – grüße"}),
    event(finish="stop"),
    event(usage={"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}),
    b"data: [DONE]\n\n",
)


def stream(*chunks: bytes, drop: bool = False, pause: float = 0.0) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
            await asyncio.sleep(pause)
        if drop and request.transport is not None:
            request.transport.abort()
        return response

    return handler


async def answer_hello(request: web.Request) -> web.StreamResponse:
    return await stream(b"".join(HELLO))(request)


def status(code: int, body: object = None, **headers: str) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.json_response(
            body or {"error": {"code": "no", "message": "secret detail"}}, status=code, headers=named
        )

    return handler


def in_turn(*handlers: Handler) -> Handler:
    remaining = list(handlers)

    async def handler(request: web.Request) -> web.StreamResponse:
        return await (remaining.pop(0) if len(remaining) > 1 else remaining[0])(request)

    return handler


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_streams_an_answer_and_counts_what_the_endpoint_counted(
    server: Server, adapters: dict[str, Adapter], adapter: str
) -> None:
    texts, result = await chat(router(adapters, target(server, adapter)))
    assert "".join(texts) == result.text == "Hello – grüße"
    assert (result.input_tokens, result.output_tokens, result.cost_micros) == (11, 3, 17)
    assert (result.finish, result.target, result.version, result.attempts) == ("stop", "first", "7", 1)
    assert 0 <= result.first_token_ms <= result.duration_ms


@pytest.mark.parametrize(
    ("adapter", "path", "limit"),
    [("openai", "/openai/v1", "max_completion_tokens"), ("azure-ai-inference", "/models", "max_tokens")],
)
async def test_speaks_its_wire_format(
    server: Server, adapters: dict[str, Adapter], adapter: str, path: str, limit: str
) -> None:
    await chat(router(adapters, target(server, adapter)))
    (request,), (body,) = server.requests, server.bodies
    assert request.path == f"{path}/chat/completions"
    assert request.headers["Authorization"] == f"Bearer {TOKEN}"
    assert body["model"] == "some-model"
    assert body[limit] == 50
    assert body["stream_options"] == {"include_usage": True}
    assert body["tools"] == [
        {
            "type": "function",
            "function": {"name": "look_up", "description": TOOL.description, "parameters": TOOL.parameters},
        }
    ]
    call = {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": '{"order":"A-1"}'}}
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Where is A-1?"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "on its way", "tool_call_id": "c1"},
    ]


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_gives_the_tool_calls_as_the_model_wrote_them(
    server: Server, adapters: dict[str, Adapter], adapter: str
) -> None:
    server.handler = stream(
        event(
            {
                "tool_calls": [
                    {"index": 0, "id": "a", "type": "function", "function": {"name": "look_up", "arguments": ""}}
                ]
            }
        ),
        event({"tool_calls": [{"index": 0, "function": {"arguments": '{"order": '}}]}),
        event({"tool_calls": [{"index": 1, "id": "b", "function": {"name": "made_up", "arguments": "not json"}}]}),
        event({"tool_calls": [{"index": 0, "function": {"arguments": '"A-1"}'}}]}),
        event(finish="tool_calls"),
        b"data: [DONE]\n\n",
    )
    texts, result = await chat(router(adapters, target(server, adapter)))
    assert texts == []
    assert result.tool_calls == (ToolCall("a", "look_up", '{"order": "A-1"}'), ToolCall("b", "made_up", "not json"))
    assert result.finish == "tool_calls"
    assert result.input_tokens > 0, "without usage the tokens are estimated"
    assert result.output_tokens > 0


async def test_texts_that_arrive_together_are_one_delta(server: Server, adapters: dict[str, Adapter]) -> None:
    texts, _ = await chat(router(adapters, target(server, "openai")))
    assert texts == ["Hello – grüße"]


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_calls_share_connections(server: Server, adapters: dict[str, Adapter], adapter: str) -> None:
    server.handler = stream(*HELLO, pause=0.005)
    models = router(adapters, target(server, adapter))
    for _ in range(4):
        await chat(models)
    assert len(server.requests) == 4
    assert len(server.sockets) == 1


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize(
    "told",
    [(429, RateLimited, "model.rate"), (503, Unavailable, "model.unavailable"), (408, Timeout, "model.timeout")],
)
async def test_one_adapter_call_is_one_request_whatever_fails(
    server: Server, adapters: dict[str, Adapter], adapter: str, told: tuple[int, type[MandateError], str]
) -> None:
    code, error, named = told
    server.handler = status(code, retry_after_ms="1500")
    with pytest.raises(error) as raised:
        async for _ in adapters[adapter].chat(target(server, adapter), REQUEST, Bounds()):
            pass
    assert raised.value.code == named
    assert raised.value.retry_after == (None if code == 408 else 1.5)
    assert "secret" not in str(raised.value)
    assert len(server.requests) == 1, "the router's retries are the only ones"


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_the_router_makes_every_retry_itself(server: Server, adapters: dict[str, Adapter], adapter: str) -> None:
    server.handler = status(503, retry_after_ms="1")
    with pytest.raises(Unavailable):
        await chat(router(adapters, target(server, adapter)))
    assert len(server.requests) == 4


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("header", [{"retry_after_ms": "200"}, {"Retry_After": "1"}])
async def test_waits_as_long_as_it_is_asked(
    server: Server, adapters: dict[str, Adapter], adapter: str, header: dict[str, str]
) -> None:
    server.handler = in_turn(status(429, None, **header), answer_hello)
    began = time.perf_counter()
    _, result = await chat(router(adapters, target(server, adapter), sleep=asyncio.sleep))
    assert result.attempts == 2
    assert time.perf_counter() - began >= (0.2 if "retry_after_ms" in header else 1.0)


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_a_refused_request_is_not_sent_again(server: Server, adapters: dict[str, Adapter], adapter: str) -> None:
    server.handler = status(404)
    with pytest.raises(Defect) as raised:
        await chat(router(adapters, target(server, adapter), target(server, adapter, "second")))
    assert raised.value.code == "model.rejected"
    assert "secret" not in str(raised.value)
    assert len(server.requests) == 1


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_a_redirect_does_not_carry_the_token_elsewhere(
    server: Server, adapters: dict[str, Adapter], adapter: str, authority: trustme.CA
) -> None:
    async with running(authority) as elsewhere:
        server.handler = status(307, Location=elsewhere.url)
        with pytest.raises(Defect):
            await chat(router(adapters, target(server, adapter)))
        assert elsewhere.requests == []


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_a_filtered_prompt_is_an_empty_answer(server: Server, adapters: dict[str, Adapter], adapter: str) -> None:
    server.handler = status(400, {"error": {"code": "content_filter", "message": "secret detail"}})
    _, result = await chat(router(adapters, target(server, adapter)))
    assert (result.text, result.finish) == ("", "content_filter")


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_an_endpoint_that_is_not_there_is_passed_over(
    server: Server, adapters: dict[str, Adapter], adapter: str
) -> None:
    gone = target("https://localhost:1", adapter)
    _, result = await chat(router(adapters, gone, target(server, adapter, "second")))
    assert (result.target, result.attempts) == ("second", 2)


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_an_endpoint_with_a_certificate_of_nobody_we_trust_is_not_sent_anything(
    adapters: dict[str, Adapter], adapter: str
) -> None:
    async with running(trustme.CA()) as stranger:
        with pytest.raises(Unavailable):
            await chat(router(adapters, target(stranger, adapter)))
        assert stranger.requests == []


MALFORMED = {
    "not JSON": b"data: {oops\n\n",
    "not an object": b"data: []\n\n",
    "an error event": b'data: {"error":{"message":"secret detail"}}\n\n',
    "choices of the wrong type": b'data: {"choices":{"a":1}}\n\n',
    "text of the wrong type": event({"content": 5}),
    "no event stream": b"<html>secret detail</html>",
    "nothing": b"",
    "the end too early": b"data: [DONE]\n\n",
    "not UTF-8": b'data: {"choices":[{"delta":{"content":"\xff"}}]}\n\n',
}


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("chunk", MALFORMED.values(), ids=MALFORMED.keys())
async def test_an_unreadable_answer_is_no_crash(
    server: Server, adapters: dict[str, Adapter], adapter: str, chunk: bytes
) -> None:
    server.handler = stream(chunk)
    with pytest.raises(Unavailable) as raised:
        await chat(router(adapters, target(server, adapter)))
    assert raised.value.code == "model.unavailable"
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("rest", [b"", b"data: {oops\n\n"], ids=["dropped", "unreadable"])
async def test_never_another_attempt_after_the_first_token(
    server: Server, adapters: dict[str, Adapter], adapter: str, rest: bytes
) -> None:
    server.handler = stream(event({"content": "The refund is "}), rest, drop=not rest, pause=0.05)
    models = router(adapters, target(server, adapter), target(server, adapter, "second"))
    with pytest.raises(ModelInterrupted) as raised:
        await chat(models)
    assert len(server.requests) == 1
    assert raised.value.code == "model.interrupted"
    assert raised.value.input_tokens > 0
    assert raised.value.target == "first"


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_a_stalled_endpoint_costs_no_more_than_the_deadline(
    server: Server, adapters: dict[str, Adapter], adapter: str
) -> None:
    async def stall(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(30)
        raise AssertionError

    server.handler = stall
    began = time.perf_counter()
    with pytest.raises(Timeout) as raised:
        await chat(router(adapters, target(server, adapter)), seconds=0.4)
    assert raised.value.code == "model.timeout"
    assert time.perf_counter() - began < 2


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_silence_is_bounded(server: Server, adapters: dict[str, Adapter], adapter: str) -> None:
    async def stall(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(30)
        raise AssertionError

    server.handler = stall
    with pytest.raises(Timeout):
        async for _ in adapters[adapter].chat(target(server, adapter), REQUEST, Bounds(idle=0.2)):
            pass


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_a_permit_for_something_else_opens_no_socket(
    server: Server, adapters: dict[str, Adapter], adapter: str
) -> None:
    models = router(adapters, target(server, adapter))
    other = ChatRequest("chat", (Message("user", "Pay everyone."),), (), 50)
    deadline = datetime.now(UTC) + timedelta(seconds=5)
    with pytest.raises(Defect) as raised:
        async for _ in models.chat(permit(REQUEST), other, plan="basic", region="eu", deadline=deadline):
            pass
    assert raised.value.code == "defect.permit_mismatch"
    assert server.requests == []


def vectors(*pairs: tuple[float, float], as_text: bool = True) -> Handler:
    def encode(pair: tuple[float, float]) -> object:
        return base64.b64encode(struct.pack("<2f", *pair)).decode() if as_text else list(pair)

    data = [{"index": i, "embedding": encode(pair)} for i, pair in enumerate(pairs)]
    body = {"id": "1", "model": "m", "data": data[::-1], "usage": {"prompt_tokens": 9, "total_tokens": 9}}
    return status(200, body)


async def embed(models: ModelRouter, *texts: str):
    request = EmbedRequest("embed", texts, "query")
    deadline = datetime.now(UTC) + timedelta(seconds=5)
    return await models.embed(permit(request), request, plan="basic", region="eu", deadline=deadline)


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("as_text", [True, False], ids=["base64", "floats"])
async def test_embeds_to_normalised_vectors_in_order(
    server: Server, adapters: dict[str, Adapter], adapter: str, *, as_text: bool
) -> None:
    server.handler = vectors((3.0, 4.0), (0.0, -2.0), as_text=as_text)
    result = await embed(router(adapters, target(server, adapter)), "one", "two")
    assert [struct.unpack("<2f", vector) for vector in result.vectors] == [
        pytest.approx((0.6, 0.8)),
        pytest.approx((0.0, -1.0)),
    ]
    assert (result.input_tokens, result.cost_micros, result.target) == (9, 9, "first")
    assert server.bodies[0]["input"] == ["query: one", "query: two"]
    assert server.bodies[0]["dimensions"] == 2


BAD_VECTORS = {
    "one too few": vectors((1.0, 1.0)),
    "of no length": vectors((0.0, 0.0), (1.0, 0.0)),
    "not a number": vectors((float("nan"), 1.0), (1.0, 0.0)),
    "not JSON": stream(b"oops"),
    "no data": status(200, {"data": {"a": 1}}),
    "no base64": status(200, {"data": [{"index": 0, "embedding": "§"}, {"index": 1, "embedding": "§"}]}),
}


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("handler", BAD_VECTORS.values(), ids=BAD_VECTORS.keys())
async def test_unreadable_vectors_are_no_crash(
    server: Server, adapters: dict[str, Adapter], adapter: str, handler: Handler
) -> None:
    server.handler = handler
    with pytest.raises(Unavailable):
        await embed(router(adapters, target(server, adapter)), "one", "two")


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_a_model_of_other_dimensions_is_told_apart_from_a_fault(
    server: Server, adapters: dict[str, Adapter], adapter: str
) -> None:
    server.handler = status(200, {"data": [{"index": 0, "embedding": [1.0, 2.0, 3.0]}]})
    with pytest.raises(Defect, match="gives 3 numbers where the catalogue says 2"):
        await embed(router(adapters, target(server, adapter)), "one")


async def test_a_keyless_endpoint_gets_no_token(session: aiohttp.ClientSession, server: Server) -> None:
    async def no_token(_: str) -> str:
        raise AssertionError("asked for a token")

    keyless = target(server, "openai").model_copy(update={"auth": "none"})
    adapter = OpenAIAdapter(session, no_token)
    done = [item async for item in adapter.chat(keyless, REQUEST, Bounds())]
    assert isinstance(done[-1], Completion)
    assert "Authorization" not in server.requests[0].headers


async def test_an_empty_delta_says_that_a_tool_call_has_begun(server: Server, adapters: dict[str, Adapter]) -> None:
    server.handler = stream(
        event({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "look_up", "arguments": "{}"}}]}),
        event(finish="tool_calls"),
    )
    items = [item async for item in adapters["openai"].chat(target(server, "openai"), REQUEST, Bounds())]
    assert items[0] == TextDelta("")


# Against the emulator: the two wire formats are two ways to ask the same question.


@pytest.fixture(scope="module")
async def emulator(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[str, None]:
    async def authorize(token: str) -> None:
        if token != TOKEN:
            raise Unauthenticated("Another token, please.")

    folder = tmp_path_factory.mktemp("tls")
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    config = uvicorn.Config(
        create_app(authorize=authorize),
        ssl_keyfile=folder / "key.pem",
        ssl_certfile=folder / "cert.pem",
        log_level="error",
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    listener = socket.create_server(("localhost", 0))
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve([listener]))
    try:
        yield f"https://localhost:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


def stand_in(url: str, adapter: str, model: str = "mandate-stand-in") -> Target:
    return target(url, adapter).model_copy(update={"model": model})


ORDER = ToolOffer(
    "look_up_order",
    "Look up an order by its number.",
    {
        "type": "object",
        "properties": {"order_number": {"type": "string", "description": "The order's number."}},
        "required": ["order_number"],
        "additionalProperties": False,
    },
)
CONVERSATIONS = {
    "question": ChatRequest("chat", (Message("system", "Be brief."), Message("user", "What are you?")), (), 200),
    "tool": ChatRequest("chat", (Message("user", "Look up order QX-4711."),), (ORDER,), 200),
    "tool result": ChatRequest(
        "chat",
        (
            Message("user", "Look up order QX-4711."),
            Message("assistant", "", tool_calls=(ToolCall("c1", ORDER.name, '{"order_number":"QX-4711"}'),)),
            Message("tool", '{"status":"on its way"}', tool_call_id="c1"),
        ),
        (ORDER,),
        200,
    ),
    "cut short": ChatRequest("chat", (Message("user", "What are you?"),), (), 2),
}


@pytest.mark.parametrize("request_", CONVERSATIONS.values(), ids=CONVERSATIONS.keys())
async def test_both_wire_formats_give_the_same_answer(
    emulator: str, adapters: dict[str, Adapter], request_: ChatRequest
) -> None:
    answers: list[ChatResult] = []
    for adapter in ADAPTERS:
        deadline = datetime.now(UTC) + timedelta(seconds=10)
        models = router(adapters, stand_in(emulator, adapter))
        stream = models.chat(permit(request_), request_, plan="basic", region="eu", deadline=deadline)
        items = [item async for item in stream]
        result = items[-1]
        assert isinstance(result, ChatResult)
        assert "".join(item.text for item in items[:-1] if isinstance(item, TextDelta)) == result.text
        # What the endpoint makes up anew for each answer.
        calls = tuple(replace(call, id="") for call in result.tool_calls)
        answers.append(replace(result, tool_calls=calls, first_token_ms=0, duration_ms=0))
    assert answers[0] == answers[1]
    assert answers[0].text or answers[0].tool_calls
    assert answers[0].input_tokens > 0


async def test_both_wire_formats_give_the_same_vectors(emulator: str, adapters: dict[str, Adapter]) -> None:
    found = [
        await adapters[adapter].embed(
            stand_in(emulator, adapter, "multilingual-e5-small"), ("query: boots", "passage: a boot"), 384, Bounds()
        )
        for adapter in ADAPTERS
    ]
    assert found[0] == found[1]
    for vector in found[0].vectors:
        numbers = struct.unpack("<384f", vector)
        assert sum(number * number for number in numbers) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_a_refused_token_is_told_apart(session: aiohttp.ClientSession, emulator: str, adapter: str) -> None:
    async def another(_: str) -> str:
        return "another"

    adapters: dict[str, Adapter] = {
        "openai": OpenAIAdapter(session, another),
        "azure-ai-inference": AzureInferenceAdapter(session, another),
    }
    with pytest.raises(Defect, match="identity may call it"):
        await chat(router(adapters, stand_in(emulator, adapter)))
