"""What governing data asks of a store: how much it holds of a tenant, for how long, and that what goes stays gone."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from core import ContentClass, PrincipalId, RunId, TenantId

EVERYTHING = "*"
"""What a hold is on that keeps all content of a tenant."""


EVIDENCE_KINDS = frozenset({"evidence_checkpoint", "evidence_changes"})
"""Kinds of records that vouch for a tenant's evidence: they outlive it as that does, and hold ids and hashes only."""


class Part(StrEnum):
    """The parts of a store that hold what people said. The log and the views hold nothing of the kind."""

    CONTENT = "content"
    RECORDS = "records"
    KNOWLEDGE = "knowledge"


@dataclass(frozen=True, slots=True)
class Held:
    """How much there is of one kind.

    Attributes:
        kind: content class, kind of record, or collection; empty for the log, views and keys of theirs.
        held: how many of them a legal hold keeps.
        oldest: timestamp; empty where there is none.
    """

    part: str
    kind: str
    items: int
    bytes: int
    oldest: str = ""
    held: int = 0


class Governed(Protocol):
    """Given to the sweeper, to erasures, to exports and to the inventory, never to a request for one thing."""

    async def bar(self, tenant: TenantId, person: PrincipalId | None = None) -> None:
        """Let nothing of the tenant (of the person) be written any more, in any process; for good.

        A write that is under way is refused with `Conflict` (`erasure.tenant`, `erasure.person`), unless it was there
        before; a store without transactions over all that it has may let one through for five seconds. What remains
        possible in a barred tenant: events that end a run or say that a record changed, without content. A barred
        person's content is refused, and nothing else.
        """
        ...

    def runs(self, tenant: TenantId) -> AsyncIterator[RunId]:
        """Give every run of a tenant."""
        ...

    async def held(self, tenant: TenantId) -> Sequence[Held]:
        """Return how much there is of a tenant, by part and kind, the log and the views included."""
        ...

    async def erase_all(self, tenant: TenantId, part: Part) -> int:
        """Destroy all of a part of a barred tenant, and return how much there was.

        Records that vouch for its evidence stay, and may still be written.

        Raises:
            Conflict: a hold keeps some of its content (`hold.active`).
            Defect: the tenant is not barred.
        """
        ...

    async def scrub(self) -> None:
        """Leave no byte of what was erased: in free pages, in logs of writes, in what is held in memory.

        Raises:
            Unavailable: somebody reads what was there before; try again.
        """
        ...

    async def retain(self, tenant: TenantId, days: Mapping[ContentClass, int]) -> None:
        """Say how many days a tenant keeps content of each class, 0 for ever. Reads hide at once what is older.

        Classes that are not named follow what the store was opened with.
        """
        ...

    async def hold(self, tenant: TenantId, name: str, subjects: Sequence[str]) -> None:
        """Keep content from expiry and erasure: of the people and the content ids named, or `EVERYTHING`.

        The same name again takes the place of what it named before; no subjects release it.
        """
        ...

    async def expire(self, tenant: TenantId, *, limit: int = 500) -> int:
        """Destroy content whose time is up, `limit` pieces at most, and return how many."""
        ...
