"""Collections: where documents are kept, who may read them, and whether their authors are trusted."""

import re
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field, StringConstraints

from control import PERSONAL_ACCOUNTS
from core import Confidentiality, Integrity, PrincipalId, TenantContext
from core.errors import PreconditionFailed, Unprocessable
from data import OptionalSourceField, Page, Source, SourceField, TenantData, Versioned
from interaction.answers import Given, Told, answer, described
from interaction.authority import Admin, Me, oversees
from interaction.dependencies import Deps, InteractionDependencies
from interaction.paging import chosen_page
from interaction.parameters import PLAIN_LINE, CollectionPath, Cursor, IfMatch, Limit
from orchestration import CollectionRecord, access_of
from web import VerifiedToken

router = APIRouter(prefix="/v1/collections", tags=["documents"])

_Line = Annotated[str, StringConstraints(max_length=200, pattern=PLAIN_LINE)]
_Group = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
_SERVICE = re.compile(r"https://[a-z0-9]([a-z0-9-]{0,58}[a-z0-9])?\.search\.windows\.net")
_LOCAL = re.compile(r"https://127\.0\.0\.1:[0-9]{1,5}")
_ETAG = {"ETag": "Give it as If-Match to change the collection."}


class SourceSettings(Given):
    """An index in Azure AI Search that your organisation keeps, in its own subscription and region.

    The application `Mandate's sources` must have the role Search Index Data Reader there. What it finds counts as
    untrusted unless the collection is marked as trusted.

    Attributes:
        endpoint: of the search service, in the region of your organisation here.
        region: where the service is.
        key: the index's key field.
        vector: field with vectors of this environment's embedder; empty: only words are searched.
        groups: field with the groups that may read a document, as they are called here; empty: there is none.
        confidentiality: field with a document's level, as it is called here; empty: there is none.
    """

    endpoint: Annotated[str, StringConstraints(max_length=200)] = Field(examples=["https://acme.search.windows.net"])
    index: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,126}[a-z0-9])?$")]
    region: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{1,40}$")] = Field(examples=["westeurope"])
    key: SourceField = "id"
    heading: SourceField = "title"
    text: SourceField = "content"
    vector: OptionalSourceField = ""
    groups: OptionalSourceField = ""
    confidentiality: OptionalSourceField = ""


class CollectionSettings(Given):
    """What an admin decides about a collection. It holds at once, for all documents that are in it.

    Attributes:
        integrity: `trusted` only if outsiders write nothing in it: agents act on it without asking a person.
        source: where the collection lives, if your organisation keeps it itself; it takes no documents here then.
        readers: groups whose members may read it; none for all members.
        retention_days: so long a document stays; null: as long as the organisation keeps documents.
    """

    title: _Line = Field(examples=["Refund and shipping policies"])
    purpose: _Line = Field(examples=["What staff may promise to customers"])
    integrity: Annotated[Integrity, Field(strict=False)] = Integrity.UNTRUSTED
    confidentiality: Annotated[Confidentiality, Field(strict=False)] = Confidentiality.INTERNAL
    readers: Annotated[list[_Group], Field(max_length=50, default_factory=list[str])]
    retention_days: Annotated[int, Field(ge=1, le=36_500)] | None = None
    source: SourceSettings | None = None


class CollectionView(Told):
    """`etag` is what to give as If-Match to change it, in quotation marks."""

    collection: str
    title: str
    purpose: str
    owner: PrincipalId
    integrity: Integrity
    confidentiality: Confidentiality
    readers: list[str]
    retention_days: int | None
    source: SourceSettings | None
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
    collection: CollectionPath,
    body: CollectionSettings,
    me: Admin,
    deps: Deps,
    *,
    request: Request,
    if_match: IfMatch = None,
) -> Response:
    """Make a collection, or change one. Roles: admin, owner."""
    view = await save_collection(me, deps, collection, body, if_match, directory_of(request))
    return answer(view, 200 if if_match else 201, {"ETag": f'"{view.etag}"'})


def directory_of(request: Request) -> str:
    """Return the Entra tenant of whoever asks, from their verified token: it is never theirs to name."""
    token: VerifiedToken = request.state.token
    return token.tenant_id


def source_of(settings: SourceSettings, me: TenantContext, directory: str, *, local: bool) -> Source:
    """Return a customer's source, checked.

    Raises:
        Unprocessable: it is no search service of Azure (`source.endpoint`), or in another region (`source.region`).
    """
    allowed = _SERVICE.fullmatch(settings.endpoint) or (local and _LOCAL.fullmatch(settings.endpoint))
    if not allowed or directory == PERSONAL_ACCOUNTS:
        raise Unprocessable(
            "The source must be an Azure AI Search service: https://<name>.search.windows.net, in your organisation.",
            code="source.endpoint",
        )
    if settings.region != me.region:
        raise Unprocessable(
            f"Your organisation's data stays in {me.region}: the source must be in that region.", code="source.region"
        )
    return Source(**settings.model_dump(), directory=directory)


async def save_collection(
    me: TenantContext,
    deps: InteractionDependencies,
    collection: str,
    body: CollectionSettings,
    if_match: str | None,
    directory: str,
) -> CollectionView:
    """Make a collection for an admin (`if_match` None), or change the one that has this ETag.

    Raises:
        Unprocessable: see `source_of`.
        PreconditionFailed: it is there already, or was changed since.
    """
    data, local = deps.store.tenant(me), deps.environment == "local"
    record = CollectionRecord(
        id=collection,
        title=body.title,
        purpose=body.purpose,
        owner=await _owner(data, me, collection, if_match),
        integrity=body.integrity,
        confidentiality=body.confidentiality,
        readers=tuple(body.readers),
        retention_days=body.retention_days,
        source=source_of(body.source, me, directory, local=local) if body.source else None,
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
        retention_days=record.retention_days,
        source=SourceSettings(**record.source.model_dump(exclude={"directory"})) if record.source else None,
        etag=etag,
    )
