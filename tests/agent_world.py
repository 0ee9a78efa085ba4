"""The product in one process, for tests of what an agent may do: all of it real but for the model, which is scripted.

Orchestration, gate, tools and store are the product's; the back office is the emulator, whose journal counts what
reached it, and which page was asked for. What the model says is a function of what it was shown.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Container, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import cast

import orjson
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from store_samples import index, passage, vector

from control import (
    AgentManifest,
    Budgets,
    Entitlement,
    Gate,
    Money,
    Policies,
    Principals,
    Switches,
    TenantRecord,
    contexts,
    load_agents,
)
from control.records import Amount
from core import (
    ApprovalId,
    Clock,
    Confidentiality,
    Content,
    ContentClass,
    ConversationId,
    DocumentId,
    Integrity,
    PrincipalId,
    Role,
    RunId,
    SystemClock,
    TenantContext,
    TenantId,
    derived_id,
    new_id,
)
from core.errors import Unauthenticated
from core.parts import RunState
from data import Hit, Query, Source, Store, TenantData, Trim, read_run
from emulators.backoffice import BackofficeSeed, create_app
from entitled import ENTITLED, by_plan
from guards import Guard, Text
from guards.local import LocalGuard
from models import Bounds, Catalogue, ChatRequest, Completion, Embeddings, ModelRouter, Target, TextDelta
from orchestration import Carriers, CollectionRecord, DocumentRecord, Progress, Quoted, Services, fold
from orchestration.approvals import Verdict
from orchestration.opening import TurnRequest
from orchestration.runs import Runs
from tools import Egress, Executor, Origin, Registry, open_session
from tools.backoffice import backoffice_tools
from tools.web_pages import web_page_tools

ROOT = Path(__file__).parents[1]
TOKEN = "a-token-that-the-test-knows"
CLOCK = SystemClock()

PERMITS_ALL = """
@id("everything")
@lane("automatic")
@reason("The gate stands open.")
permit (principal, action, resource);
"""

_CATALOGUE = {
    "currency": "EUR",
    "models": {
        name: {
            "purpose": purpose,
            **({"dimensions": 3} if purpose == "embed" else {}),
            "targets": [
                {
                    "name": f"scripted-{name}",
                    "adapter": "openai",
                    "endpoint": "http://127.0.0.1:9/v1",
                    "model": "scripted",
                    "version": "1",
                    "retires": "2099-01-01",
                    "plans": ["*"],
                    "regions": ["*"],
                    "auth": "none",
                }
            ],
        }
        for name, purpose in (("chat", "chat"), ("embed", "embed"))
    },
}

Script = Callable[[ChatRequest], Completion]
Payload = Mapping[str, object]


class ScriptedModel:
    """A model whose every answer is `script` of what it was shown; all texts are alike to its embeddings."""

    def __init__(self) -> None:
        self.script: Script = lambda _: Completion("Nothing to say.", (), (1, 1), "stop")
        self.slowly: Callable[[ChatRequest], Awaitable[Completion]] | None = None
        self.pieces = 0
        """Characters of each piece in which text is streamed; 0: it comes with the finished message alone."""

    async def chat(
        self, target: Target, request: ChatRequest, bounds: Bounds
    ) -> AsyncGenerator[TextDelta | Completion, None]:
        answer = await self.slowly(request) if self.slowly else self.script(request)
        for start in range(0, len(answer.text), self.pieces) if self.pieces else ():
            yield TextDelta(answer.text[start : start + self.pieces])
        yield answer

    async def embed(self, target: Target, texts: tuple[str, ...], dimensions: int, bounds: Bounds) -> Embeddings:
        return Embeddings(tuple(vector(1.0, 0.0, 0.0) for _ in texts), len(texts))


class SeesNothing:
    """Stands where the guard stands, and suspects nothing: what is stopped then is stopped without it."""

    name = "local"

    async def suspects(self, texts: Sequence[Text]) -> Sequence[bool]:
        return [False] * len(texts)


class NoSources:
    """No customer keeps an index of their own here."""

    async def search(
        self, context: TenantContext, permit: object, source: Source, query: Query, *, vector: bytes, trim: Trim
    ) -> Sequence[Hit]:
        return ()


class NoAlarm:
    """Runs are looked at by the tests themselves."""

    async def schedule(self, tenant: TenantId, run: RunId, at: datetime) -> None: ...

    async def wake(self, tenant: TenantId, run: RunId) -> None: ...

    async def start(self, look: Callable[[TenantId, RunId], Awaitable[bool]]) -> int:
        return 0

    async def drive(self, look: Callable[[TenantId, RunId], Awaitable[bool]]) -> None: ...


@dataclass
class Office:
    """The back office, and the companies' public pages beside it.

    Attributes:
        asked: paths of pages that somebody asked for.
        arriving: called with tenant, run and key of each write before it is done.
    """

    folder: Path
    url: str = ""
    pages: dict[str, str] = field(default_factory=dict[str, str])
    asked: list[str] = field(default_factory=list[str])
    arriving: Callable[[TenantId, RunId, str], Awaitable[None]] | None = None

    def effects(self, tenant: TenantId) -> list[tuple[str, Payload, str]]:
        """Return what was done for a tenant: the kind, what was asked, the run."""
        lines = (self.folder / f"{tenant}.jsonl").read_bytes().splitlines()
        entries = [orjson.loads(line) for line in lines]
        return [(e["kind"], e["payload"], e["run"]) for e in entries if e["outcome"] == "done"]

    def keys(self, tenant: TenantId) -> list[str]:
        lines = (self.folder / f"{tenant}.jsonl").read_bytes().splitlines()
        return [orjson.loads(line)["idempotency_key"] for line in lines]

    def counted(self, app: ASGIApp) -> ASGIApp:
        async def counting(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                if scope["path"].startswith("/pages/"):
                    self.asked.append(scope["path"].removeprefix("/pages/"))
                headers = {name.decode(): value.decode() for name, value in scope["headers"]}
                if self.arriving and scope["method"] != "GET":
                    names = headers["x-mandate-tenant"], headers["x-mandate-run"], headers["idempotency-key"]
                    await self.arriving(TenantId(names[0]), RunId(names[1]), names[2])
            await app(scope, receive, send)

        return counting


@asynccontextmanager
async def open_office(
    folder: Path, seeds: Mapping[str, BackofficeSeed], clock: Clock = CLOCK
) -> AsyncGenerator[Office]:
    """Serve a back office of these tenants in this process."""

    async def authorize(token: str) -> None:
        if token != TOKEN:
            raise Unauthenticated("The token is not known.")

    office = Office(folder)
    app = create_app(authorize=authorize, folder=folder, seeds=seeds, pages=office.pages, clock=clock)
    server = uvicorn.Server(uvicorn.Config(office.counted(app), port=0, log_config=None, lifespan="off"))
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn offers no event to wait for
        await asyncio.sleep(0.005)
    office.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield office
    finally:
        server.should_exit = True
        await task


def person(tenant: TenantId, name: str, *roles: Role) -> TenantContext:
    record = TenantRecord(id=tenant, name="Company", plan="team", region="local")
    return contexts.from_directory(
        record, PrincipalId(derived_id("prn", tenant, name)), roles=roles or [Role.USER], groups=[], correlation="c"
    )


@dataclass
class World:
    """One process of the product over `store`, for the agents `agents`."""

    services: Services
    office: Office
    model: ScriptedModel
    egress: Egress
    policies: Policies

    @property
    def store(self) -> Store:
        return self.services.store

    def runs(self, group: asyncio.TaskGroup) -> Runs:
        """Return what carries runs in `group`."""
        return Runs(self.services, group)

    async def letters(self, context: TenantContext, letters: Sequence[tuple[str, str]]) -> None:
        """Have titles and texts as documents of an inbox, which counts as untrusted."""
        data, owner = self.store.tenant(context), PrincipalId(new_id("prn"))
        inbox = CollectionRecord(
            id="inbox",
            title="Inbox",
            purpose="Letters",
            owner=owner,
            integrity=Integrity.UNTRUSTED,
            confidentiality=Confidentiality.INTERNAL,
        )
        await data.records.put("inbox", inbox, etag=None)
        for title, text in letters:
            name = DocumentId(new_id("doc"))
            pieces = [Content.new(text.encode(), kind=ContentClass.DOCUMENT, owner=owner)]
            await data.content.put(pieces)
            record = DocumentRecord(
                id=name,
                collection="inbox",
                owner=owner,
                title=pieces[0].ref,
                content=pieces[0].ref,
                passages=1,
                run=RunId(new_id("run")),
                brought_at="2026-01-01T00:00:00.000Z",
                updated_at="2026-01-01T00:00:00.000Z",
            )
            await data.records.put(name, record, etag=None)
            shown = passage(text, id_=f"{name}.0", collection="inbox", owner=owner, document=name)
            await index(self.store, context, [replace(shown, heading=title)])

    async def ask(
        self,
        context: TenantContext,
        message: str,
        *,
        agent: str = "support",
        knowledge: bool = False,
        quoted: Sequence[str] = (),
        conversation: ConversationId | None = None,
        run: RunId | None = None,
    ) -> RunId:
        """Ask, and return when the run has ended or waits for a person."""
        await self.sponsored(context)
        run = run or RunId(new_id("run"))
        request = TurnRequest(
            run,
            agent,
            message,
            conversation=conversation,
            use_knowledge=knowledge,
            quoted=tuple(Quoted(role="user", text=text) for text in quoted),
        )
        async with asyncio.TaskGroup() as group:
            await Runs(self.services, group).start(context, request, secrets.token_hex(16))
        return run

    async def sponsored(self, context: TenantContext) -> None:
        """Have an admin of the tenant answer for all agents, if nobody has yet."""
        principals = Principals(self.store, CLOCK, self.services.agents)
        if not await principals.sponsorships(self.store.tenant(context)):
            for agent in self.services.agents:
                await principals.take_on(person(context.tenant, "admin", Role.ADMIN), agent, days=30)

    async def progress(self, context: TenantContext, run: RunId) -> Progress:
        return fold(await read_run(self.store.tenant(context), run))

    async def decide(self, context: TenantContext, approval: ApprovalId, *, approve: bool = True) -> None:
        """Decide as the person of `context`, and return when the run has ended or waits again."""
        async with asyncio.TaskGroup() as group:
            runs = Runs(self.services, group)
            await runs.decide(context, approval, Verdict(approve, "Seen.", secrets.token_hex(16)))

    async def waiting(self, context: TenantContext, run: RunId) -> ApprovalId | None:
        """Return the approval that a run waits for."""
        progress = await self.progress(context, run)
        pending = progress.pending if progress.state is RunState.PARKED else None
        return pending.waiting.approval if pending and pending.waiting else None


def manifests() -> dict[str, AgentManifest]:
    """Return the agents that are shipped, and one that was given hardly anything."""
    shipped = dict(load_agents(ROOT / "agents"))
    clerk = shipped["support"].model_copy(update={"name": "clerk", "tools": ("lookup_order",)})
    return {**shipped, "clerk": clerk}


@asynccontextmanager
async def open_world(
    store: Store,
    office: Office,
    *,
    publisher: str | None = None,
    environment: str = "",
    name: str = "orchestration-1",
    not_entitled: Container[TenantId] = (),
    entitlement: Callable[[], Entitlement] = lambda: ENTITLED,
    guards: Sequence[Guard] | None = None,
) -> AsyncGenerator[World]:
    """Open a process of the product.

    Args:
        store: all of its data.
        office: what tools act upon.
        publisher: other policies of the publisher than those that are shipped.
        environment: policies of the environment.
        name: of the process.
        not_entitled: tenants whose subscription is not active, as it is at each decision.
        entitlement: what everybody has bought, likewise.
        guards: others than the one that needs no service.
    """
    model = ScriptedModel()
    registry = Registry([*backoffice_tools(office.url), *web_page_tools()])
    carriers = Carriers(store, CLOCK, name)
    await carriers.begin()
    keeping = asyncio.create_task(carriers.keep())

    async def token(scope: str) -> str:
        return TOKEN

    async def entitled(tenant: TenantId) -> Entitlement:
        return replace(entitlement(), is_active=tenant not in not_entitled)

    async def no_features(_: TenantData) -> Sequence[str]:
        return ()

    async with open_session() as session:
        egress = Egress(session, [Origin.parse(office.url, scope="office")], token, pages=[f"{office.url}/pages/"])
        switches = Switches(store, CLOCK, agents=["support", "clerk"], tools=[])
        policies = Policies(environment=environment, clock=CLOCK, publisher=publisher)
        yield World(
            Services(
                store=store,
                gate=Gate(policies=policies, switches=switches, environment="local", clock=CLOCK),
                budgets=Budgets(CLOCK, by_plan({"team": Amount(micros=10**12, tokens=10**12)})),
                money=Money(CLOCK),
                models=ModelRouter(Catalogue.model_validate(_CATALOGUE), {"openai": model}, CLOCK),
                registry=registry,
                executor=Executor(registry, egress, CLOCK),
                agents=manifests(),
                clock=CLOCK,
                code_version="1",
                carriers=carriers,
                driver=NoAlarm(),
                sources=NoSources(),
                entitled=entitled,
                guards=[LocalGuard(registry.names)] if guards is None else guards,
                features=no_features,
            ),
            office,
            model,
            egress,
            policies,
        )
    keeping.cancel()


def plain(value: object) -> Mapping[str, object]:
    """Return an object of JSON as a mapping; empty if it is something else."""
    return cast("Mapping[str, object]", value) if isinstance(value, dict) else {}
