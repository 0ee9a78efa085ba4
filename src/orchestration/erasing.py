"""The steps of an erasure, one for each store that holds something of a document, a person or a tenant.

Each finds for itself what there is and destroys it; done again, it finds nothing more. `orchestration.stores` says
which step belongs to which store, `orchestration.erasure` takes them.
"""

from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass

from control import (
    BindingRecord,
    ErasureRecord,
    MemberRecord,
    OverrideRecord,
    PersonRecord,
    SessionRecord,
    SubscriptionRecord,
    TenantRecord,
    contexts,
    sponsor_gone,
)
from core import (
    Clock,
    ContentId,
    DocumentId,
    Effect,
    PrincipalId,
    RunId,
)
from core.bodies import AnswerGiven, PassagesRetrieved, RunEnded
from core.errors import Conflict, Defect, PreconditionFailed
from core.parts import RunKind, RunState
from data import USES, Part, Piece, R, Record, RunWriter, Store, TenantData, Versioned, read_run
from orchestration.records import ConversationRecord, DeputyRecord, DocumentRecord
from orchestration.state import Progress, fold

_ENDLESS = (RunKind.ACCESS, RunKind.ADMIN)


@dataclass(frozen=True, slots=True)
class Erasing:
    """An erasure under way.

    Attributes:
        data: of the tenant, under the platform's own authority.
        effect_of: the effect of a tool by its name.
    """

    store: Store
    record: ErasureRecord
    clock: Clock
    effect_of: Callable[[str], Effect | None]

    @property
    def data(self) -> TenantData:
        return self.store.tenant(contexts.from_erasure(self.record))

    @property
    def directory(self) -> TenantData:
        return self.store.tenant(contexts.publisher("erasure"))

    @property
    def person(self) -> PrincipalId | None:
        return PrincipalId(self.record.target) if self.record.subject == "person" else None

    @property
    def document(self) -> DocumentId:
        return DocumentId(self.record.target)


async def end_runs(erasing: Erasing) -> int:
    """End whatever is under way or waits for somebody, of the person or of everybody."""
    ended = 0
    async for run in erasing.store.governed.runs(erasing.record.tenant):
        with suppress(Defect):  # its log is broken: nobody can carry it on, nor end it
            ended += await _ended(erasing, run)
    return ended


async def _ended(erasing: Erasing, run: RunId) -> bool:
    """Return whether this ended the run; whoever carries it finds its next event's place taken."""
    platform = contexts.from_erasure(erasing.record).principal.actor
    while True:
        writer = RunWriter(erasing.data, run, actor=platform, clock=erasing.clock)
        writer.events = await read_run(erasing.data, run)
        writer.durable = writer.seq
        progress = fold(writer.events)
        theirs = erasing.person in (None, writer.events[0].event.actor.id)
        if progress.ended or progress.run.kind in _ENDLESS or not theirs:
            return False
        with suppress(Conflict):  # an event came between: look again
            code = f"erasure.{erasing.record.subject}"
            await writer.append([RunEnded(state=_end_of(erasing, progress), code=code, usage=progress.usage)])
            return True


def _end_of(erasing: Erasing, progress: Progress) -> RunState:
    """Nobody can say any more what came of an effect that is under way."""
    pending = progress.pending
    unknown = pending is not None and pending.in_flight and erasing.effect_of(pending.tool) is not Effect.READ
    return RunState.OUTCOME_UNKNOWN if unknown else RunState.CANCELLED


async def all_content(erasing: Erasing) -> int:
    return await erasing.store.governed.erase_all(erasing.record.tenant, Part.CONTENT)


async def all_knowledge(erasing: Erasing) -> int:
    return await erasing.store.governed.erase_all(erasing.record.tenant, Part.KNOWLEDGE)


async def all_records(erasing: Erasing) -> int:
    return await erasing.store.governed.erase_all(erasing.record.tenant, Part.RECORDS)


async def passages_of_document(erasing: Erasing) -> int:
    return await erasing.data.knowledge.remove(erasing.document)


async def content_of_document(erasing: Erasing) -> int:
    """Erase the document itself, what runs were shown of it, and the answers that cite it."""
    return await _erase(erasing.data, await content_ids_of_document(erasing.data, erasing.document))


async def content_ids_of_document(data: TenantData, document: DocumentId) -> set[ContentId]:
    """Return all that has a document's words, as far as the views know where it was used."""
    ids: set[ContentId] = set()
    if found := await data.records.get(DocumentRecord, document):
        ids |= _words_of(found.value)
    cursor = None
    while True:
        uses = await data.views.list(USES.view, states=[document], cursor=cursor)
        for use in uses.items:
            ids |= await shown_of(data, use.run, document)
        cursor = uses.cursor
        if cursor is None:
            return ids


