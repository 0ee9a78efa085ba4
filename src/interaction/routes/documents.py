"""Documents: bring one, list them, read one."""

from datetime import timedelta
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, StringConstraints, ValidationError
from starlette.exceptions import HTTPException

from core import DocumentId, Label, PrincipalId, RunId, TenantContext
from core.errors import BadRequest
from core.events import RunState
from data import Page, Store, Versioned, read_run
from interaction.answers import Given, Told, answer, described, problems
from interaction.authority import Me, User
from interaction.decisions import text_of
from interaction.dependencies import Deps
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
from orchestration import DocumentRecord, Fetch, fetcher, fold

router = APIRouter(prefix="/v1/documents", tags=["documents"])

LONGEST_INGESTION = timedelta(minutes=10)
DEFAULT_COLLECTION = "inbox"

_LONGEST_TITLE = 200
_Title = Annotated[str, StringConstraints(min_length=1, max_length=_LONGEST_TITLE, pattern=r"^[^\x00-\x1f\x7f]*$")]
_TEXT = {"type": "string", "minLength": 1, "pattern": r"^[^\x00]*$"}


class NewDocument(Given):
    """A document in Markdown or plain text."""

    collection: CollectionName = Field(examples=["policies"])
    title: _Title
    text: Annotated[str, StringConstraints(min_length=1, max_length=1_900_000, pattern=r"^[^\x00]*$")]


class DocumentLine(Told):
    """`readers` are the groups that may read it; none means all members."""

    document: DocumentId
    collection: str
    title: str
    owner: PrincipalId
    label: Label
    readers: list[str]
    passages: int
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


class Markdown(Response):
    media_type = "text/markdown"


_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "text/plain": {"schema": _TEXT},
            "text/markdown": {"schema": _TEXT},
            "application/json": {"schema": NewDocument.model_json_schema()},
        },
    }
}


async def new_document(
    request: Request,
    collection: Annotated[CollectionName, Query(description="For a body of text: where it goes.")] = DEFAULT_COLLECTION,
    title: Annotated[_Title | None, Query(description="For a body of text: its title; else its first line.")] = None,
) -> NewDocument:
    """Dependency: the document in the body, whichever of its forms it has.

    Raises:
        BadRequest: the text is not UTF-8.
    """
    body = await request.body()
    try:
        match request.headers.get("content-type", "").partition(";")[0].strip().lower():
            case "application/json":
                return NewDocument.model_validate_json(body)
            case "text/markdown" | "text/plain":
                text = body.decode()
                return NewDocument(collection=collection, title=title or _first_line(text), text=text)
            case _:
                raise HTTPException(415)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        raise RequestValidationError([{**item, "loc": ("body", *item["loc"])} for item in found]) from None
    except UnicodeDecodeError:
        raise BadRequest(
            "The text is not UTF-8. Save it as UTF-8 and send it again.", code="request.encoding"
        ) from None


@router.post(
    "",
    status_code=201,
    openapi_extra=_BODY,
    responses=described(
        DocumentView, 402, 404, 409, 413, 415, 422, 504, status=201, headers={"Location": "Where it can be read."}
    ),
)
async def add_document(
    me: User, deps: Deps, body: Annotated[NewDocument, Depends(new_document)], key: IdempotencyKey = None
) -> Response:
    """Bring a document, as JSON or as the text itself. It can be found when the answer comes.

    Roles: user, approver, admin, owner; policy decides for which collections.
    """
    payload = orjson.dumps({"run": run_for(me, key), **body.model_dump()})
    raw = await deps.orchestration.call(
        me, "POST", "/internal/documents", body=payload, deadline=deps.clock.now() + LONGEST_INGESTION
    )
    document = _Taken.model_validate_json(raw).document
    view = await _view(deps.store, me, await _readable(deps.store, me, document))
    return answer(view, 201, {"Location": f"/v1/documents/{document}"})


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
    fetch = fetcher(data)

    async def read(after: str | None, count: int) -> Page[Versioned[DocumentRecord]]:
        return await data.records.list(DocumentRecord, cursor=after, limit=count)

    async def choose(found: Versioned[DocumentRecord]) -> DocumentLine | None:
        record = found.value
        wanted = collection in (None, record.collection) and record.readable_by(me.principal)
        return await _line(record, fetch) if wanted else None

    page = await chosen_page(read, choose, cursor=cursor, limit=limit)
    return answer(DocumentPage(items=list(page.items), cursor=page.cursor))


@router.get("/{document}", responses=described(DocumentView, 404))
async def read_document(document: DocumentPath, me: Me, deps: Deps) -> Response:
    """Read what is known of a document, and how far taking it in has come. Who may read the document."""
    return answer(await _view(deps.store, me, await _readable(deps.store, me, document)))


@router.get("/{document}/text", response_class=Markdown, responses=problems(404))
async def read_text(document: DocumentPath, me: Me, deps: Deps) -> Response:
    """Read a document's text. Who may read the document."""
    record = await _readable(deps.store, me, document)
    payload: dict[str, str] = orjson.loads(await deps.store.tenant(me).content.get(record.content))
    return Markdown(payload["text"])


async def _readable(store: Store, me: TenantContext, document: DocumentId) -> DocumentRecord:
    found = await store.tenant(me).records.get(DocumentRecord, document)
    if found is None or not found.value.readable_by(me.principal):
        raise no_such("document")
    return found.value


async def _line(record: DocumentRecord, fetch: Fetch) -> DocumentLine:
    return DocumentLine(
        document=record.id,
        collection=record.collection,
        title=await text_of(record.title, fetch),
        owner=record.owner,
        label=record.label,
        readers=list(record.readers),
        passages=record.passages,
        updated_at=record.updated_at,
        run=record.run,
    )


async def _view(store: Store, me: TenantContext, record: DocumentRecord) -> DocumentView:
    data = store.tenant(me)
    run = fold(await read_run(data, record.run))
    progress = Progress(
        state=run.state,
        code=run.ended.code if run.ended else "",
        indexed=run.indexed,
        passages=record.passages,
    )
    line = await _line(record, fetcher(data))
    return DocumentView(**dict(line), progress=progress)


def _first_line(text: str) -> str:
    lines = (line.strip("# \t\r") for line in text.splitlines())
    first = next((line for line in lines if line), "Untitled")
    return "".join(c for c in first if c.isprintable())[:_LONGEST_TITLE] or "Untitled"
