"""Passages: what a citation opens."""

from fastapi import APIRouter, Response

from core import Confidentiality, DocumentId, Integrity, PrincipalId, TenantContext
from core.errors import NotFound
from data import USES, Passage, Reader, TenantData, is_outside
from interaction.answers import Told, answer, described
from interaction.authority import Me
from interaction.decisions import text_of
from interaction.dependencies import Deps, InteractionDependencies
from interaction.parameters import PassagePath, no_such
from interaction.reading import readable_run
from interaction.routes.runs import catch_up
from orchestration import ERASED, WITHHELD, access_of, fetcher, fold, shown_passages

router = APIRouter(prefix="/v1/passages", tags=["documents"])


class PassageView(Told):
    """A passage with its document.

    Attributes:
        heading: the headings that the passage stands under; of a PDF, the page.
        title: of the document; what a source of your organisation's calls it.
        owner: pseudonym of whose document it is; null of what such a source has.
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
    owner: PrincipalId | None
    integrity: Integrity
    confidentiality: Confidentiality
    readers: list[str]
    ordinal: int
    before: str | None
    after: str | None


@router.get("/{passage}", responses=described(PassageView, 404))
async def read_passage(passage: PassagePath, me: Me, deps: Deps) -> Response:
    """Read a passage that an answer cites, and where it stands. Who may read it.

    One from a source of your organisation's (`src_`) is as the run was shown it; who may also read that run.
    """
    if is_outside(document := DocumentId(passage.rpartition(".")[0])):
        return answer(await _from_outside(me, deps, document, passage))
    data = deps.store.tenant(me)
    access = await access_of(data)
    record = await access.document(document)
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


async def _from_outside(
    me: TenantContext, deps: InteractionDependencies, document: DocumentId, passage: str
) -> PassageView:
    """Return a passage that is kept with the one run that was shown it, as far as the caller may read both."""
    data = deps.store.tenant(me)
    uses = (await data.views.list(USES.view, states=[document], limit=1)).items
    if not uses:  # perhaps it was cited a moment ago
        await catch_up(deps)
        uses = (await data.views.list(USES.view, states=[document], limit=1)).items
    try:
        events = await readable_run(deps.store, me, uses[0].run) if uses else ()
    except NotFound:
        events = ()
    found = fold(events).retrieved if events else None
    shown = await shown_passages(found, fetcher(data)) if found else ()
    one = next((one for one in shown if one.passage == passage and one.text not in (ERASED, WITHHELD)), None)
    label = next((use.label for use in found.passages if use.passage == passage), None) if found else None
    if one is None or label is None:
        raise no_such("passage")
    collections = await (await access_of(data)).collections([one.collection])
    return PassageView(
        passage=passage,
        document=document,
        collection=one.collection,
        title=one.heading,
        heading=one.heading,
        text=one.text,
        owner=None,
        integrity=label.integrity,
        confidentiality=label.confidentiality,
        readers=list(one.readers or collections[one.collection].readers),
        ordinal=0,
        before=None,
        after=None,
    )


async def _beside(data: TenantData, reader: Reader, passage: Passage, step: int) -> str | None:
    found = await data.knowledge.get(f"{passage.document}.{passage.ordinal + step}", reader)
    return found.id if found else None
