"""Sources that a customer owns: an index of theirs in which a collection lives, and the port to search it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol

from pydantic import BaseModel, ConfigDict, StringConstraints

from core import Confidentiality, DocumentId, Permit, TenantContext, new_id
from data.knowledge import Hit, Query

SourceField = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,127}$")]
"""A field of an index, as Azure AI Search lets it be named."""

OptionalSourceField = Annotated[str, StringConstraints(pattern=r"^([A-Za-z][A-Za-z0-9_]{0,127})?$")]


_OUTSIDE = "src"


def outside_id() -> DocumentId:
    """Return an id of ours for what a source has found: the customer's keys are theirs, and stay with them."""
    return DocumentId(new_id(_OUTSIDE))


def is_outside(document: DocumentId) -> bool:
    """Return whether a document is of a customer's own source: only the run that was shown it keeps it."""
    return document.startswith(f"{_OUTSIDE}_")


class Source(BaseModel):
    """Where a collection lives that a customer keeps themselves.

    Attributes:
        endpoint: of the search service: `https://` and a host.
        directory: the customer's own Entra tenant, from the token of whoever set it: the only one we sign in to for it.
        region: where the service is; the same as the tenant's.
        key: field that tells documents apart.
        vector: field with vectors of the environment's embedder; empty: only words are searched.
        groups: field with the groups that may read a document, by our names; none in it means all. May be empty.
        confidentiality: field with a document's level, by our names; empty: all are as the collection.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    endpoint: str
    index: str
    directory: str
    region: str
    key: SourceField
    heading: SourceField
    text: SourceField
    vector: OptionalSourceField = ""
    groups: OptionalSourceField = ""
    confidentiality: OptionalSourceField = ""


@dataclass(frozen=True, slots=True)
class Trim:
    """What a source is told of whoever searches: their groups, and the most confidential that they may be shown."""

    groups: frozenset[str]
    ceiling: Confidentiality


class Sources(Protocol):
    async def search(
        self, context: TenantContext, permit: Permit, source: Source, query: Query, *, vector: bytes, trim: Trim
    ) -> Sequence[Hit]:
        """Return the best passages of one collection, trimmed by the source before it ranks.

        Raises:
            Defect: the permit is not for this query, or another tenant's.
            Unavailable: the source does not answer, or not as it should (`dependency.source`).
        """
        ...
