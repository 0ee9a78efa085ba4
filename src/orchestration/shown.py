"""Passages as the model and the person are shown them: what is stored of them, and what may be shown of them later."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import orjson

from core import Confidentiality, DocumentId, Label, Role
from core.bodies import PassagesRetrieved
from data import TenantData
from orchestration.access import access_of
from orchestration.records import DocumentRecord

ERASED = "(erased)"
WITHHELD = "(withheld: not for you any more)"


@dataclass(frozen=True, slots=True)
class ShownPassage:
    """A passage as the model and the person are shown it, numbered from 1.

    Attributes:
        matched: the words of the question that full text found in it, where somebody asked for an explanation.
        collection: only of a passage from a customer's own source, of which there is no document here.
        readers: groups that may read such a one, as the source said; none means whoever reads the collection.
    """

    number: int
    passage: str
    document: DocumentId
    heading: str
    text: str
    matched: tuple[str, ...] = ()
    collection: str = ""
    readers: tuple[str, ...] = ()


def parse_passages(data: bytes) -> list[ShownPassage]:
    return [ShownPassage(**item | {"readers": tuple(item.get("readers", ()))}) for item in orjson.loads(data)]


def blocks(passages: Sequence[ShownPassage]) -> str:
    """Return passages as the model reads them: `[n] heading: text`, a blank line between."""
    return "\n\n".join(f"[{p.number}] {p.heading}: {p.text}" for p in passages)


def erased_passages(retrieved: PassagesRetrieved) -> list[ShownPassage]:
    """Return which passages were shown where their words are gone."""
    return [
        ShownPassage(number, use.passage, use.document, ERASED, ERASED)
        for number, use in enumerate(retrieved.passages, start=1)
    ]


@dataclass(frozen=True, slots=True)
class Shown:
    """Passages that were shown once, as they may be shown now.

    Attributes:
        labels: what the collections that they are from are labelled now.
    """

    passages: Sequence[ShownPassage]
    labels: Sequence[Label]


async def shown_again(data: TenantData, stored: bytes, ceiling: Confidentiality = Confidentiality.RESTRICTED) -> Shown:
    """Return what may be shown now, to the principal of `data`, of passages that somebody was shown once.

    Without words come those of documents that are gone or whose time is up, that the principal may not read any more,
    or that are above `ceiling`. An auditor sees what an agent was shown, as evidence, whoever may read it.
    """
    shown, access = parse_passages(stored), await access_of(data)
    names = dict.fromkeys(passage.document for passage in shown if not passage.collection)
    found = await asyncio.gather(*(data.records.get(DocumentRecord, name) for name in names))
    there = {one.id: one for one in await access.there(one.value for one in found if one)}
    homes = {document.id: document.collection for document in there.values()}
    homes |= {passage.document: passage.collection for passage in shown if passage.collection}
    collections = await access.collections(homes.values())
    low = {one.id for one in collections.values() if one.confidentiality.rank <= ceiling.rank}
    own = {document.id for document in await access.readable(there.values())}
    outside = [passage for passage in shown if passage.collection in collections]
    sourced = {p.document for p in outside if access.sourced(collections[p.collection], p.readers)}
    kept = set(homes) if data.context.has(Role.AUDITOR) else own | sourced
    open_ = {document for document in kept if homes[document] in low}
    why = {passage.document: WITHHELD if passage.document in homes else ERASED for passage in shown}
    passages = [p if p.document in open_ else _without_words(p, why[p.document]) for p in shown]
    return Shown(passages, [one.label for one in collections.values()])


def _without_words(passage: ShownPassage, why: str) -> ShownPassage:
    return replace(passage, heading=why, text=why, matched=())


def stored_form(passages: Sequence[ShownPassage]) -> bytes:
    return orjson.dumps([asdict(passage) for passage in passages])
