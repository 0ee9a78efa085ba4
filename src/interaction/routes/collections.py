"""Collections: where documents are kept, who may read them, and whether their authors are trusted."""

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import Field, StringConstraints

from core import Confidentiality, Integrity, PrincipalId, TenantContext
from core.errors import PreconditionFailed
from data import Page, TenantData, Versioned
from interaction.answers import Given, Told, answer, described
from interaction.authority import Admin, Me, oversees
from interaction.dependencies import Deps, InteractionDependencies
from interaction.paging import chosen_page
from interaction.parameters import PLAIN_LINE, CollectionPath, Cursor, IfMatch, Limit
from orchestration import CollectionRecord, access_of

router = APIRouter(prefix="/v1/collections", tags=["documents"])

_Line = Annotated[str, StringConstraints(max_length=200, pattern=PLAIN_LINE)]
_Group = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
_ETAG = {"ETag": "Give it as If-Match to change the collection."}


class CollectionSettings(Given):
    """What an admin decides about a collection. It holds at once, for all documents that are in it.

    Attributes:
        integrity: `trusted` only if outsiders write nothing in it: agents act on it without asking a person.
        readers: groups whose members may read it; none for all members.
    """

    title: _Line = Field(examples=["Refund and shipping policies"])
    purpose: _Line = Field(examples=["What staff may promise to customers"])
    integrity: Annotated[Integrity, Field(strict=False)] = Integrity.UNTRUSTED
    confidentiality: Annotated[Confidentiality, Field(strict=False)] = Confidentiality.INTERNAL
    readers: Annotated[list[_Group], Field(max_length=50, default_factory=list[str])]


class CollectionView(Told):
    """`etag` is what to give as If-Match to change it, in quotation marks."""

    collection: str
    title: str
    purpose: str
    owner: PrincipalId
    integrity: Integrity
    confidentiality: Confidentiality
    readers: list[str]
    etag: str


class CollectionPage(Told):
    items: list[CollectionView]
    cursor: str | None


@router.get("", responses=described(CollectionPage, 422))
async def list_collections(me: Me, deps: Deps, cursor: Cursor = None, limit: Limit = 50) -> Response:
    """List the collections that you may read, or oversee. Any member."""
    access = await access_of(deps.store.tenant(me))
    records = access.data.records

    async def read(after: str | None, count: int) -> Page[Versioned[CollectionRecord]]:
        return await records.list(CollectionRecord, cursor=after, limit=count)

    async def choose(found: Versioned[CollectionRecord]) -> CollectionView | None:
        sees = oversees(me) or access.sees(found.value)
        return view_collection(found.value, found.etag) if sees else None

    page = await chosen_page(read, choose, cursor=cursor, limit=limit)
    return answer(CollectionPage(items=list(page.items), cursor=page.cursor))


@router.put(
    "/{collection}",
    responses=described(CollectionView, status=201, headers=_ETAG, says="It is new")
    | described(CollectionView, 404, 412, 413, 415, 422, headers=_ETAG, says="It is changed"),
)
async def put_collection(
    collection: CollectionPath, body: CollectionSettings, me: Admin, deps: Deps, if_match: IfMatch = None
) -> Response:
    """Make a collection, or change one. Roles: admin, owner."""
    view = await save_collection(me, deps, collection, body, if_match)
    return answer(view, 200 if if_match else 201, {"ETag": f'"{view.etag}"'})


async def save_collection(
    me: TenantContext, deps: InteractionDependencies, collection: str, body: CollectionSettings, if_match: str | None
) -> CollectionView:
    """Make a collection for an admin (`if_match` None), or change the one that has this ETag.

    Raises:
        PreconditionFailed: it is there already, or was changed since.
    """
    data = deps.store.tenant(me)
    record = CollectionRecord(
        id=collection,
        title=body.title,
        purpose=body.purpose,
        owner=await _owner(data, me, collection, if_match),
        integrity=body.integrity,
        confidentiality=body.confidentiality,
        readers=tuple(body.readers),
    )
    try:
        etag = await data.records.put(collection, record, etag=if_match)
    except PreconditionFailed:
        raise PreconditionFailed(
            "The collection is not as you have seen it. List it again, and send its ETag as If-Match."
        ) from None
    await deps.access.admin(me, record.kind, collection, etag)
    return view_collection(record, etag)


async def _owner(data: TenantData, me: TenantContext, collection: str, if_match: str | None) -> PrincipalId:
    """Return whose the collection is: a change of its settings does not make it somebody else's."""
    if if_match is None:
        return me.principal.id
    found = await data.records.get(CollectionRecord, collection)
    if found is None:
        raise PreconditionFailed("There is no such collection yet; leave If-Match out to make it.")
    return found.value.owner


def view_collection(record: CollectionRecord, etag: str) -> CollectionView:
    """Return a collection as the API shows it."""
    return CollectionView(
        collection=record.id,
        title=record.title,
        purpose=record.purpose,
        owner=record.owner,
        integrity=record.integrity,
        confidentiality=record.confidentiality,
        readers=list(record.readers),
        etag=etag,
    )
