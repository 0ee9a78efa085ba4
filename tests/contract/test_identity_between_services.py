"""One service calls another with nothing but its managed identity and a signed assertion: by socket or in memory."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import aiohttp
import pytest
from fastapi import FastAPI, Request
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.responses import Response

from core import Principal, PrincipalId, PrincipalKind, Role, SystemClock, TenantContext, TenantId, new_id
from core.errors import BudgetSpent, MandateError, RateLimited, Timeout, Unavailable
from identity_live import serving
from telemetry import shutdown, span
from telemetry.setup import export_to
from web import (
    ASSERTION_HEADER,
    AssertionSigner,
    AssertionVerifier,
    EventStreamResponse,
    InProcess,
    Network,
    PeerClient,
    PublishedKey,
    ServerEvent,
    Transport,
    create_service,
    event_bytes,
    read_events,
    request_target,
)

CLOCK = SystemClock()
CONTEXT = TenantContext(
    tenant=TenantId(new_id("ten")),
    principal=Principal(PrincipalId(new_id("prn")), PrincipalKind.USER, frozenset({Role.USER})),
    plan="pro",
    region="local",
    correlation="cor_between",
)


class FixedTokens:
    async def token(self, scope: str) -> str:
        return f"token for {scope}"


@dataclass
class Keys:
    published: dict[str, PublishedKey] = field(default_factory=dict[str, PublishedKey])

    async def key(self, kid: str) -> PublishedKey | None:
        return self.published.get(kid)


@dataclass
class World:
    peer: PeerClient
    requests: list[Request]
    session: aiohttp.ClientSession
    client: Callable[[Transport], PeerClient]

    def soon(self, seconds: float = 5) -> datetime:
        return CLOCK.now() + timedelta(seconds=seconds)

    async def get(self, path: str) -> bytes:
        return await self.peer.call(CONTEXT, "GET", path, deadline=self.soon())

    async def refusal(self, path: str) -> MandateError:
        with pytest.raises(MandateError) as caught:
            await self.get(path)
        return caught.value


async def _ready() -> None:
    pass


def orchestration(keys: Keys, requests: list[Request]) -> FastAPI:
    app = create_service(name="orchestration", version="1", ready=_ready)
    verifier = AssertionVerifier(audience="orchestration", keys=keys, clock=CLOCK)

    @app.post("/v1/échos")
    async def echo(request: Request) -> dict[str, str]:
        requests.append(request)
        told = await verifier.verify(
            request.headers[ASSERTION_HEADER],
            issuer_services={"interaction"},
            method=request.method,
            path=request_target(request.scope),
            body=await request.body(),
        )
        return {"tenant": told.tenant, "correlation": told.correlation, "service": told.service}

    @app.get("/strict")
    async def strict(request: Request) -> None:
        await verifier.verify("ma1.x.x", issuer_services=(), method="GET", path=request_target(request.scope), body=b"")

    @app.get("/spent")
    async def spent() -> None:
        raise BudgetSpent("The budget is used up.", code="budget.tokens")

    @app.get("/fast")
    async def fast() -> None:
        raise RateLimited("Too fast.", retry_after=3)

    @app.get("/plain/{status}")
    async def plain(status: int) -> Response:
        return Response("no problem document", status, headers={"Location": "http://127.0.0.1:1/"})

    @app.get("/slow")
    async def slow() -> None:
        await asyncio.sleep(0.5)

    @app.get("/huge")
    async def huge() -> Response:
        return Response(b"x" * 20_000_001)

    @app.get("/events")
    async def events(request: Request) -> EventStreamResponse:
        async def two() -> AsyncGenerator[bytes, None]:
            yield event_bytes(data=request.headers["Last-Event-ID"].encode(), id="8")
            yield event_bytes(data="é".encode(), id="9")

        return EventStreamResponse(two())

    add_streams(app)
    return app


def add_streams(app: FastAPI) -> None:
    left = asyncio.Event()

    @app.get("/breaks")
    async def breaks() -> EventStreamResponse:
        async def one() -> AsyncGenerator[bytes, None]:
            yield event_bytes(data=b"first", id="1")
            raise RuntimeError

        return EventStreamResponse(one())

    @app.get("/endless")
    async def endless() -> EventStreamResponse:
        async def ticks() -> AsyncGenerator[bytes, None]:
            try:
                for number in range(1_000_000):
                    yield event_bytes(data=b"x" * 10_000, id=str(number))
                    await asyncio.sleep(0)
            finally:
                left.set()

        return EventStreamResponse(ticks())

    @app.get("/left")
    async def has_left() -> None:
        await asyncio.wait_for(left.wait(), 5)
        left.clear()


@pytest.fixture(params=["network", "in_process"])
async def world(request: pytest.FixtureRequest) -> AsyncGenerator[World]:
    keys, requests = Keys(), list[Request]()
    signer = AssertionSigner("interaction", CLOCK)
    keys.published[signer.key.kid] = signer.key
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    app = orchestration(keys, requests)
    async with serving(app, listener), aiohttp.ClientSession() as session:

        def client(transport: Transport) -> PeerClient:
            return PeerClient(
                transport=transport, audience_service="orchestration", scope="api://inner/.default",
                tokens=FixedTokens(), signer=signer,
            )  # fmt: skip

        transport = InProcess(app) if request.param == "in_process" else Network(session, url)
        yield World(client(transport), requests, session, client)


async def test_a_call_carries_who_asks_for_whom(world: World) -> None:
    path = "/v1/%C3%A9chos?q=a%20b&q=%2F"
    answer = await world.peer.call(CONTEXT, "POST", path, body=b'{"a":1}', deadline=world.soon())
    assert answer == b'{"tenant":"%s","correlation":"cor_between","service":"interaction"}' % CONTEXT.tenant.encode()
    headers = world.requests[0].headers
    assert headers["authorization"] == "Bearer token for api://inner/.default"
    assert headers["x-correlation-id"] == "cor_between"
    assert headers["content-type"] == "application/json"


async def test_a_call_carries_the_trace_that_it_belongs_to(world: World) -> None:
    export_to("test", "1", SimpleSpanProcessor(spans := InMemorySpanExporter()), InMemoryMetricReader())
    try:
        with span("run", CONTEXT):
            await world.peer.call(CONTEXT, "POST", "/v1/%C3%A9chos?q=a%20b&q=%2F", body=b"{}", deadline=world.soon())
    finally:
        await shutdown()
    place = spans.get_finished_spans()[0].get_span_context()
    assert place is not None
    assert f"-{place.trace_id:032x}-{place.span_id:016x}-" in world.requests[0].headers["traceparent"]


async def test_the_peers_no_is_raised_as_if_it_were_ours(world: World) -> None:
    error = await world.refusal("/spent")
    assert isinstance(error, BudgetSpent)
    assert (error.code, error.message) == ("budget.tokens", "The budget is used up.")
    error = await world.refusal("/fast")
    assert isinstance(error, RateLimited)
    assert error.retry_after == 3
    assert (await world.refusal("/nothing")).code == "not_found"


async def test_that_the_peer_does_not_accept_us_is_not_the_persons_fault(world: World) -> None:
    error = await world.refusal("/strict")
    assert isinstance(error, Unavailable)
    assert error.code == "dependency.orchestration"


@pytest.mark.parametrize("path", ["/plain/500", "/plain/404", "/plain/418", "/plain/302", "/plain/599", "/huge"])
async def test_an_answer_we_do_not_understand_is_no_answer(world: World, path: str) -> None:
    error = await world.refusal(path)
    assert (type(error), error.code) == (Unavailable, "dependency.orchestration")


async def test_a_peer_that_is_not_there_is_unavailable(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    world.peer = world.client(Network(world.session, f"http://127.0.0.1:{port}"))
    error = await world.refusal("/spent")
    assert (type(error), error.code) == (Unavailable, "dependency.orchestration")


async def test_nobody_waits_past_the_deadline(world: World) -> None:
    for seconds in (0.1, -1):
        with pytest.raises(Timeout):
            await world.peer.call(CONTEXT, "GET", "/slow", deadline=world.soon(seconds))


async def test_events_are_relayed_raw(world: World) -> None:
    async with world.peer.stream(
        CONTEXT, "GET", "/events", deadline=world.soon(), headers={"Last-Event-ID": "7"}
    ) as chunks:
        events = [event async for event in read_events(chunks)]
    assert events == [ServerEvent("message", "8", "7"), ServerEvent("message", "9", "é")]


async def test_a_stream_that_is_refused_raises_at_once(world: World) -> None:
    with pytest.raises(BudgetSpent):
        async with world.peer.stream(CONTEXT, "GET", "/spent", deadline=world.soon()):
            pytest.fail("there is nothing to read")


async def read_all(world: World, path: str, deadline: datetime, into: list[bytes]) -> None:
    async with world.peer.stream(CONTEXT, "GET", path, deadline=deadline) as chunks:
        async for chunk in chunks:
            into.append(chunk)  # noqa: PERF401 - what came before a break counts


async def test_a_stream_that_breaks_off_is_told_from_one_that_ends(world: World) -> None:
    seen: list[bytes] = []
    with pytest.raises(Unavailable):
        await read_all(world, "/breaks", world.soon(), seen)
    assert b"first" in b"".join(seen)


async def test_who_leaves_a_stream_ends_the_peers_work_on_it(world: World) -> None:
    async with world.peer.stream(CONTEXT, "GET", "/endless", deadline=world.soon()) as chunks:
        await anext(chunks)
    await world.get("/left")


async def test_a_stream_ends_with_its_deadline(world: World) -> None:
    with pytest.raises(Timeout):
        await read_all(world, "/endless", world.soon(0.3), [])
    await world.get("/left")
