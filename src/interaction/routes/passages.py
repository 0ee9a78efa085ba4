"""Passages: what a citation opens."""

from fastapi import APIRouter, Response

from core import Confidentiality, DocumentId, Integrity, PrincipalId
from data import Passage, Reader, TenantData
from interaction.answers import Told, answer, described
from interaction.authority import Me
from interaction.decisions import text_of
from interaction.dependencies import Deps
from interaction.parameters import PassagePath, no_such
from orchestration import access_of, fetcher

router = APIRouter(prefix="/v1/passages", tags=["documents"])


class PassageView(Told):
    """A passage with its document.

    Attributes:
        title: of the document.
        heading: the headings that the passage stands under; of a PDF, the page.
        owner: pseudonym of whose document it is.
        readers: groups that may read it; none means all members.
        before: the passage before it; null for the first.
        after: the passage after it; null for the last.
    """

    passage: str
    document: DocumentId
    collection: str
    title: str
    heading: str
    text: str
    owner: PrincipalId
    integrity: Integrity
    confidentiality: Confidentiality
    readers: list[str]
    ordinal: int
    before: str | None
    after: str | None


@router.get("/{passage}", responses=described(PassageView, 404))
async def read_passage(passage: PassagePath, me: Me, deps: Deps) -> Response:
    """Read a passage that an answer cites, and where it stands. Who may read it."""
    data = deps.store.tenant(me)
    access = await access_of(data)
    record = await access.document(DocumentId(passage.rpartition(".")[0]))
    collections = await access.collections([record.collection] if record else [])
    reader = access.reader(collections.values())
    found = await data.knowledge.get(passage, reader)
    if record is None or found is None:
        raise no_such("passage")
    collection = collections[record.collection]
    return answer(
        PassageView(
            passage=found.id,
            document=found.document,
            collection=found.collection,
            title=await text_of(record.title, fetcher(data)),
            heading=found.heading,
            text=found.text,
            owner=found.owner,
            integrity=collection.integrity,
            confidentiality=collection.confidentiality,
            readers=list(collection.readers),
            ordinal=found.ordinal,
            before=await _beside(data, reader, found, -1),
            after=await _beside(data, reader, found, 1),
        )
    )


async def _beside(data: TenantData, reader: Reader, passage: Passage, step: int) -> str | None:
    found = await data.knowledge.get(f"{passage.document}.{passage.ordinal + step}", reader)
    return found.id if found else None
