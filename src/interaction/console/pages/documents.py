"""`/knowledge/documents`: a document, its passages, where they were used; indexing it again, and erasing it."""

import asyncio
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BeforeValidator, Field

from core import Role, RunId, TenantContext, new_id
from data import Passage
from interaction.answers import problems
from interaction.authority import Me, User
from interaction.console.library import powers
from interaction.console.rendering import PageView
from interaction.dependencies import Deps, InteractionDependencies
from interaction.parameters import Cursor, DocumentPath, digits
from interaction.people import names_in
from interaction.routes.document_care import UsePage, erase, index_again, own_or_administered, uses_of
from interaction.routes.documents import readable_document, view_document
from orchestration import CollectionRecord, DocumentRecord, access_of

router = APIRouter(prefix="/knowledge/documents/{document}", tags=["console"], default_response_class=HTMLResponse)

_PER_PAGE = 10
_USES = 10
_CHANGING = (Role.USER, Role.APPROVER)
_SEE_OTHER = 303

Ordinal = Annotated[
    int, Field(ge=0, le=999_999), BeforeValidator(digits), Query(description="Begin where this passage is, from 0.")
]


@router.get("", responses=problems(404, 422))
async def document_page(
    document: DocumentPath,
    me: Me,
    deps: Deps,
    page: PageView,
    *,
    passage: Ordinal = 0,
    uses: Cursor = None,
) -> Response:
    """Show a document. Who may read it."""
    record = await readable_document(deps.store, me, document)
    start = min(passage, max(0, record.passages - 1)) // _PER_PAGE * _PER_PAGE
    used = await uses_of(me, deps, document, cursor=uses, limit=_USES)
    return await page.show(
        "knowledge_document.html",
        HTTPStatus.OK,
        **await _about(me, deps, record),
        passages=await _passages(me, deps, record, start),
        start=start,
        end=start + _PER_PAGE,
        uses=used,
        people=await _people(me, deps, used),
        agents={name: agent.title for name, agent in deps.agents.items()},
    )


@router.post("/reindex", responses={303: {"description": "To the document"}, **problems(404, 409)})
async def reindex(document: DocumentPath, me: User, deps: Deps) -> Response:
    """Index a document again. Its owner; admin, owner; as policy says."""
    await index_again(me, deps, document, run=RunId(new_id("run")), wait=False)
    return RedirectResponse(f"/knowledge/documents/{document}", _SEE_OTHER)


@router.get("/erase", responses=problems(404))
async def erase_page(document: DocumentPath, me: User, deps: Deps, page: PageView) -> Response:
    """Ask whether a document shall go for good, and say what goes with it. Its owner; admin, owner."""
    await own_or_administered(deps.store, me, document)
    record = await readable_document(deps.store, me, document)
    return await page.show("knowledge_erase.html", HTTPStatus.OK, **await _about(me, deps, record))


@router.post("/erase", responses={303: {"description": "To the collection"}, **problems(404, 409)})
async def erase_for_good(document: DocumentPath, me: User, deps: Deps) -> Response:
    """Erase a document. Its owner; admin, owner."""
    record = await readable_document(deps.store, me, document)
    await erase(me, deps, document)
    return RedirectResponse(f"/knowledge/collections/{record.collection}?erased=true", _SEE_OTHER)


async def _about(me: TenantContext, deps: InteractionDependencies, record: DocumentRecord) -> dict[str, object]:
    """Return what each page about a document tells."""
    data = deps.store.tenant(me)
    collection = await data.records.get(CollectionRecord, record.collection)
    return {
        "document": await view_document(deps.store, me, record),
        "owner": await names_in(data)(record.owner),
        "collection": collection.value.title if collection else record.collection,
        "may_change": me.has(Role.ADMIN, Role.OWNER) or (record.owner == me.principal.id and me.has(*_CHANGING)),
        **powers(me),
    }


async def _passages(
    me: TenantContext, deps: InteractionDependencies, record: DocumentRecord, start: int
) -> list[Passage]:
    data = deps.store.tenant(me)
    access = await access_of(data)
    reader = access.reader((await access.collections([record.collection])).values())
    wanted = range(start, min(start + _PER_PAGE, record.passages))
    found = await asyncio.gather(*(data.knowledge.get(f"{record.id}.{ordinal}", reader) for ordinal in wanted))
    return [passage for passage in found if passage]


async def _people(me: TenantContext, deps: InteractionDependencies, used: UsePage) -> dict[str, str | None]:
    names = names_in(deps.store.tenant(me))
    return {use.requester: await names(use.requester) for use in used.items}
