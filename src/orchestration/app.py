"""The internal API of the orchestration service. Only our own services reach it, each call with a tenant assertion.

POST /internal/runs                           open a turn, and stream it or wait for it
GET  /internal/runs/{run}/events              follow a run
POST /internal/runs/{run}/cancel
POST /internal/approvals/{approval}/decision
POST /internal/documents                      take a document in
POST /internal/search                         try a search
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import orjson
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from control import AccessLog, AssertedCall, Calls, Directory
from core import ApprovalId, ConversationId, RunId
from data import Projector
from orchestration.driver import Driver
from orchestration.ingestion import DocumentRequest, ingest
from orchestration.opening import TurnRequest
from orchestration.quoting import Quoted
from orchestration.runs import Runs
from orchestration.searching import SearchRequest, search
from orchestration.turn import Services
from telemetry import extract
from web import EventStreamResponse, create_service

DRAIN_SECONDS = 8.0
"""How long a stopping process waits for its runs to come to a safe point."""

STREAM_SECONDS = 600.0
"""How long one stream lasts at most; clients reconnect with their last event id."""


@dataclass(frozen=True, slots=True)
class OrchestrationDependencies:
    """What the composition root gives this service."""

    services: Services
    directory: Directory
    projector: Projector
    calls: Calls
    access: AccessLog


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StartBody(_Body):
    run: RunId
    agent: str
    message: str
    conversation: ConversationId | None
    use_knowledge: bool
    quoted: tuple[Quoted, ...] = ()
    stream: bool


class DecisionBody(_Body):
    approve: bool
    reason: str = Field(min_length=1)


class DocumentBody(_Body):
    run: RunId
    collection: str
    title: str
    text: str


class SearchBody(_Body):
    run: RunId
    text: str
    collections: tuple[str, ...]
    limit: int


async def _call(request: Request) -> AssertedCall:
    dependencies: OrchestrationDependencies = request.app.state.dependencies
    return await dependencies.calls.recorded(request, dependencies.access)


async def _runs(request: Request) -> Runs:
    return request.app.state.runs


async def _services(request: Request) -> Services:
    return request.app.state.dependencies.services


Call: TypeAlias = Annotated[AssertedCall, Depends(_call)]
TheRuns: TypeAlias = Annotated[Runs, Depends(_runs)]
TheServices: TypeAlias = Annotated[Services, Depends(_services)]

router = APIRouter(prefix="/internal")


@router.post("/runs")
async def start(body: StartBody, call: Call, runs: TheRuns, http: Request) -> Response:
    """Open a turn; answer with its event stream, or with nothing once it has ended or waits for a person."""
    request = TurnRequest(body.run, body.agent, body.message, body.conversation, body.use_knowledge, body.quoted)
    await runs.start(call.context, request, call.nonce, parent=extract(http.headers))
    stream = runs.follow(call.context, body.run, after=0, until_parked=True, seconds=STREAM_SECONDS)
    if body.stream:
        return EventStreamResponse(stream)
    async for _ in stream:
        pass
    return Response(status_code=204)


@router.get("/runs/{run}/events")
async def follow(run: RunId, after: int, call: Call, runs: TheRuns) -> Response:
    """Follow a run from behind event number `after` until it ends; a parked run is followed on."""
    return EventStreamResponse(runs.follow(call.context, run, after=after, until_parked=False, seconds=STREAM_SECONDS))


@router.post("/runs/{run}/cancel", status_code=204)
async def cancel(run: RunId, call: Call, runs: TheRuns) -> None:
    await runs.cancel(call.context, run)


@router.post("/approvals/{approval}/decision", status_code=204)
async def decide(approval: ApprovalId, body: DecisionBody, call: Call, runs: TheRuns) -> None:
    await runs.decide(call.context, approval, approve=body.approve, reason=body.reason, nonce=call.nonce)


@router.post("/documents")
async def add_document(body: DocumentBody, call: Call, services: TheServices) -> Response:
    request = DocumentRequest(body.run, body.collection, body.title, body.text)
    document = await ingest(services, call.context, request, call.nonce)
    return Response(orjson.dumps({"document": document}), media_type="application/json")


@router.post("/search")
async def try_search(body: SearchBody, call: Call, services: TheServices) -> Response:
    request = SearchRequest(body.run, body.text, body.collections, body.limit)
    return Response(
        orjson.dumps(await search(services, call.context, request, call.nonce)), media_type="application/json"
    )


def create_app(dependencies: OrchestrationDependencies) -> FastAPI:
    """Return the service. While it lives it carries runs, keeps time and projects views."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        services = dependencies.services
        async with asyncio.TaskGroup() as group:
            runs = Runs(services, group)
            driver = Driver(services, runs, dependencies.directory, dependencies.projector)
            app.state.runs = runs
            await driver.start_up()
            background = [group.create_task(driver.keep_time()), group.create_task(dependencies.projector.run())]
            yield
            await runs.drain(DRAIN_SECONDS)
            for task in background:
                task.cancel()

    app = create_service(
        name="orchestration",
        version=dependencies.services.code_version,
        ready=dependencies.services.store.ready,
        max_body=2_000_000,
        lifespan=lifespan,
    )
    app.state.dependencies = dependencies
    app.include_router(router)
    return app
