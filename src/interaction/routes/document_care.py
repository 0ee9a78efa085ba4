"""What becomes of a document: indexed again, erased, and where it was used."""

import orjson
from fastapi import APIRouter, Response

from core import DocumentId, Role, RunId, TenantContext
from core.errors import Conflict, Forbidden
from data import USES, Store, UseSummary
from interaction.answers import Told, answer, described, problems
from interaction.authority import Me, User, oversees
from interaction.dependencies import Deps, InteractionDependencies
from interaction.parameters import Cursor, DocumentPath, IdempotencyKey, Limit, no_such, run_for
from interaction.routes.documents import LONGEST_INGESTION, Prefer, readable_document, waits
from interaction.routes.runs import lag
from orchestration import DocumentRecord, refuse_held

router = APIRouter(prefix="/v1/documents/{document}", tags=["documents"])

_BEGUN = {"Mandate-Run": "The run that indexes it."}


class Reindexed(Told):
    """`run` is the ingestion; follow its events, or read the document for how far it has come."""

    document: DocumentId
    run: RunId


class UsePage(Told):
    """The latest first. `lag` is how many events the list is behind the log."""

    items: list[UseSummary]
    cursor: str | None
    lag: int


@router.delete("", status_code=204, responses={204: {"description": "It is erased"}, **problems(404, 409)})
async def delete_document(document: DocumentPath, me: User, deps: Deps) -> Response:
    """Erase a document for good: its text, its file, their keys, its passages. The document's owner; admin, owner.

    What runs were shown of it goes too, and answers that cite it; that there were such stays in the evidence.
    """
    await erase(me, deps, document)
    return Response(status_code=204)


async def erase(me: TenantContext, deps: InteractionDependencies, document: DocumentId) -> None:
    """Erase a document for somebody, and write down that they did.

    Raises:
        NotFound: there is none for them.
        Forbidden: it is somebody else's.
        Conflict: a legal hold keeps some of it (`erasure.held`; `hold.active` if it was set meanwhile).
    """
    await own_or_administered(deps.store, me, document)
    await refuse_held(deps.store, deps.store.tenant(me), "document", document)
    await deps.access.admin(me, DocumentRecord.kind, document, "erased")
    erased = await deps.eraser.erase(me.tenant, "document", document, me.principal.actor)
    if erased.waits:
        raise Conflict("A legal hold keeps this document. It goes when the hold is released.", code=erased.waits)


_ANSWERS = {
    **described(Reindexed, headers=_BEGUN, says="It is indexed"),
    **described(Reindexed, 402, 404, 409, 422, 504, status=202, headers=_BEGUN, says="It is being indexed"),
}


@router.post("/reindex", responses=_ANSWERS)
async def reindex_document(
    document: DocumentPath, me: User, deps: Deps, key: IdempotencyKey = None, prefer: Prefer = None
) -> Response:
    """Index a document again from its stored text, as a newer version of this app cuts and embeds it.

    The document's owner; admin, owner; as policy says.
    """
    run, wait = await run_for(deps.store.tenant(me), key), waits(prefer)
    await index_again(me, deps, document, run=run, wait=wait)
    return answer(Reindexed(document=document, run=run), 200 if wait else 202, {"Mandate-Run": run})


async def index_again(
    me: TenantContext, deps: InteractionDependencies, document: DocumentId, *, run: RunId, wait: bool
) -> None:
    """Index a document again for somebody, as the run `run`; `wait` until it is done.

    Raises:
        NotFound: there is none for them.
        Forbidden: it is somebody else's.
    """
    await own_or_administered(deps.store, me, document)
    await deps.orchestration.call(
        me,
        "POST",
        f"/internal/documents/{document}/reindex",
        body=orjson.dumps({"run": run, "wait": wait}),
        deadline=deps.clock.now() + LONGEST_INGESTION,
    )


@router.get("/uses", responses=described(UsePage, 404, 422))
async def list_uses(document: DocumentPath, me: Me, deps: Deps, cursor: Cursor = None, limit: Limit = 50) -> Response:
    """List the runs that were shown passages of a document. Who may read it: their own; owner, admin, auditor: all."""
    return answer(await uses_of(me, deps, document, cursor=cursor, limit=limit))


async def uses_of(
    me: TenantContext, deps: InteractionDependencies, document: DocumentId, *, cursor: str | None, limit: int
) -> UsePage:
    """Return where a document was used, as far as somebody may see it; raises `NotFound`."""
    data, owner = deps.store.tenant(me), None
    if not oversees(me):
        await readable_document(deps.store, me, document)
        owner = me.principal.id
    elif await data.records.get(DocumentRecord, document) is None:
        raise no_such("document")
    rows = await data.views.list(USES.view, owner=owner, states=[document], cursor=cursor, limit=limit)
    items = [UseSummary.model_validate_json(row.body) for row in rows.items]
    return UsePage(items=items, cursor=rows.cursor, lag=await lag(deps))


async def own_or_administered(store: Store, me: TenantContext, document: DocumentId) -> None:
    """Check that the caller may change a document.

    Raises:
        NotFound: there is none, or not one that they may read.
        Forbidden: it is somebody else's.
    """
    found = await store.tenant(me).records.get(DocumentRecord, document)
    if found and (me.has(Role.ADMIN, Role.OWNER) or found.value.owner == me.principal.id):
        return
    await readable_document(store, me, document)
    raise Forbidden("Only its owner, or an admin of your organisation, may change a document.", code="access.role")
