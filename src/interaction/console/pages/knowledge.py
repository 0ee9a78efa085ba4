"""`/knowledge`: the collections, what is in them, and bringing more."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from core import Confidentiality, DocumentId, Integrity, RunId, TenantContext, new_id
from core.errors import MandateError, PreconditionFailed, Unprocessable
from interaction.answers import problems
from interaction.authority import Admin, Me, User
from interaction.console.library import Shelf, powers, shelf_of, shelves_of
from interaction.console.navigation import Entry
from interaction.console.rendering import Page, PageView
from interaction.console.texts import t
from interaction.dependencies import Deps, InteractionDependencies
from interaction.paging import newest_first
from interaction.parameters import COLLECTION_PATTERN, CollectionPath, Flag, no_such
from interaction.people import names_in
from interaction.routes.collections import CollectionSettings, SourceSettings, directory_of, save_collection
from interaction.routes.documents import line_of, take_in
from interaction.uploads import MAX_FILES, UPLOAD_PATH, upload_of
from orchestration import CollectionRecord, access_of, fetcher
from web import form_with_files

router = APIRouter(prefix="/knowledge", tags=["console"], default_response_class=HTMLResponse)

ENTRY = Entry(name="knowledge", path="/knowledge", icon="book", position=40)

_PER_PAGE = 25
_SEE_OTHER = 303
_TOLD = {303: {"description": "To the collection"}}
_FIELDS = ("title", "purpose", "integrity", "confidentiality")


@dataclass(frozen=True, slots=True)
class Brought:
    """What became of a file: a document, or why not. `name` is what its sender calls it."""

    name: str
    document: DocumentId | None = None
    title: str = ""
    error: str = ""


@router.get("", responses=problems())
async def knowledge_page(me: Me, deps: Deps, page: PageView) -> Response:
    """Show the collections that you may read or oversee. Any member."""
    return await page.show("knowledge.html", shelves=await shelves_of(me, deps), **powers(me))


@router.get("/collections/{collection}", responses=problems(404, 422))
async def collection_page(
    collection: CollectionPath,
    me: Me,
    deps: Deps,
    page: PageView,
    *,
    cursor: Annotated[DocumentId | None, Query(max_length=40)] = None,
    erased: Flag = False,
) -> Response:
    """Show a collection and its documents, the newest first. Who may read or oversee it."""
    shelf = await shelf_of(me, deps, collection)
    data = deps.store.tenant(me)
    by_id = {record.id: record for record in shelf.documents}
    shown = newest_first([*reversed(by_id)], cursor=cursor, limit=_PER_PAGE)
    access, fetch, names = await access_of(data), fetcher(data), names_in(data)
    lines = await asyncio.gather(*(line_of(access, by_id[document], fetch) for document in shown.items))
    owners = {line.owner: await names(line.owner) for line in lines}
    return await page.show(
        "collection.html",
        shelf=shelf,
        documents=lines,
        owners=owners,
        cursor=shown.cursor,
        erased=erased,
        **powers(me),
    )


@router.get("/new", responses=problems())
async def new_collection_page(me: Admin, deps: Deps, page: PageView) -> Response:
    """Show the form that makes a collection. Roles: admin, owner."""
    return await _form(page, me, deps, None, {})


@router.post("/new", responses={**_TOLD, **problems(422)})
async def make_collection(me: Admin, deps: Deps, page: PageView, request: Request) -> Response:
    """Make a collection. Roles: admin, owner."""
    return await _saved(me, deps, page, request, None)


@router.get("/collections/{collection}/settings", responses=problems(404))
async def settings_page(collection: CollectionPath, me: Admin, deps: Deps, page: PageView) -> Response:
    """Show the form that changes a collection. Roles: admin, owner."""
    shelf = await shelf_of(me, deps, collection)
    return await _form(page, me, deps, collection, shelf.collection.model_dump())


@router.post("/collections/{collection}/settings", responses={**_TOLD, **problems(404, 412, 422)})
async def change_collection(
    collection: CollectionPath, me: Admin, deps: Deps, page: PageView, request: Request
) -> Response:
    """Change a collection. Roles: admin, owner."""
    return await _saved(me, deps, page, request, collection)


@router.post(UPLOAD_PATH.removeprefix(router.prefix), responses=problems(404, 413, 422))
async def upload_files(me: User, deps: Deps, page: PageView, request: Request) -> Response:
    """Bring files, where there is no script. Roles: user, approver, admin, owner; policy decides."""
    async with form_with_files(request, files=MAX_FILES, fields=2) as form:
        collection = str(form.get("collection"))
        if not re.fullmatch(COLLECTION_PATTERN, collection):
            raise no_such("collection")
        shelf = await shelf_of(me, deps, collection)
        files = [file for file in form.getlist("file") if isinstance(file, UploadFile) and file.filename]
        brought = [await _bring(me, deps, shelf, file) for file in files]
    status = 422 if not brought or any(file.error for file in brought) else 200
    return await page.show("uploaded.html", status, shelf=shelf, brought=brought)


async def _bring(me: TenantContext, deps: InteractionDependencies, shelf: Shelf, file: UploadFile) -> Brought:
    name, media_type = file.filename or "", (file.content_type or "").partition(";")[0].strip().lower()
    try:
        upload = upload_of(shelf.collection.collection, None, name, media_type, await file.read())
        view = await take_in(me, deps, upload, run=RunId(new_id("run")), wait=False)
    except MandateError as error:
        return Brought(name, error=str(error))
    except RequestValidationError:
        return Brought(name, error=t("upload.empty"))
    except HTTPException:
        return Brought(name, error=t("upload.unknown"))
    return Brought(name, view.document, view.title)


async def _saved(
    me: TenantContext, deps: InteractionDependencies, page: Page, request: Request, collection: str | None
) -> Response:
    form = await request.form()
    typed: dict[str, object] = {name: str(form.get(name, "")) for name in ("collection", "etag", *_FIELDS)}
    source = {name: str(form.get(f"source_{name}", "")) for name in SourceSettings.model_fields}
    typed["source"] = source
    typed["readers"] = [str(group) for group in form.getlist("readers")]
    days = str(form.get("retention_days", "")).strip()
    typed["retention_days"] = int(days) if re.fullmatch(r"[0-9]{1,6}", days, re.ASCII) else days or None
    wrong: list[str] = []
    name = collection or str(typed["collection"])
    if not re.fullmatch(COLLECTION_PATTERN, name):
        wrong.append("collection")
    own = {"source": source} if any(source[name] for name in ("endpoint", "index", "region")) else {}
    try:
        settings = CollectionSettings.model_validate(
            {name: typed[name] for name in (*_FIELDS, "readers", "retention_days")} | own
        )
    except ValidationError as error:
        wrong += [str(problem["loc"][0]) for problem in error.errors()]
        return await _form(page, me, deps, collection, typed, wrong)
    if wrong:
        return await _form(page, me, deps, collection, typed, wrong)
    try:
        etag = str(typed["etag"]) if collection else None
        await save_collection(me, deps, name, settings, etag, directory_of(request))
    except Unprocessable as error:
        return await _form(page, me, deps, collection, typed, [error.code])
    except PreconditionFailed:
        found = await deps.store.tenant(me).records.get(CollectionRecord, name)
        typed["etag"] = found.etag if found else ""
        return await _form(page, me, deps, collection, typed, ["changed" if collection else "taken"])
    return RedirectResponse(f"/knowledge/collections/{name}", _SEE_OTHER)


async def _form(
    page: Page,
    me: TenantContext,
    deps: InteractionDependencies,
    collection: str | None,
    values: dict[str, object],
    wrong: Sequence[str] = (),
) -> Response:
    """Show the form with what was typed, and what is wrong with it."""
    groups = (await deps.directory.tenant(me.tenant)).groups
    return await page.show(
        "collection_form.html",
        422 if wrong else 200,
        collection=collection,
        values=values,
        wrong=wrong,
        groups=sorted(set(groups.values())),
        integrities=[*Integrity],
        confidentialities=[*Confidentiality],
    )
