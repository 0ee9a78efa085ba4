"""What of each store goes into an archive: lines of JSON, described in `docs/data-export.md`.

`orchestration.stores` says which of these belongs to which store, `orchestration.archive` writes the file.
"""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial

import orjson

from control import (
    BindingRecord,
    ErasureRecord,
    MemberRecord,
    OverrideRecord,
    PersonRecord,
    TenantRecord,
    contexts,
)
from core import PrincipalId, RunId, TenantContext, commitment
from data import (
    RUNS,
    CheckpointLine,
    Passage,
    Piece,
    Record,
    Store,
    TenantData,
    Versioned,
    checkpoints,
    export_of,
    known_names,
    read_raw,
    tree_of,
)
from orchestration.erasing import each
from orchestration.records import ApprovalRecord, ConversationRecord, DeputyRecord, DocumentRecord


@dataclass(frozen=True, slots=True)
class Exporting:
    """An export under way.

    Attributes:
        context: of whoever takes it.
        person: of whom it is; None for all of the tenant's.
    """

    store: Store
    context: TenantContext
    person: PrincipalId | None = None

    @property
    def data(self) -> TenantData:
        return self.store.tenant(self.context)

    @property
    def directory(self) -> TenantData:
        return self.store.tenant(contexts.publisher("export"))


Take = Callable[[Exporting], AsyncIterator[bytes]]
"""Gives what the store has for the archive, in whole lines."""


async def runs(exporting: Exporting) -> AsyncIterator[bytes]:
    """Give every run as a file of evidence of its own, one after the other; a person's with what covers each."""
    names, tenant = await known_names(exporting.data), exporting.context.tenant
    tree = await tree_of(exporting.data) if exporting.person else None
    async for run in _runs(exporting):
        covered = tree.inclusion(run) if tree else None
        events = await read_raw(exporting.data, run)
        yield (await asyncio.to_thread(export_of, tenant, run, events, names, covered=covered)).encode()


async def evidence(exporting: Exporting) -> AsyncIterator[bytes]:
    """Give every checkpoint with what it covers anew; a person's runs each come with the last one instead."""
    if exporting.person:
        return
    async for found in checkpoints(exporting.data):
        line = CheckpointLine(number=int(found.key), signed=found.value.signed, changes=found.value.changes)
        yield line.model_dump_json().encode() + b"\n"


async def _runs(exporting: Exporting) -> AsyncIterator[RunId]:
    if exporting.person is None:
        async for run in exporting.store.governed.runs(exporting.context.tenant):
            yield run
        return
    cursor = None
    while True:
        page = await exporting.data.views.list(RUNS.view, owner=exporting.person, cursor=cursor)
        for row in page.items:
            yield row.run
        cursor = page.cursor
        if cursor is None:
            return


async def content(exporting: Exporting) -> AsyncIterator[bytes]:
    """Give every piece with its key; what is erased meanwhile is left out."""
    store, cursor = exporting.data.content, None
    while True:
        page = await store.list(owner=exporting.person, cursor=cursor)
        for piece in page.items:
            if taken := await store.take(piece.id):
                yield _content(piece, *taken)
        cursor = page.cursor
        if cursor is None:
            return


async def passages(exporting: Exporting) -> AsyncIterator[bytes]:
    """Give the passages of every document; a person has none, since documents are their organisation's."""
    if exporting.person:
        return
    async for document in each(exporting.data, DocumentRecord):
        for passage in await exporting.data.knowledge.of(document.value.id):
            yield _passage(passage)


def records(models: Sequence[type[Record]]) -> Take:
    """Return what gives all records of these kinds; of a person, those that are theirs."""
    return partial(_records, models)


async def _records(models: Sequence[type[Record]], exporting: Exporting) -> AsyncIterator[bytes]:
    for model in models:
        async for found in each(exporting.data, model):
            if exporting.person is None or _is_of(exporting.person, found):
                yield _record(found.key, found.value)


async def directory(exporting: Exporting) -> AsyncIterator[bytes]:
    """Give the tenant's own entry, what is laid down for it, and which identities belong to it."""
    if exporting.person:
        return
    tenant = exporting.context.tenant
    if found := await exporting.directory.records.get(TenantRecord, tenant):
        yield _record(found.key, found.value)
    if override := await exporting.directory.records.get(OverrideRecord, tenant):
        yield _record(override.key, override.value)
    async for binding in each(exporting.directory, BindingRecord):
        if binding.value.tenant == tenant:
            yield _record(binding.key, binding.value)


async def erasures(exporting: Exporting) -> AsyncIterator[bytes]:
    """Give what was erased, with the receipts."""
    if exporting.person:
        return
    cursor, prefix = None, f"{exporting.context.tenant}/"
    while True:
        page = await exporting.directory.records.list(ErasureRecord, prefix=prefix, cursor=cursor)
        for found in page.items:
            yield _record(found.key, found.value)
        cursor = page.cursor
        if cursor is None:
            return


def _is_of(person: PrincipalId, found: Versioned[Record]) -> bool:
    match found.value:
        case PersonRecord():
            return found.key == person
        case MemberRecord(principal=owner) | ApprovalRecord(requester=owner):
            return owner == person
        case DeputyRecord(absent=absent, deputy=deputy):
            return person in (absent, deputy)
        case ConversationRecord(owner=owner) | DocumentRecord(owner=owner):
            return owner == person
        case _:
            return False


def _content(piece: Piece, key: bytes, data: bytes) -> bytes:
    return _line(
        {
            "id": piece.id,
            "kind": piece.kind,
            "owner": piece.owner,
            "confidentiality": piece.confidentiality,
            "at": piece.at,
            "commitment": commitment(key, data),
            "key": base64.b64encode(key).decode(),
            "base64": base64.b64encode(data).decode(),
        }
    )


def _passage(passage: Passage) -> bytes:
    return _line(
        {
            "id": passage.id,
            "document": passage.document,
            "collection": passage.collection,
            "ordinal": passage.ordinal,
            "heading": passage.heading,
            "text": passage.text,
            "owner": passage.owner,
            "vector": base64.b64encode(passage.vector).decode(),
        }
    )


def _record(key: str, value: Record) -> bytes:
    return _line({"kind": value.kind, "key": key, "value": value.model_dump(mode="json")})


def _line(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)
