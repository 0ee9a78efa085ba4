"""`/data`: what is kept and for how long, legal holds, and what was erased; holding, releasing, erasing."""

import asyncio
from http import HTTPStatus
from typing import Annotated, get_args

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import StringConstraints

from control import ErasureReason, ErasureRecord
from core import DocumentId, PrincipalId, Role
from core.errors import Unprocessable
from interaction.answers import Given, problems
from interaction.authority import Admin, Overseer, Owner
from interaction.console.forms import form_of
from interaction.console.navigation import Entry
from interaction.console.rendering import PageView
from interaction.cookies import SESSION_COOKIE, drop_cookie
from interaction.decisions import text_of
from interaction.dependencies import Deps, InteractionDependencies
from interaction.parameters import HoldPath
from interaction.people import people_named
from interaction.routes.document_care import erase
from interaction.routes.documents import readable_document
from interaction.routes.erasures import NewErasure, erasure_asked_for, erasures_of, view_erasure
from interaction.routes.holds import NewHold, hold_for, holds_seen, release_for
from interaction.routes.inventory import inventory_of
from orchestration import fetcher

router = APIRouter(prefix="/data", tags=["console"], default_response_class=HTMLResponse)

ENTRY = Entry(name="data", path="/data", icon="store", position=65, roles=(Role.OWNER, Role.ADMIN, Role.AUDITOR))

_SCOPES = ("tenant", "person", "document", "conversation", "run")
_SEE_OTHER = 303
_WAIT_SECONDS, _LOOK_SECONDS = 20.0, 0.5
_BACK = {303: {"description": "To the page"}}


class ErasedPerson(Given):
    person: Annotated[PrincipalId, StringConstraints(pattern=r"^prn_[0-9a-z]{26}$")]
    confirm: Annotated[str, StringConstraints(min_length=1, max_length=300)]


class ErasedDocument(Given):
    document: Annotated[DocumentId, StringConstraints(pattern=r"^doc_[0-9a-z]{26}$")]
    confirm: Annotated[str, StringConstraints(min_length=1, max_length=300)]


class ErasedOrganisation(Given):
    confirm: Annotated[str, StringConstraints(min_length=1, max_length=300)]
    reason: ErasureReason


@router.get("", responses=problems())
async def data_page(me: Overseer, deps: Deps, page: PageView) -> Response:
    """Show what is kept, held and erased. Roles: owner, admin, auditor."""
    return await page.show(
        "data.html",
        inventory=await inventory_of(me, deps),
        holds=await holds_seen(me, deps),
        erasures=[*reversed(await erasures_of(me, deps))],
        people=await people_named(deps.store.tenant(me)),
        scopes=_SCOPES,
        may=me.has(Role.ADMIN, Role.OWNER),
        reasons=get_args(ErasureReason) if me.has(Role.OWNER) else (),
    )


@router.post("/holds", responses={**_BACK, **problems(404, 422)})
async def set_a_hold(me: Admin, deps: Deps, request: Request) -> Response:
    """Set a legal hold. Roles: admin, owner."""
    await hold_for(me, deps, await form_of(request, NewHold))
    return RedirectResponse("/data#holds", _SEE_OTHER)


@router.post("/holds/{hold}/release", responses={**_BACK, **problems(404, 412)})
async def release_a_hold(hold: HoldPath, me: Admin, deps: Deps) -> Response:
    """Release a legal hold. Roles: admin, owner."""
    await release_for(me, deps, hold)
    return RedirectResponse("/data#holds", _SEE_OTHER)


@router.post("/people", responses={**_BACK, **problems(404, 409, 422)})
async def erase_a_person(me: Admin, deps: Deps, request: Request) -> Response:
    """Erase a person, whose name was typed. Roles: admin, owner."""
    asked = await form_of(request, ErasedPerson)
    await erasure_asked_for(me, deps, NewErasure(person=asked.person, confirm=asked.confirm))
    return RedirectResponse("/data#erasures", _SEE_OTHER)


@router.post("/documents", responses={**_BACK, **problems(404, 409, 422)})
async def erase_a_document(me: Admin, deps: Deps, request: Request) -> Response:
    """Erase a document, whose title was typed. Roles: admin, owner, of those that they may read."""
    asked = await form_of(request, ErasedDocument)
    record = await readable_document(deps.store, me, asked.document)
    if asked.confirm.strip() != await text_of(record.title, fetcher(deps.store.tenant(me))):
        raise Unprocessable("What you typed is not the title. Type it exactly as it is shown.", code="erasure.confirm")
    await erase(me, deps, asked.document)
    return RedirectResponse("/data#erasures", _SEE_OTHER)


@router.post("/organisation", responses=problems(409, 422))
async def erase_the_organisation(me: Owner, deps: Deps, request: Request, page: PageView) -> Response:
    """Erase the organisation, whose name was typed, and show the receipt. Roles: owner.

    Nobody can sign in to read it later.
    """
    asked = await form_of(request, ErasedOrganisation)
    record = await erasure_asked_for(me, deps, NewErasure(confirm=asked.confirm, reason=asked.reason))
    erasure = view_erasure(await _carried(deps, record))
    page.leave()
    response = await page.show("erased.html", HTTPStatus.ACCEPTED, erasure=erasure)
    drop_cookie(response, SESSION_COOKIE)
    return response


async def _carried(deps: InteractionDependencies, record: ErasureRecord) -> ErasureRecord:
    """Return an erasure when it is done or waits, or as it is after a while: whoever carries it goes on."""
    looks = int(_WAIT_SECONDS / _LOOK_SECONDS)
    while looks and not (record.done_at or record.waits):
        await asyncio.sleep(_LOOK_SECONDS)
        record = await deps.eraser.erasures.find(record.tenant, record.id) or record
        looks -= 1
    return record
