"""What somebody at the HTTP API gets: their answer, a plain refusal, and a stream that is passed on as it comes."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from interaction_samples import ANNA, BEN, REGISTRY, START, Tale, answered, asked, member

from control import (
    NOBODY,
    AccessLog,
    AgentManifest,
    Directory,
    Features,
    Policies,
    Principals,
    Sessions,
    Switches,
    load_governance,
)
from core import KEY_BYTES, Actor, Names, Role, RunId, TenantContext, TenantId, derived_id
from core.errors import MandateError, NotFound, Unauthenticated, Unavailable
from core.events import Stored
from data import NAME_KEY, NameKey, Page, RawEvent, Store, Versioned, verify_one
from interaction import InteractionDependencies, PlanRates, Rate, RateLimits, create_app
from orchestration import Eraser
from web import OpenIdClient, PeerRequest, TokenValidator, Transport, VerifiedToken
from web.transports import PeerAnswer

TALE = answered(asked())
PLENTY = Rate(1000, 1000)
MEMBERS = {"anna": ANNA, "ben": BEN, "olga": member("olga", Role.OWNER), "eve": member("eve", Role.AUDITOR)}
FOR_ANYBODY = {
    *("/healthz", "/readyz", "/readyz/candidate", "/static/{version}/{name}"),
    *("/marketplace", "/marketplace/landing", "/v1/marketplace/webhook", "/v1/marketplace/applications/resource"),
    "/v1/stamps/heartbeat",
    "/v1/stamps/orders",
    *("/sign-in", "/signed-in", "/sign-out", "/sign-out/publisher", "/signed-out"),
}
PIECES = (b"event: delta\ndata: {}\n\n", b"event: run_ended\nid: 2\nda", b"ta: {}\n\n")


class Frozen:
    def now(self) -> datetime:
        return START


class Tokens(TokenValidator):
    """Takes a name for a token."""

    def __init__(self) -> None:
        pass

    async def verify(self, token: str) -> VerifiedToken:
        if token not in MEMBERS:
            raise Unauthenticated("Sign in again.", code="identity.malformed")
        return VerifiedToken("t", token, "a", "app", frozenset(), frozenset(), token, token, 0.0, 0.0, is_app=False)


class Members(Directory):
    def __init__(self) -> None:
        pass

    async def resolve(self, token: VerifiedToken, *, correlation: str) -> TenantContext:
        return MEMBERS[token.object_id]

    async def is_active(self, tenant: TenantId) -> bool:
        return True


@dataclass
class Access(AccessLog):
    """Remembers refusals; `slow` makes it hang."""

    slow: bool = False
    refusals: list[tuple[TenantContext | None, str, str, Actor]] = field(default_factory=list[Any])

    async def refused(self, context: TenantContext | None, code: str, operation: str, actor: Actor) -> None:
        if self.slow:
            await asyncio.sleep(2)
            raise Unavailable("The store is too slow.")
        self.refusals.append((context, code, operation, actor))


@dataclass
class Shelf:
    """A tenant that holds one run: its log, its content, and of records the key of its names."""

    tale: Tale
    context: TenantContext

    @property
    def log(self) -> "Shelf":
        return self

    content = records = log

    async def raw(self, run: RunId, *, after: int = 0, limit: int = 1000) -> list[RawEvent]:
        return [RawEvent(e.event.seq, e.data, e.hash) for e in await self.read(run, after=after, limit=limit)]

    async def read(self, run: RunId, *, after: int = 0, limit: int = 1000) -> list[Stored]:
        return self.tale.events[after : after + limit] if run == self.tale.run else []

    async def list(self, *_: object, **__: object) -> Page[Any]:
        return Page([], None)

    async def get(self, found: object, key: str = "") -> bytes | Versioned[NameKey] | None:
        if found is NameKey:
            return Versioned(NAME_KEY, NameKey(key="00" * KEY_BYTES), "e")
        return None if key else await self.tale.fetch(cast("Any", found))


class OneRun:
    def tenant(self, context: TenantContext) -> Shelf:
        return Shelf(TALE, context)

    async def ready(self) -> None:
        pass


@dataclass
class Peer:
    """Streams three pieces, or says no."""

    error: MandateError | None = None
    calls: list[tuple[str, str, bytes]] = field(default_factory=list[Any])
    closed: bool = False

    async def call(
        self, context: TenantContext, method: str, path: str, *, body: bytes = b"", deadline: datetime
    ) -> bytes:
        self.calls.append((method, path, body))
        return b""

    @asynccontextmanager
    async def stream(
        self,
        context: TenantContext,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        deadline: datetime,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncGenerator[AsyncIterator[bytes]]:
        self.calls.append((method, path, body))
        if self.error:
            raise self.error
        try:
            yield _pieces()
        finally:
            self.closed = True


async def _pieces() -> AsyncIterator[bytes]:
    for piece in PIECES:
        yield piece


@dataclass
class Edge:
    access: Access = field(default_factory=Access)
    peer: Peer = field(default_factory=Peer)
    rate: Rate = PLENTY
    candidate: Transport | None = None

    @property
    def app(self) -> FastAPI:
        return create_app(
            InteractionDependencies(
                store=cast("Store", OneRun()),
                directory=Members(),
                validator=Tokens(),
                access=self.access,
                policies=cast("Policies", None),  # nobody here asks for any
                switches=cast("Switches", None),
                principals=cast("Principals", None),
                agents={"helper": AgentManifest.model_construct(name="helper")},
                orchestration=self.peer,
                control=self.peer,
                webhooks=cast("Transport", None),  # nobody here is the marketplace
                candidate=self.candidate,
                limits=RateLimits({"team": PlanRates(self.rate, self.rate)}),
                features=cast("Features", None),  # nobody here has any
                registry=REGISTRY,
                eraser=cast("Eraser", None),  # nobody here erases anything
                governance=load_governance(Path(__file__).parents[2] / "environments" / "governance.yaml"),
                clock=Frozen(),
                version="1",
                verify=verify_one,
                environment="local",
                currency="EUR",
                sessions=cast("Sessions", None),  # nobody here has a cookie
                provider=cast("OpenIdClient", None),
                sign_ins=Tokens(),
                public_url="https://mandate.example",
            )
        )


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    pieces: list[bytes]

    @property
    def json(self) -> dict[str, Any]:
        return orjson.loads(b"".join(self.pieces))


async def send(
    app: FastAPI, method: str, address: str, *, who: str = "anna", body: object = None, accept: str = "*/*", **more: str
) -> Answer:
    path, _, query = address.partition("?")
    headers = {"accept": accept, **({"authorization": f"Bearer {who}"} if who else {}), **more}
    if body is not None:
        headers.setdefault("content-type", "application/json")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
        "state": {},
    }
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"" if body is None else orjson.dumps(body), "more_body": False}

    async def collect(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, collect)
    start, *rest = sent
    told = {name.decode(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], told, [message["body"] for message in rest if message["body"]])


@dataclass
class Revision:
    """Answers a question for its readiness with a status, or hangs until time is up."""

    status: int = 0

    @asynccontextmanager
    async def exchange(self, request: PeerRequest) -> AsyncGenerator[PeerAnswer]:
        assert (request.method, request.path, request.body) == ("GET", "/readyz", b"")
        assert not request.headers, "nothing of who asks goes there"
        assert request.left <= 5
        if not self.status:
            raise TimeoutError
        yield PeerAnswer(self.status, {}, _pieces())


@pytest.mark.parametrize(
    ("candidate", "status", "code"),
    [
        (Revision(200), 200, ""),
        (Revision(503), 503, "dependency.candidate"),
        (Revision(404), 503, "dependency.candidate"),
        (Revision(), 503, "dependency.candidate"),
        (None, 404, "not_found"),
    ],
)
async def test_whether_the_candidate_is_ready_is_said_by_itself(
    candidate: Transport | None, status: int, code: str
) -> None:
    answer = await send(Edge(candidate=candidate).app, "GET", "/readyz/candidate", who="")
    assert (answer.status, answer.json.get("code", "")) == (status, code)


QUESTION = {"agent": "helper", "message": "How long?"}


async def test_a_stream_comes_byte_for_byte_with_the_run_s_address_and_closes_behind() -> None:
    edge = Edge()
    answer = await send(edge.app, "POST", "/v1/runs", body=QUESTION, accept="text/event-stream", idempotency_key="k")
    run = Names(bytes(KEY_BYTES)).derived_id("run", ANNA.tenant, ANNA.principal.id, "k")
    assert answer.status == 200
    assert answer.pieces == list(PIECES)
    assert (answer.headers["location"], answer.headers["mandate-run"]) == (f"/v1/runs/{run}", run)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert orjson.loads(edge.peer.calls[0][2])["run"] == run
    assert edge.peer.closed


async def test_what_the_peer_refuses_is_an_answer_and_no_broken_stream() -> None:
    edge = Edge(peer=Peer(error=NotFound("There is no such conversation.")))
    answer = await send(edge.app, "POST", "/v1/runs", body=QUESTION, accept="text/event-stream")
    assert (answer.status, answer.json["code"]) == (404, "not_found")


async def test_following_a_run_goes_on_behind_the_last_event_that_was_seen() -> None:
    edge = Edge()
    await send(edge.app, "GET", f"/v1/runs/{TALE.run}/events", accept="text/event-stream", last_event_id="3")
    assert edge.peer.calls[0][1] == f"/internal/runs/{TALE.run}/events?after=3"
    page = await send(edge.app, "GET", f"/v1/runs/{TALE.run}/events?after=3")
    assert [event["seq"] for event in page.json["items"]] == [4, 5]
    assert page.json["items"][0]["text"] == "It is settled [1]."


async def test_a_run_s_waterfall_is_for_who_may_read_the_run() -> None:
    edge = Edge()
    timeline = await send(edge.app, "GET", f"/v1/runs/{TALE.run}/timeline")
    assert (timeline.json["run"], timeline.json["state"], timeline.json["currency"]) == (TALE.run, "completed", "EUR")
    assert timeline.json["total_ms"] == sum(span["duration_ms"] for span in timeline.json["spans"]) == 4 * 60_000
    for path in ("timeline", "export"):
        assert (await send(edge.app, "GET", f"/v1/runs/{TALE.run}/{path}", who="ben")).status == 404


async def test_usage_is_refused_for_a_period_or_a_grouping_that_is_none() -> None:
    app = Edge().app
    for query in ("by=tenant", "by=day,agent,user", "by=", "from=1", "from=20261101", "to=2026-02-30", "format=xml"):
        assert (await send(app, "GET", f"/v1/usage?{query}")).json["code"] == "request.invalid", query
    for query in ("from=2026-08-01&to=2026-11-23", "from=2026-11-02&to=2026-11-01"):
        assert (await send(app, "GET", f"/v1/usage?{query}")).json["code"] == "request.period", query
    assert (await send(app, "GET", "/v1/usage", accept="text/html")).status == 406


async def test_somebody_else_s_run_a_missing_one_and_a_misspelt_id_get_the_same_answer_and_are_recorded() -> None:
    edge = Edge()
    missing = derived_id("run", "nowhere")
    paths = [f"/v1/runs/{TALE.run}", f"/v1/runs/{missing}", "/v1/runs/run_x", "/v1/runs/run_\0"]
    answers = [await send(edge.app, "GET", path, who="ben") for path in paths]
    told = [{**answer.json, "correlation": ""} for answer in answers]
    assert all(answer.status == 404 for answer in answers)
    assert all(problem == told[0] for problem in told)
    assert edge.access.refusals == [(BEN, "not_found", "GET /v1/runs/{run}", BEN.principal.actor)] * len(paths)


async def test_who_proves_nothing_is_told_to_sign_in_and_recorded_as_nobody() -> None:
    edge = Edge()
    for who in ("", "mallory"):
        answer = await send(edge.app, "GET", "/v1/me", who=who)
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == "Bearer"
    assert edge.access.refusals == [
        (None, code, "GET /v1/me", NOBODY) for code in ("identity.missing", "identity.malformed")
    ]


async def test_a_role_that_does_not_allow_it_is_refused_and_recorded() -> None:
    edge = Edge()
    answer = await send(edge.app, "POST", "/v1/runs", who="eve", body=QUESTION)
    assert (answer.status, answer.json["code"]) == (403, "access.role")
    assert edge.access.refusals[0][1:3] == ("access.role", "POST /v1/runs")
    assert not edge.peer.calls


async def test_too_many_requests_are_refused_with_the_time_to_wait_and_recorded() -> None:
    edge = Edge(rate=Rate(0.1, 1))
    app = edge.app
    assert (await send(app, "GET", "/v1/agents?x=1")).status == 400
    answer = await send(app, "GET", "/v1/agents")
    assert answer.status == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 10
    assert edge.access.refusals[0][1] == "rate"


async def test_a_store_that_cannot_record_neither_changes_an_answer_nor_holds_it_up() -> None:
    edge = Edge(access=Access(slow=True))
    started = asyncio.get_running_loop().time()
    answer = await send(edge.app, "GET", "/v1/me", who="")
    assert answer.status == 401
    assert asyncio.get_running_loop().time() - started < 1.5


async def test_what_the_description_does_not_know_is_refused() -> None:
    app = Edge().app
    assert (await send(app, "GET", f"/v1/runs/{TALE.run}?tenant=other")).status == 400
    assert (await send(app, "GET", "/v1/runs?limit=5&limit=6")).status == 400
    assert (await send(app, "GET", "/v1/runs?limit=1.0")).status == 422
    assert (await send(app, "POST", "/v1/runs", body={**QUESTION, "tenant": "other"})).status == 422
    assert (await send(app, "POST", "/v1/runs", body={**QUESTION, "use_knowledge": "yes"})).status == 422
    assert (await send(app, "POST", "/v1/runs", body={**QUESTION, "message": " \n"})).status == 422
    assert (await send(app, "POST", "/v1/runs", body=QUESTION, content_type="text/plain")).status == 415
    assert (await send(app, "POST", "/v1/runs", body=QUESTION, accept="text/html")).status == 406


async def test_a_method_that_is_not_there_names_all_that_are() -> None:
    answer = await send(Edge().app, "DELETE", "/v1/policies", who="olga")
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, PUT"


async def test_every_route_is_described_with_who_may_call_it_and_every_description_is_a_route() -> None:
    app = Edge().app
    document = app.openapi()
    described = {(path, method.upper()) for path, methods in document["paths"].items() for method in methods}
    served = {
        (context.path, method)
        for context in iter_route_contexts(app.routes)
        if isinstance(context.original_route, APIRoute)
        for method in context.methods or ()
    }
    assert described == served
    for path, methods in document["paths"].items():
        for operation in methods.values():
            open_to_all = path in FOR_ANYBODY
            assert bool(operation.get("security")) != open_to_all, path
            assert open_to_all or "401" in operation["responses"]


async def test_no_parameter_anywhere_says_for_whom() -> None:
    document = Edge().app.openapi()
    names = {
        parameter["name"]
        for methods in document["paths"].values()
        for operation in methods.values()
        for parameter in operation.get("parameters", ())
    }
    given = {
        name
        for title, schema in document["components"]["schemas"].items()
        if title.startswith("New")
        for name, field in schema["properties"].items()
        if "ignored" not in field.get("description", "")
    }
    assert not [name for name in names | given if re.search("tenant|principal|user|owner", name, re.IGNORECASE)]
