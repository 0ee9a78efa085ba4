"""Passages as documents, and the conditions under which a reader may read one."""

import base64
import math
import struct
from collections.abc import Sequence

from core import Confidentiality, DocumentId, Integrity, Label, PrincipalId, TenantId
from core.errors import Defect
from data.cosmos.items import Document, Value, number, text
from data.cosmos.keys import encoded
from data.knowledge import Passage, Reader

READABLE = (
    "c.level <= @level AND (ARRAY_LENGTH(c.readers) = 0 OR c.owner = @reader"
    " OR EXISTS(SELECT VALUE r FROM r IN c.readers WHERE ARRAY_CONTAINS(@groups, r)))"
)
"""The same question as `data.ranking.Access.readable`, asked within a query so that only the readable is ranked."""


def readable_by(reader: Reader) -> dict[str, Value]:
    """Return the parameters of `READABLE`."""
    return {"level": reader.ceiling.rank, "reader": reader.principal, "groups": sorted(reader.groups)}


def document_of(tenant: TenantId, passage: Passage, dimensions: int) -> Document:
    """Return a passage as it is stored.

    A vector that has not the container's dimensions is kept, but nothing is compared with it.
    """
    compared = len(passage.vector) == 4 * dimensions
    vector = numbers_of(passage.vector) if compared else base64.b64encode(passage.vector).decode()
    return {
        "id": encoded(passage.id),
        "tenant": tenant,
        "collection": passage.collection,
        "passage": passage.id,
        "document": passage.document,
        "ordinal": passage.ordinal,
        "heading": passage.heading,
        "said": f"{passage.heading}\n{passage.text}",
        "integrity": passage.label.integrity,
        "confidentiality": passage.label.confidentiality,
        "level": passage.label.confidentiality.rank,
        "readers": list(passage.readers),
        "owner": passage.owner,
        "compared": compared,
        "vector" if compared else "other_vector": vector,
    }


def passage_of(document: Document) -> Passage:
    heading = text(document, "heading")
    return Passage(
        id=text(document, "passage"),
        document=DocumentId(text(document, "document")),
        collection=text(document, "collection"),
        ordinal=number(document, "ordinal"),
        heading=heading,
        text=text(document, "said")[len(heading) + 1 :],
        vector=_vector(document),
        label=Label(
            integrity=Integrity(text(document, "integrity")),
            confidentiality=Confidentiality(text(document, "confidentiality")),
        ),
        readers=_readers(document),
        owner=PrincipalId(text(document, "owner")),
    )


def numbers_of(vector: bytes) -> list[float]:
    """Return a vector's numbers with as many digits as tell one float32 from the next: half the bytes of a double's."""
    return [float(f"{value:.9g}") for (value,) in struct.iter_unpack("<f", vector)]


def similarity(one: bytes, other: bytes) -> int:
    """Return the cosine of two normalised vectors, in millionths; 0 where they cannot be compared."""
    if len(one) != len(other):
        return 0
    pairs = zip(struct.iter_unpack("<f", one), struct.iter_unpack("<f", other), strict=True)
    return round(math.fsum(a * b for (a,), (b,) in pairs) * 1_000_000)


def _vector(document: Document) -> bytes:
    value = document.get("vector")
    if isinstance(value, list):
        return struct.pack(f"<{len(value)}f", *value)
    return base64.b64decode(text(document, "other_vector"))


def _readers(document: Document) -> tuple[str, ...]:
    value = document.get("readers")
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise Defect("A stored document is not as it was written.", code="defect.store")
    return tuple(str(reader) for reader in value)