async def shown_of(data: TenantData, run: RunId, document: DocumentId) -> set[ContentId]:
    """Return the content of a run that shows a document's words: the passages, and an answer that cites them.

    Passages are erased as a whole: a commitment covers them as they were shown. Which they were stays in the log, and
    those of other documents can still be read where they came from.
    """
    ids: set[ContentId] = set()
    for stored in await read_run(data, run):
        match stored.event.body:
            case PassagesRetrieved(content=ref, passages=uses) if document in {use.document for use in uses}:
                ids.add(ref.id)
            case AnswerGiven(message=ref, citations=uses) if document in {use.document for use in uses}:
                ids.add(ref.id)
            case _:
                pass
    return ids


async def content_of_person(erasing: Erasing) -> int:
    """Erase what somebody said and was told, and their profile. Documents stay: they are the organisation's."""
    kept: set[ContentId] = set()
    async for found in each(erasing.data, DocumentRecord):
        kept |= _words_of(found.value)
    ids = {piece.id async for piece in pieces(erasing.data, erasing.person)}
    return await _erase(erasing.data, ids - kept)


async def pieces(data: TenantData, owner: PrincipalId | None = None) -> AsyncIterator[Piece]:
    """Yield what there is of somebody's content, of everybody's if None; without the content itself."""
    cursor = None
    while True:
        page = await data.content.list(owner=owner, cursor=cursor)
        for piece in page.items:
            yield piece
        cursor = page.cursor
        if cursor is None:
            return


def _words_of(document: DocumentRecord) -> set[ContentId]:
    return {ref.id for ref in (document.title, document.content, document.original) if ref}


async def _erase(data: TenantData, ids: Iterable[ContentId]) -> int:
    ordered, erased = sorted(ids), 0
    for start in range(0, len(ordered), 500):
        erased += await data.content.erase(ordered[start : start + 500])
    return erased


async def record_of_document(erasing: Erasing) -> int:
    return await _delete(erasing.data, DocumentRecord, [erasing.document])


async def records_of_person(erasing: Erasing) -> int:
    data, person = erasing.data, erasing.person
    conversations = [f.key async for f in each(data, ConversationRecord) if f.value.owner == person]
    members = [f.key async for f in each(data, MemberRecord) if f.value.principal == person]
    deleted = await _delete(data, ConversationRecord, conversations) + await _delete(data, MemberRecord, members)
    assert person is not None
    await sponsor_gone(data, person)
    named = [f.key async for f in each(data, DeputyRecord) if person in (f.value.absent, f.value.deputy)]
    deleted += await _delete(data, DeputyRecord, named)
    return deleted + await _delete(data, PersonRecord, [str(person)])


async def directory_entries(erasing: Erasing) -> int:
    directory, tenant = erasing.directory, erasing.record.tenant
    bindings = [f.key async for f in each(directory, BindingRecord) if f.value.tenant == tenant]
    laid_down = await _delete(directory, OverrideRecord, [tenant])
    entry = await _delete(directory, TenantRecord, [tenant])
    return await _delete(directory, BindingRecord, bindings) + laid_down + entry


async def subscriptions(erasing: Erasing) -> int:
    """Take out of the tenant's subscriptions who they were for; that they were, and what was paid for, stays."""
    tenant = erasing.record.tenant
    theirs = [f.key async for f in each(erasing.directory, SubscriptionRecord) if f.value.tenant == tenant]
    return sum([await _bared(erasing.directory, key) for key in theirs])


async def _bared(directory: TenantData, key: str) -> bool:
    while True:
        found = await directory.records.get(SubscriptionRecord, key)
        if found is None or found.value.is_bare:
            return False
        await directory.content.erase([piece.id for piece in found.value.said])
        with suppress(PreconditionFailed):
            await directory.records.put(key, found.value.bare(), etag=found.etag)
            return True


async def sessions(erasing: Erasing) -> int:
    record = erasing.record
    theirs = [
        found.key
        async for found in each(erasing.directory, SessionRecord)
        if found.value.tenant == record.tenant and erasing.person in (None, found.value.principal)
    ]
    return await _delete(erasing.directory, SessionRecord, theirs)


async def each(data: TenantData, model: type[R]) -> AsyncIterator[Versioned[R]]:
    """Yield all records of a kind."""
    cursor = None
    while True:
        page = await data.records.list(model, cursor=cursor)
        for found in page.items:
            yield found
        cursor = page.cursor
        if cursor is None:
            return


async def _delete(data: TenantData, model: type[Record], keys: Collection[str]) -> int:
    """Delete records, also where somebody changes them at the same moment."""
    deleted = 0
    for key in keys:
        while found := await data.records.get(model, key):
            with suppress(PreconditionFailed):
                await data.records.delete(model, key, etag=found.etag)
                deleted += 1
    return deleted
