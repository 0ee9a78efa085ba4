"""Passages as documents, and the conditions under which a reader may read one."""

import base64
import math
import struct

from core import ContentId, DocumentId, PrincipalId, TenantId
from data.cosmos.items import Document, Value, number, text
from data.cosmos.keys import encoded
from data.knowledge import Passage, Reader, Term

READABLE = "(ARRAY_CONTAINS(@whole, c.collection) OR (ARRAY_CONTAINS(@own, c.collection) AND c.owner = @reader))"
"""The same question as `Reader.may_read`, asked within a query so that only the readable is ranked."""


IN_TIME = "(c.until = '' OR c.until >= @now) AND c.since >= @oldest"
"""The contrary of `Term.is_over`, for the same reason."""


def readable_by(reader: Reader) -> dict[str, Value]:
    """Return the parameters of `READABLE`."""
    return {"reader": reader.principal, "whole": sorted(reader.whole), "own": sorted(reader.own)}


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
        "content": passage.term.content,
        "owner": passage.term.owner,
        "since": passage.term.since,
        "until": passage.term.until,
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
        term=Term(
            content=ContentId(text(document, "content")),
            owner=PrincipalId(text(document, "owner")),
            since=text(document, "since"),
            until=text(document, "until"),
        ),
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
