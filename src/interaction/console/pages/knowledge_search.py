"""`/knowledge/search`: try a search, and see why each passage ranked as it did."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import ValidationError

from core import RunId, TenantContext, new_id
from core.errors import NotFound
from interaction.answers import problems
from interaction.authority import User
from interaction.console.library import Shelf, shelves_of
from interaction.console.rendering import Page, PageView
from interaction.decisions import text_of
from interaction.dependencies import Deps, InteractionDependencies
from interaction.parameters import CollectionName
from interaction.routes.documents import readable_document
from interaction.routes.search import Found, NewSearch, found
from orchestration import fetcher

router = APIRouter(prefix="/knowledge/search", tags=["console"], default_response_class=HTMLResponse)

_BEST = 8


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found, with what its document is called. `ordinal` is its number in it, from 0."""

    found: Found
    title: str
    ordinal: int


@router.get("", responses=problems(422))
async def search_page(
    me: User, deps: Deps, page: PageView, *, collection: Annotated[CollectionName | None, Query()] = None
) -> Response:
    """Show the form. Roles: user, approver, admin, owner."""
    return await _show(page, await _shelves(me, deps), chosen=collection or "")


@router.post("", responses=problems(402, 404, 409, 422, 504))
async def search_results(me: User, deps: Deps, page: PageView, request: Request) -> Response:
    """Search what you may read. Your words are in the form, never in an address. As above."""
    form = await request.form()
    text, chosen = str(form.get("text", "")), str(form.get("collection", ""))
    shelves = await _shelves(me, deps)
    try:
        wanted = NewSearch.model_validate({"text": text, "collections": [chosen] if chosen else None, "limit": _BEST})
    except ValidationError:
        return await _show(page, shelves, 422, text=text, chosen=chosen, wrong=True)
    result = await found(me, deps, wanted, RunId(new_id("run")))
    hits = [hit for item in result.items if (hit := await _hit(me, deps, item))]
    return await _show(page, shelves, text=text, chosen=chosen, hits=hits, run=result.run)


async def _shelves(me: TenantContext, deps: InteractionDependencies) -> list[Shelf]:
    return [shelf for shelf in await shelves_of(me, deps) if shelf.readable]


async def _hit(me: TenantContext, deps: InteractionDependencies, item: Found) -> Hit | None:
    """Return a hit with its title; None if the document went meanwhile."""
    try:
        record = await readable_document(deps.store, me, item.document)
    except NotFound:
        return None
    title = await text_of(record.title, fetcher(deps.store.tenant(me)))
    return Hit(item, title, int(item.passage.rpartition(".")[2]))


async def _show(page: Page, shelves: list[Shelf], status: int = 200, **values: object) -> Response:
    shown = {"text": "", "chosen": "", "wrong": False, "hits": None, "run": "", **values}
    return await page.show("knowledge_search.html", status, shelves=shelves, **shown)
