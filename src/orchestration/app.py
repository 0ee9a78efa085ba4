"""The internal API of the orchestration service. Only our own services reach it, each call with a tenant assertion.

POST /internal/runs                           open a turn, and stream it or wait for it
GET  /internal/runs/{run}/events              follow a run
POST /internal/runs/{run}/cancel
POST /internal/runs/{run}/effects/{seq}/undo  take back what a run has done
POST /internal/approvals/{approval}/decision
POST /internal/documents                      take a text in
POST /internal/documents/file                 read a file, and take it in
POST /internal/documents/{document}/reindex   index a document again
POST /internal/search                         try a search
POST /internal/checkpoints                    bring what is appended under a checkpoint
POST /internal/seals                          vouch for an archive of the tenant's
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import orjson
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from pydantic import Base64Bytes, BaseModel, ConfigDict, Field

from control import AccessLog, AssertedCall, Calls, Directory, contexts
from core import ApprovalId, ConversationId, DocumentId, RunId, TenantId
from core.errors import NotFound
from data import Projector, RunWriter
from orchestration.approvals import Verdict
from orchestration.checkpointing import Checkpointer
from orchestration.chunking import title_of
from orchestration.erasure import Eraser
from orchestration.ingestion import (
    DocumentRequest,
    Original,
    begin_ingestion,
    begin_reindexing,
    carry_ingestion,
)
from orchestration.opening import TurnRequest
from orchestration.quoting import Quoted
from orchestration.runs import Runs
from orchestration.sealing import Sealer
from orchestration.searching import SearchRequest, search
from orchestration.sweeping import Sweeper
from orchestration.turn import Services
from orchestration.undoing import UndoRequest
from reading import cleaned
from telemetry import extract
from web import EventStreamResponse, create_service

DRAIN_SECONDS = 8.0
"""How long a stopping process waits for its runs to come to a safe point."""

MAX_FILE_BODY = 14_000_000
"""Bytes of a request with a file of 10 MB, which travels as Base64."""

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
    eraser: Eraser
    sweeper: Sweeper
    checkpointer: Checkpointer
    sealer: Sealer


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StartBody(_Body):
    run: RunId
    agent: str
    message: str
    conversation: ConversationId | None
    use_knowledge: bool
    quoted: tuple[Quoted, ...] = ()
    replaces: RunId | None = None
    stream: bool


class DecisionBody(_Body):
    approve: bool
    reason: str = Field(min_length=1)
    through: str = Field(default="", pattern=r"^(dap_[0-9a-z]{26})?$")


class UndoBody(_Body):
    reason: str = Field(min_length=1)


class DocumentBody(_Body):
    """`wait`: until it is indexed; else until it is written down that it will be."""

    run: RunId
    collection: str
    title: str
    text: str
    wait: bool


class FileBody(_Body):
    """A file: `title` is none where it is the file's to say, `name` what it is called if it does not."""

    run: RunId
    collection: str
    title: str | None
    name: str
    media_type: str
    file: Base64Bytes
    wait: bool


class AgainBody(_Body):
    run: RunId
    wait: bool


class SearchBody(_Body):
    run: RunId
    text: str
    collections: tuple[str, ...]
    limit: int


class SealBody(_Body):
    manifest: str = Field(pattern=r"^[0-9a-f]{64}$")


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
    request = TurnRequest(
        body.run, body.agent, body.message, body.conversation, body.use_knowledge, body.quoted, body.replaces
    )
    await runs.start(call.context, request, call.nonce, parent=extract(http.headers))
    stream = runs.follow(call.context, body.run, after=0, until_parked=True, seconds=STREAM_SECONDS)
    if body.stream:
        return EventStreamResponse(stream)
    async for _ in stream:
        pass
    return Response(status_code=204)


@router.get("/runs/{run}/events")
async def follow(run: RunId, after: int, call: Call, runs: TheRuns, services: TheServices) -> Response:
    """Follow a run from behind event number `after` until it ends; a parked run is followed on."""
    if not await services.store.tenant(call.context).log.read(run, limit=1):
        raise NotFound("There is no such run.")
    return EventStreamResponse(runs.follow(call.context, run, after=after, until_parked=False, seconds=STREAM_SECONDS))


@router.post("/runs/{run}/cancel", status_code=204)
async def cancel(run: RunId, call: Call, runs: TheRuns) -> None:
    await runs.cancel(call.context, run)


@router.post("/agents/{agent}/end", status_code=204)
async def end_all(agent: str, call: Call, runs: TheRuns) -> None:
    """End all runs of an agent that was revoked."""
    await runs.end_all(call.context, agent)


