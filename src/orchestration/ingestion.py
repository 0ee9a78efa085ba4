"""Taking a document in: a run like any other. Cut, embedded and indexed in batches, each decided and written down."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import orjson

from control import ActionRequest, AgentFacts, Granted, Situation, Used
from core import (
    ActionKind,
    Content,
    ContentClass,
    DocumentId,
    Json,
    PrincipalKind,
    RunId,
    TenantContext,
    digest,
)
from core.bodies import DocumentReceived, PassagesIndexed, RunEnded
from core.errors import BudgetSpent, Conflict, Forbidden, MandateError, NotFound, TooLarge
from core.parts import RunKind, RunState, Usage
from data import Passage, RunWriter, indexing
from models import EmbedRequest
from orchestration.carriers import Lease
from orchestration.chunking import Chunk, chunk_markdown
from orchestration.documents import collection_named, collection_of, document_of, free_document, gone, words_of
from orchestration.labelling import OWN_WORDS
from orchestration.opening import Opening, open_run
from orchestration.records import CollectionRecord, DocumentRecord
from orchestration.retrieval import EMBED, first_refusal
from orchestration.state import Progress, fold
from orchestration.turn import Services

BATCH = 16
"""Passages per embedding call, decision and progress event."""

MAX_PASSAGES = 2000
BATCH_SECONDS = 120

PERSON = AgentFacts(kind=PrincipalKind.USER)
"""Nobody acts for the person here: they bring the document themselves."""


@dataclass(frozen=True, slots=True)
class Original:
    """The file that a document was read from."""

    data: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class DocumentRequest:
    """A document to be taken in: its text is Markdown or plain text. `original` is the file, if there was one."""

    run: RunId
    collection: str
    title: str
    text: str
    original: Original | None = None

    @property
    def payload(self) -> bytes:
        said = {"collection": self.collection, "title": self.title, "text": self.text}
        if self.original:
            said |= {"media_type": self.original.media_type, "sha256": digest(self.original.data)}
        return orjson.dumps(said)


@dataclass(frozen=True, slots=True)
class _Document:
    """A document on its way into the index."""

    writer: RunWriter
    record: DocumentRecord
    collection: CollectionRecord
    chunks: Sequence[Chunk]
    progress: Progress


async def begin_ingestion(
    services: Services, context: TenantContext, request: DocumentRequest, nonce: str
) -> tuple[RunWriter, DocumentId]:
    """Write down that a document is to be taken in, and return what carries it on, and its id; it can be read now.

    The same run again (a retry, or after a crash) goes on after the last batch that was indexed.

    Raises:
        NotFound: no such collection, or one that the principal may not read.
        TooLarge: more than `MAX_PASSAGES` passages.
        Unprocessable: the idempotency key was used for another document.
    """
    data = services.store.tenant(context)
    collection = await collection_named(data, request.collection)
    if len(chunk_markdown(request.title, request.text)) > MAX_PASSAGES:
        raise TooLarge(f"A document may have {MAX_PASSAGES} passages at most; split it into several.")

    def content(said: bytes) -> Content:
        owner, level = context.principal.id, collection.confidentiality
        return Content.new(said, kind=ContentClass.DOCUMENT, owner=owner, confidentiality=level)

    file = content(request.original.data) if request.original else None
    return await _begin(
        services, context, Opening(RunKind.INGESTION, request.run, nonce, content(request.payload), attachment=file)
    )


async def begin_reindexing(
    services: Services, context: TenantContext, run: RunId, document: DocumentId, nonce: str
) -> tuple[RunWriter, DocumentId]:
    """As `begin_ingestion`, for a document that is there: from its stored text.

    Raises:
        NotFound: there is none.
        Conflict: it is being indexed at this moment.
    """
    await free_document(services.store.tenant(context), document)
    said = Content.new(orjson.dumps({"again": document}), kind=ContentClass.DOCUMENT, owner=context.principal.id)
    return await _begin(services, context, Opening(RunKind.INGESTION, run, nonce, said))


async def _begin(services: Services, context: TenantContext, opening: Opening) -> tuple[RunWriter, DocumentId]:
    writer, _ = await open_run(services, context, opening)
    if not fold(writer.events).ended:
        async with _ending(writer):
            await _receive(services, writer)
    received = fold(writer.events).received
    if received is None:
        raise Conflict("The run has ended without the document. Send it again, as a new request.", code="run.ended")
    return writer, received.document


async def carry_ingestion(services: Services, writer: RunWriter) -> None:
    """Do what remains of an ingestion, from its log; what is indexed can be found.

    Raises:
        Forbidden: policy does not let them add to the collection.
        NotFound: the document was erased meanwhile.
    """
    if fold(writer.events).ended:
        return
    lease = services.carriers.lease
    async with _ending(writer):
        document = await _receive(services, writer)
        while document.progress.indexed < len(document.chunks):
            await _index_batch(services, document, lease)
            document = await _receive(services, writer)
        await writer.data.knowledge.remove(document.record.id, keep=len(document.chunks))
        await writer.append([RunEnded(state=RunState.COMPLETED, usage=document.progress.usage)])


class _LeaseLost(Conflict):
    """Another process may index this document by now, or it may be gone."""


@asynccontextmanager
async def _ending(writer: RunWriter) -> AsyncGenerator[None]:
    """End the run with the code of what goes wrong, unless another process may have taken it over."""
    try:
        yield
    except _LeaseLost:
        raise
    except MandateError as error:
        refused = RunState.REFUSED if error.code.startswith("refused.") else RunState.FAILED
        state = RunState.LIMIT_REACHED if isinstance(error, BudgetSpent) else refused
        progress = fold(writer.events)
        if progress.ended is None and writer.durable == writer.seq:
            await writer.append([RunEnded(state=state, code=error.code, usage=progress.usage)])
        raise


async def _receive(services: Services, writer: RunWriter) -> _Document:
    """Return the document as the log and its record know it, received by a first event if that is new."""
    progress = fold(writer.events)
    try:
        record = await document_of(services.clock, writer, progress)
        collection = await collection_of(writer.data, record)
        title, text = await words_of(writer.data, record)
    except NotFound:
        if progress.received is None:
            raise
        # Erased meanwhile: what this run may still have indexed goes too.
        await writer.data.knowledge.remove(progress.received.document)
        raise gone() from None
    chunks = chunk_markdown(title, text)
    if progress.received is None:
        await writer.append([_received(record, collection, len(chunks))])
        progress = fold(writer.events)
    return _Document(writer, record, collection, chunks, progress)


def _received(record: DocumentRecord, collection: CollectionRecord, passages: int) -> DocumentReceived:
    return DocumentReceived(
        document=record.id,
        collection=record.collection,
        version=record.version,
        label=collection.label,
        readers=collection.readers,
        content=record.content,
        passages=passages,
    )


async def _index_batch(services: Services, document: _Document, lease: Lease) -> None:
    writer, start = document.writer, document.progress.indexed
    chunks = document.chunks[start : start + BATCH]
    request = EmbedRequest(EMBED, tuple(f"{c.heading}\n{c.text}" for c in chunks), "passage")
    planned = [_passage(document, start + n, chunk, b"") for n, chunk in enumerate(chunks)]
    budget_left = await services.budgets.left(writer.data)
    verdicts = await services.gate.authorize(
        writer,
        PERSON,
        _actions(document, request, indexing(planned)),
        situation=Situation(
            label=OWN_WORDS,
            budget_left_micros=budget_left,
            entitled=await services.entitled(writer.data.context.tenant),
            used=Used(tokens=document.progress.usage.input_tokens),
        ),
    )
    embed, index = verdicts
    if not isinstance(embed, Granted) or not isinstance(index, Granted):
        refusal = first_refusal(verdicts)
        said = f"You may not add to this collection: {refusal.decision.reason}"
        raise Forbidden(said, code=refusal.ends or "access.policy")
    context = writer.data.context
    embedded = await services.models.embed(
        embed.permit,
        request,
        plan=context.plan,
        region=context.region,
        deadline=services.clock.now() + timedelta(seconds=BATCH_SECONDS),
    )
    passages = [replace(passage, vector=vector) for passage, vector in zip(planned, embedded.vectors, strict=True)]
    if not lease.held:
        raise _LeaseLost("This process lost its hold on the document.", code="run.lease")
    await writer.data.knowledge.index(index.permit, passages)
    usage = Usage(input_tokens=embedded.input_tokens, cost_micros=embedded.cost_micros, model_calls=1)
    done = start + len(chunks)
    await writer.append(
        [PassagesIndexed(document=document.record.id, done=done, total=len(document.chunks), usage=usage)]
    )


def _actions(document: _Document, request: EmbedRequest, arguments: Json) -> list[ActionRequest]:
    record = document.record
    return [
        ActionRequest(
            kind=ActionKind.CALL_MODEL,
            target=EMBED,
            step=0,
            arguments=request.fingerprint(),
            facts={},
        ),
        ActionRequest(
            kind=ActionKind.INGEST,
            target=record.collection,
            step=0,
            arguments=arguments,
            facts={"collection_integrity": document.collection.integrity.value},
        ),
    ]


def _passage(document: _Document, ordinal: int, chunk: Chunk, vector: bytes) -> Passage:
    record = document.record
    return Passage(
        id=f"{record.id}.{ordinal}",
        document=record.id,
        collection=record.collection,
        ordinal=ordinal,
        heading=chunk.heading,
        text=chunk.text,
        vector=vector,
        term=record.term,
    )
