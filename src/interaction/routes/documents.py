"""Documents: bring one, list them, read one."""

from base64 import b64encode
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import quote

import orjson
from fastapi import APIRouter, Depends, Header, Response
from pydantic import BaseModel, StringConstraints

from core import DocumentId, Json, Label, PrincipalId, RunId, TenantContext
from core.parts import RunState
from data import Page, Store, Versioned, read_run
from interaction.answers import Told, answer, described, problems
from interaction.authority import Me, User
from interaction.decisions import text_of
from interaction.dependencies import Deps, InteractionDependencies
from interaction.paging import chosen_page
from interaction.parameters import (
    CollectionName,
    Cursor,
    DocumentPath,
    IdempotencyKey,
    Limit,
    no_such,
    run_for,
)
from interaction.uploads import FILE_TYPES, NewDocument, Upload, new_document, request_body
from orchestration import MARKDOWN, MEDIA_TYPES, Access, DocumentRecord, Fetch, access_of, fetcher, fold

router = APIRouter(prefix="/v1/documents", tags=["documents"])

LONGEST_INGESTION = timedelta(minutes=10)

_TAKEN = {"Location": "Where it can be read.", "Mandate-Run": "The run that takes it in."}

Prefer = Annotated[
    Annotated[str, StringConstraints(max_length=200)] | None,
    Header(description="`respond-async`: answer at once; the run goes on, and can be followed."),
]
"""As RFC 7240 has it: what is not known is left aside."""


class DocumentLine(Told):
    """`readers` are the groups that may read it; none means all members.

    Attributes:
        media_type: of what was brought.
        size: of that, in bytes.
        version: how often it was indexed.
        run: the last that took it in.
    """

    document: DocumentId
    collection: str
    title: str
    owner: PrincipalId
    label: Label
    readers: list[str]
    passages: int
    media_type: str
    size: int
    version: int
    updated_at: str
    run: RunId


class DocumentPage(Told):
    items: list[DocumentLine]
    cursor: str | None


class Progress(Told):
    """How far taking it in has come: `indexed` of `passages` can be found. `code` says why it ended early."""

    state: RunState
    code: str
    indexed: int
    passages: int


class DocumentView(DocumentLine):
    progress: Progress


class _Taken(BaseModel):
    document: DocumentId


class _Said(BaseModel):
    text: str


class Markdown(Response):
    media_type = "text/markdown"


_ADDED = {
    **described(DocumentView, status=201, headers=_TAKEN, says="It is taken in, and can be found"),
    **described(
        DocumentView, 402, 404, 409, 413, 415, 422, 504, status=202, headers=_TAKEN, says="It is being taken in"
    ),
}