@router.post("/runs/{run}/effects/{seq}/undo")
async def undo(run: RunId, seq: int, body: UndoBody, call: Call, runs: TheRuns) -> Response:
    """Answer with the run that takes it back, once that has ended or waits for a person."""
    undoing = await runs.undo(call.context, UndoRequest(run, seq, body.reason), call.nonce)
    async for _ in runs.follow(call.context, undoing, after=0, until_parked=True, seconds=STREAM_SECONDS):
        pass
    return Response(orjson.dumps({"run": undoing}), media_type="application/json")


@router.post("/approvals/{approval}/decision", status_code=204)
async def decide(approval: ApprovalId, body: DecisionBody, call: Call, runs: TheRuns) -> None:
    await runs.decide(call.context, approval, Verdict(body.approve, body.reason, call.nonce, body.through))


@router.post("/documents")
async def add_document(body: DocumentBody, call: Call, services: TheServices, runs: TheRuns) -> Response:
    text = await asyncio.to_thread(cleaned, body.text)
    request = DocumentRequest(body.run, body.collection, body.title, text)
    return await _indexed(services, runs, begin_ingestion(services, call.context, request, call.nonce), wait=body.wait)


@router.post("/documents/file")
async def add_file(body: FileBody, call: Call, services: TheServices, runs: TheRuns) -> Response:
    read = await services.readers.read(body.file, body.media_type)
    title = body.title or title_of(read.markdown, body.name)
    original = None if read.markdown.encode() == body.file else Original(body.file, read.media_type)
    request = DocumentRequest(body.run, body.collection, title, read.markdown, original)
    return await _indexed(services, runs, begin_ingestion(services, call.context, request, call.nonce), wait=body.wait)


@router.post("/documents/{document}/reindex")
async def reindex(document: DocumentId, body: AgainBody, call: Call, services: TheServices, runs: TheRuns) -> Response:
    begun = begin_reindexing(services, call.context, body.run, document, call.nonce)
    return await _indexed(services, runs, begun, wait=body.wait)


@router.post("/search")
async def try_search(body: SearchBody, call: Call, services: TheServices) -> Response:
    request = SearchRequest(body.run, body.text, body.collections, body.limit)
    return Response(
        orjson.dumps(await search(services, call.context, request, call.nonce)), media_type="application/json"
    )


@router.post("/checkpoints", status_code=204)
async def checkpoint(call: Call, http: Request) -> None:
    """Bring what is appended of the tenant under a checkpoint."""
    dependencies: OrchestrationDependencies = http.app.state.dependencies
    await dependencies.checkpointer.now(call.context.tenant)


@router.post("/seals")
async def seal(body: SealBody, call: Call, http: Request) -> Response:
    """Vouch for an archive of the tenant's, whose manifest has this SHA-256."""
    dependencies: OrchestrationDependencies = http.app.state.dependencies
    made = await dependencies.sealer.seal(call.context, body.manifest)
    return Response(made.model_dump_json(), media_type="application/json")


async def _indexed(
    services: Services, runs: Runs, begun: Awaitable[tuple[RunWriter, DocumentId]], *, wait: bool
) -> Response:
    writer, document = await begun
    if wait:
        await carry_ingestion(services, writer)
    else:
        runs.index(writer)
    return Response(orjson.dumps({"document": document}), media_type="application/json")


def create_app(dependencies: OrchestrationDependencies) -> FastAPI:
    """Return the service. While it lives it carries runs, keeps time and projects views."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        services = dependencies.services
        async with asyncio.TaskGroup() as group:
            app.state.runs = runs = Runs(services, group)

            async def look(tenant: TenantId, run: RunId) -> bool:
                return await runs.look(contexts.platform(await dependencies.directory.tenant(tenant), "driver"), run)

            await services.carriers.begin()
            await services.driver.start(look)
            driving, erasing = services.driver.drive(look), dependencies.eraser.run()
            keeping = (services.carriers.keep(), dependencies.projector.run(), dependencies.sweeper.run())
            vouching = dependencies.checkpointer.run()
            work = (driving, erasing, *keeping, vouching)
            background = [group.create_task(each) for each in work]
            yield
            await runs.drain(DRAIN_SECONDS)
            await services.carriers.end()
            for task in background:
                task.cancel()

    app = create_service(
        name="orchestration",
        version=dependencies.services.code_version,
        ready=dependencies.services.store.ready,
        max_body=2_000_000,
        max_body_per_path={"/internal/documents": MAX_FILE_BODY},
        lifespan=lifespan,
    )
    app.state.dependencies = dependencies
    app.include_router(router)
    return app
