"""Taking a document in: a run like any other. Cut, embedded and indexed in batches, each decided and written down."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import orjson

from control import ActionRequest, AgentFacts, Granted, Situation
from core import (
    ActionKind,
    Content,
    ContentClass,
    DocumentId,
    Json,
    PrincipalKind,
    RunId,
    TenantContext,
    derived_id,
    timestamp,
)
from core.errors import BudgetSpent, Forbidden, MandateError, NotFound, PreconditionFailed, TooLarge
from core.events import DocumentReceived, PassagesIndexed, RunEnded, RunKind, RunState, Usage
from data import Passage, RunWriter, TenantData, indexing
from models import EmbedRequest
from orchestration.chunking import Chunk, chunk_markdown
from orchestration.labelling import OWN_WORDS
from orchestration.opening import Opening, open_run
from orchestration.records import CollectionRecord, DocumentRecord
from orchestration.retrieval import EMBED
from orchestration.state import Progress, fold
from orchestration.turn import Services

BATCH = 16
"""Passages per embedding call, decision and progress event."""

MAX_PASSAGES = 2000
BATCH_SECONDS = 120

PERSON = AgentFacts(kind=PrincipalKind.USER)
"""Nobody acts for the person here: they bring the document themselves."""


@dataclass(frozen=True, slots=True)
class DocumentRequest:
    """A document as somebody gives it: Markdown or plain text."""

    run: RunId
    collection: str
    title: str
    text: str

    @property
    def payload(self) -> bytes:
        return orjson.dumps({"collection": self.collection, "title": self.title, "text": self.text})


@dataclass(frozen=True, slots=True)
class _Document:
    """A document on its way into the index."""

    writer: RunWriter
    record: DocumentRecord
    chunks: Sequence[Chunk]
    progress: Progress


async def ingest(services: Services, context: TenantContext, request: DocumentRequest, nonce: str) -> DocumentId:
    """Take a document in, and return its id; everything is on disk, and can be found, on return.

    The same run again (a retry, or after a crash) goes on after the last batch that was indexed.

    Raises:
        NotFound: no such collection, or one that the principal may not read.
        Forbidden: policy does not let them add to it.
        TooLarge: more than `MAX_PASSAGES` passages.
    """
    data = services.store.tenant(context)
    collection = await _collection(data, request.collection)
    if len(chunk_markdown(request.title, request.text)) > MAX_PASSAGES:
        raise TooLarge(f"A document may have {MAX_PASSAGES} passages at most; split it into several.")
    payload = Content.new(
        request.payload,
        kind=ContentClass.DOCUMENT,
        owner=context.principal.id,
        confidentiality=collection.confidentiality,
    )
    writer, _ = await open_run(services, context, Opening(RunKind.INGESTION, request.run, nonce, payload))
    return await carry_ingestion(services, writer)


async def carry_ingestion(services: Services, writer: RunWriter) -> DocumentId:
    """Do what remains of an ingestion, from its log. Raises as `ingest` does."""
    try:
        document = await _receive(services, writer)
        while document.progress.ended is None and document.progress.indexed < len(document.chunks):
            await _index_batch(services, document)
            document = await _receive(services, writer)
        if document.progress.ended is None:
            await writer.append([RunEnded(state=RunState.COMPLETED, usage=document.progress.usage)])
    except MandateError as error:
        await _fail(writer, error)
        raise
    return document.record.id


async def _fail(writer: RunWriter, error: MandateError) -> None:
    state = RunState.LIMIT_REACHED if isinstance(error, BudgetSpent) else RunState.FAILED
    progress = fold(writer.events)
    if progress.ended is None and writer.durable == writer.seq:
        await writer.append([RunEnded(state=state, code=error.code, usage=progress.usage)])


async def _receive(services: Services, writer: RunWriter) -> _Document:
    """Return the document as the log knows it, received by a first event if it is new."""
    progress = fold(writer.events)
    assert progress.run.message is not None
    payload = orjson.loads(await writer.data.content.get(progress.run.message))
    chunks = chunk_markdown(payload["title"], payload["text"])
    record = await _record(services, writer, payload["collection"], payload["title"], len(chunks))
    if progress.received is None:
        await writer.append(
            [
                DocumentReceived(
                    document=record.id,
                    collection=record.collection,
                    version=1,
                    label=record.label,
                    readers=record.readers,
                    content=progress.run.message,
                    passages=len(chunks),
                )
            ]
        )
        progress = fold(writer.events)
    return _Document(writer, record, chunks, progress)


async def _record(
    services: Services, writer: RunWriter, collection_id: str, title: str, passages: int
) -> DocumentRecord:
    records, context = writer.data.records, writer.data.context
    document = DocumentId(derived_id("doc", context.tenant, writer.run))
    found = await records.get(DocumentRecord, document)
    if found is not None:
        return found.value
    collection = await _collection(writer.data, collection_id)
    name = Content.new(title.encode(), kind=ContentClass.TITLE, owner=context.principal.id)
    await writer.data.content.put([name])
    message = fold(writer.events).run.message
    assert message is not None
    record = DocumentRecord(
        id=document,
        collection=collection.id,
        owner=context.principal.id,
        label=collection.label,
        readers=collection.readers,
        title=name.ref,
        content=message,
        passages=passages,
        run=writer.run,
        updated_at=timestamp(services.clock.now()),
    )
    try:
        await records.put(document, record, etag=None)
    except PreconditionFailed:
        return await _record(services, writer, collection_id, title, passages)
    return record


async def _collection(data: TenantData, name: str) -> CollectionRecord:
    found = await data.records.get(CollectionRecord, name)
    context = data.context
    if found is None or not found.value.readable_by(context.principal):
        raise NotFound("There is no such collection. See GET /v1/collections for those that you can use.")
    return found.value


async def _index_batch(services: Services, document: _Document) -> None:
    writer, start = document.writer, document.progress.indexed
    chunks = document.chunks[start : start + BATCH]
    request = EmbedRequest(EMBED, tuple(f"{c.heading}\n{c.text}" for c in chunks), "passage")
    planned = [_passage(document, start + n, chunk, b"") for n, chunk in enumerate(chunks)]
    budget_left = await services.budgets.left(writer.data)
    verdicts = await services.gate.authorize(
        writer,
        PERSON,
        _actions(document, request, indexing(planned)),
        situation=Situation(label=OWN_WORDS, budget_left_micros=budget_left, entitled=True),
    )
    embed, index = verdicts
    if not isinstance(embed, Granted) or not isinstance(index, Granted):
        refusal = next(verdict for verdict in verdicts if not isinstance(verdict, Granted))
        raise Forbidden(f"You may not add to this collection: {refusal.decision.reason}", code="access.policy")
    context = writer.data.context
    embedded = await services.models.embed(
        embed.permit,
        request,
        plan=context.plan,
        region=context.region,
        deadline=services.clock.now() + timedelta(seconds=BATCH_SECONDS),
    )
    passages = [replace(passage, vector=vector) for passage, vector in zip(planned, embedded.vectors, strict=True)]
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
            facts={"tokens_in_run": document.progress.usage.input_tokens},
        ),
        ActionRequest(
            kind=ActionKind.INGEST,
            target=record.collection,
            step=0,
            arguments=arguments,
            facts={"collection_integrity": record.label.integrity.value},
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
        label=record.label,
        readers=record.readers,
        owner=record.owner,
    )