@router.post("", status_code=201, openapi_extra=request_body(), responses=_ADDED)
async def add_document(
    me: User,
    deps: Deps,
    body: Annotated[NewDocument | Upload, Depends(new_document)],
    key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Response:
    """Bring a document: as JSON, as a file in a form, or as the file itself. It can be found when the answer comes.

    Roles: user, approver, admin, owner; policy decides for which collections.
    """
    wait = waits(prefer)
    view = await take_in(me, deps, body, run=await run_for(deps.store.tenant(me), key), wait=wait)
    headers = {"Location": f"/v1/documents/{view.document}", "Mandate-Run": view.run}
    return answer(view, 201 if wait else 202, headers)


async def take_in(
    me: TenantContext, deps: InteractionDependencies, body: NewDocument | Upload, *, run: RunId, wait: bool
) -> DocumentView:
    """Take in what somebody brings, as the run `run`; `wait` until it can be found.

    Raises:
        MandateError: it cannot be read, or may not be taken in.
    """
    path, said = _told(body)
    payload = orjson.dumps({"run": run, "wait": wait, **said})
    raw = await deps.orchestration.call(me, "POST", path, body=payload, deadline=deps.clock.now() + LONGEST_INGESTION)
    document = _Taken.model_validate_json(raw).document
    return await view_document(deps.store, me, await readable_document(deps.store, me, document))


def waits(prefer: str | None) -> bool:
    """Return whether the caller wants the answer only when everything is done."""
    return "respond-async" not in [item.partition(";")[0].strip().lower() for item in (prefer or "").split(",")]


def _told(body: NewDocument | Upload) -> tuple[str, dict[str, Json]]:
    """Return where orchestration takes such a document, and what it is told."""
    if isinstance(body, NewDocument):
        return "/internal/documents", body.model_dump()
    return "/internal/documents/file", {
        "collection": body.collection,
        "title": body.title,
        "name": body.name,
        "media_type": body.media_type,
        "file": b64encode(body.data).decode(),
    }


@router.get("", responses=described(DocumentPage, 422))
async def list_documents(
    me: Me,
    deps: Deps,
    collection: CollectionName | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """List the documents that you may read. Any member."""
    data = deps.store.tenant(me)
    access, fetch = await access_of(data), fetcher(data)

    async def read(after: str | None, count: int) -> Page[Versioned[DocumentRecord]]:
        return await data.records.list(DocumentRecord, cursor=after, limit=count)

    async def choose(found: Versioned[DocumentRecord]) -> DocumentLine | None:
        wanted = [found.value] if collection in (None, found.value.collection) else []
        readable = await access.readable(wanted)
        return await line_of(access, readable[0], fetch) if readable else None

    page = await chosen_page(read, choose, cursor=cursor, limit=limit)
    return answer(DocumentPage(items=list(page.items), cursor=page.cursor))


@router.get("/{document}", responses=described(DocumentView, 404))
async def read_document(document: DocumentPath, me: Me, deps: Deps) -> Response:
    """Read what is known of a document, and how far taking it in has come. Who may read the document."""
    return answer(await view_document(deps.store, me, await readable_document(deps.store, me, document)))


_ORIGINALS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file, to be saved and not to be shown",
        "content": {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in FILE_TYPES},
    },
    **problems(404),
}

_ENDINGS = {media_type: kind.value for kind, media_type in MEDIA_TYPES.items()} | {"text/plain": "txt", MARKDOWN: "md"}


@router.get("/{document}/original", response_class=Response, responses=_ORIGINALS)
async def read_original(document: DocumentPath, me: Me, deps: Deps) -> Response:
    """Save the file as it was brought. Who may read the document."""
    record = await readable_document(deps.store, me, document)
    content = deps.store.tenant(me).content
    data = await content.get(record.original or record.content)
    if record.original is None:
        data = _Said.model_validate_json(data).text.encode()
    ending = _ENDINGS[record.media_type]
    title = quote(await text_of(record.title, fetcher(deps.store.tenant(me))), safe="")
    headers = {
        "Content-Disposition": f"attachment; filename=\"{document}.{ending}\"; filename*=UTF-8''{title}.{ending}",
        "Content-Type": record.media_type,
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Cache-Control": "private, no-store",
    }
    return Response(data, headers=headers)


@router.get("/{document}/text", response_class=Markdown, responses=problems(404))
async def read_text(document: DocumentPath, me: Me, deps: Deps) -> Response:
    """Read a document's text. Who may read the document."""
    record = await readable_document(deps.store, me, document)
    return Markdown(_Said.model_validate_json(await deps.store.tenant(me).content.get(record.content)).text)


async def readable_document(store: Store, me: TenantContext, document: DocumentId) -> DocumentRecord:
    """Return a document that the caller may read; raises `NotFound` for all others."""
    found = await (await access_of(store.tenant(me))).document(document)
    if found is None:
        raise no_such("document")
    return found


async def line_of(access: Access, record: DocumentRecord, fetch: Fetch) -> DocumentLine:
    """Return a document as lists show it, with the label and the readers of its collection."""
    collection = (await access.collections([record.collection]))[record.collection]
    return DocumentLine(
        document=record.id,
        collection=record.collection,
        title=await text_of(record.title, fetch),
        owner=record.owner,
        label=collection.label,
        readers=list(collection.readers),
        passages=record.passages,
        media_type=record.media_type,
        size=record.size,
        version=record.version,
        updated_at=record.updated_at,
        run=record.run,
    )


async def view_document(store: Store, me: TenantContext, record: DocumentRecord) -> DocumentView:
    data = store.tenant(me)
    run = fold(await read_run(data, record.run))
    progress = Progress(
        state=run.state,
        code=run.ended.code if run.ended else "",
        indexed=run.indexed,
        passages=record.passages,
    )
    line = await line_of(await access_of(data), record, fetcher(data))
    return DocumentView(**dict(line), progress=progress)
