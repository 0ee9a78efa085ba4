"""Governing what the account holds. What was decided of a tenant is one logical partition of the records.

The service has no transaction over two partitions, so a write asks what was decided before it, at most five seconds
ago. What slips through in that time, an erasure finds when it is done again a while later.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from pydantic import TypeAdapter

from core import Clock, ContentClass, PrincipalId, RunId, TenantId, timestamp
from core.errors import Conflict, Defect
from data.cosmos.calls import Missing, Stale
from data.cosmos.items import Document, Items, number, text
from data.cosmos.keys import Key, encoded
from data.cosmos.large import Large
from data.governed import EVERYTHING, EVIDENCE_KINDS, Held, Part

KIND = "governed"
"""The second level of the key of what was decided; no kind of record has this name."""

FRESH_SECONDS = 5.0
AT_ONCE = 32
MOST = 10_000

_DAYS = TypeAdapter(dict[ContentClass, int])
_NO_TTL = -1


@dataclass(frozen=True, slots=True)
class Rules:
    """What was decided of a tenant.

    Attributes:
        barred: whom nothing is written of; empty string: nobody's.
        days: for which content of a class stays, where the tenant chose.
        held: what must not go.
    """

    barred: frozenset[str] = frozenset()
    days: Mapping[ContentClass, int] = field(default_factory=dict[ContentClass, int])
    held: frozenset[str] = frozenset()

    def refuse(self, people: Sequence[PrincipalId] = ()) -> None:
        """Refuse a write of somebody who was erased.

        Raises:
            Conflict: `erasure.tenant`, `erasure.person`.
        """
        if "" in self.barred:
            raise Conflict("This organisation is erased: nothing of it is written any more.", code="erasure.tenant")
        if not self.barred.isdisjoint(people):
            raise Conflict("This person is erased: nothing of theirs is written any more.", code="erasure.person")

    def holds(self, owner: str, id_: str) -> bool:
        return not self.held.isdisjoint((EVERYTHING, owner, id_))


class Decided:
    """What was decided of each tenant, as this process knows it; and for how long content of a class stays."""

    def __init__(self, records: Items, clock: Clock, retention: Mapping[ContentClass, int]) -> None:
        self._records = records
        self._clock = clock
        self._retention = retention
        self._known: dict[TenantId, tuple[float, Rules]] = {}

    async def rules(self, tenant: TenantId) -> Rules:
        known = self._known.get(tenant)
        if known is None or time.monotonic() - known[0] >= FRESH_SECONDS:
            if len(self._known) >= MOST:
                self._known.clear()
            known = self._known[tenant] = (time.monotonic(), await self._read(tenant))
        return known[1]

    async def decide(self, tenant: TenantId, name: str, values: Document | None) -> None:
        """Write down one thing, or None to take it back; what stands there already is not written again."""
        key, id_ = (tenant, KIND), encoded(name)
        if values is None:
            await self._records.delete(key, id_)
        elif (found := await self._records.read(key, id_)) is None or {**found, **values} != found:
            await self._records.upsert(key, {"id": id_, "tenant": tenant, "kind": KIND, **values})
        self._known.pop(tenant, None)

    def now(self) -> str:
        return timestamp(self._clock.now())

    def expiry(self, rules: Rules, kind: ContentClass) -> str:
        """Return the time before which content of a class has expired; empty if it never does."""
        days = self.days(rules, kind)
        return timestamp(self._clock.now() - timedelta(days=days)) if days else ""

    def days(self, rules: Rules, kind: ContentClass) -> int:
        return rules.days.get(kind, self._retention.get(kind, 0))

    async def _read(self, tenant: TenantId) -> Rules:
        found = await self._records.query(
            (tenant, KIND), "SELECT * FROM c WHERE c.tenant = @tenant AND c.kind = @kind", kind=KIND
        )
        return Rules(
            barred=frozenset(text(document, "barred") for document in found if "barred" in document),
            days=_days(found),
            held=frozenset(subject for document in found for subject in _subjects(document)),
        )


_DESCRIBED = "c.tenant, c.id, c.shard, c.content, c.kind, c.owner, c.at, c.size, c.large, c.ttl"
"""Of a piece of content, all but its bytes and their key."""
_EXPIRED = f"SELECT {_DESCRIBED} FROM c WHERE c.tenant = @tenant AND c.kind = @kind AND c.at < @before"


class CosmosGoverned:
    def __init__(self, decided: Decided, containers: Mapping[str, Items], large: Large) -> None:
        self._decided = decided
        self._containers = containers
        self._large = large

    async def bar(self, tenant: TenantId, person: PrincipalId | None = None) -> None:
        await self._decided.decide(tenant, f"bar {person or ''}", {"barred": person or ""})

    async def runs(self, tenant: TenantId) -> AsyncIterator[RunId]:
        sql = "SELECT c.tenant, c.run FROM c WHERE c.tenant = @tenant AND c.seq = 1"
        for document in await self._containers["events"].query(tenant, sql):
            yield RunId(text(document, "run"))

    async def held(self, tenant: TenantId) -> Sequence[Held]:
        rules, found = await self._decided.rules(tenant), dict[tuple[str, str], Held]()
        for part, container, kind, said in (
            ("content", "content", "kind", "size"),
            ("records", "records", "kind", "body"),
            ("knowledge", "passages", "collection", "said"),
            ("log", "events", "", "data"),
            ("views", "views", "view", "body"),
        ):
            for document in await self._all(container, tenant):
                if said in document and document.get("kind") != KIND:
                    name = text(document, kind) if kind else ""
                    of = "evidence" if name in EVIDENCE_KINDS else part
                    found[of, name] = _counted(found.get((of, name)), of, name, document, said, rules)
        return list(found.values())

    async def erase_all(self, tenant: TenantId, part: Part) -> int:
        rules = await self._decided.rules(tenant)
        if "" not in rules.barred:
            raise Defect("Only of a barred tenant everything is erased.", code="defect.erasure")
        match part:
            case Part.CONTENT:
                found = await self._all("content", tenant)
                if any(rules.holds(str(one.get("owner")), str(one.get("content"))) for one in found):
                    raise Conflict("A legal hold keeps this. Release the hold first.", code="hold.active")
                await self._blobs(tenant, found)
                return await self._delete("content", "shard", found)
            case Part.RECORDS:
                spared = {KIND, *EVIDENCE_KINDS}
                found = [one for one in await self._all("records", tenant) if one.get("kind") not in spared]
                return await self._delete("records", "kind", found)
            case Part.KNOWLEDGE:
                return await self._delete("passages", "collection", await self._all("passages", tenant))

    async def scrub(self) -> None:
        """Nothing to do: what the service deletes is gone, and its backups go by their own retention."""

    async def retain(self, tenant: TenantId, days: Mapping[ContentClass, int]) -> None:
        await self._decided.decide(tenant, "days", {"days": _DAYS.dump_json(dict(days)).decode()})

    async def hold(self, tenant: TenantId, name: str, subjects: Sequence[str]) -> None:
        await self._decided.decide(tenant, f"hold {name}", {"subjects": list(subjects)} if subjects else None)
        rules = await self._decided.rules(tenant)
        for document in await self._all("content", tenant):
            if "ttl" in document and rules.holds(text(document, "owner"), text(document, "content")):
                await self._keep((tenant, text(document, "shard")), text(document, "id"))

    async def expire(self, tenant: TenantId, *, limit: int = 500) -> int:
        rules, found = await self._decided.rules(tenant), list[Document]()
        for kind in ContentClass:
            if before := self._decided.expiry(rules, kind):
                found += await self._containers["content"].query(tenant, _EXPIRED, kind=kind, before=before)
        free = [one for one in found if not rules.holds(text(one, "owner"), text(one, "content"))]
        expired = free[:limit]
        await self._blobs(tenant, expired)
        return await self._delete("content", "shard", expired)

    async def _keep(self, key: Key, id_: str) -> None:
        try:
            await self._containers["content"].set(key, id_, {"ttl": _NO_TTL}, only_if="FROM c WHERE c.ttl > 0")
        except (Missing, Stale):
            return  # it is gone, or kept already

    async def _all(self, container: str, tenant: TenantId) -> list[Document]:
        what = _DESCRIBED if container == "content" else "*"
        return await self._containers[container].query(tenant, f"SELECT {what} FROM c WHERE c.tenant = @tenant")

    async def _blobs(self, tenant: TenantId, found: Sequence[Document]) -> None:
        """Delete what is kept beside the documents first, so that nothing is left that nobody knows of."""
        for document in found:
            if large := document.get("large"):
                await self._large.delete((tenant, text(document, "shard")), str(large), number(document, "size"))

    async def _delete(self, container: str, level: str, found: Sequence[Document]) -> int:
        deleted = 0
        for start in range(0, len(found), AT_ONCE):
            keys = [
                ((TenantId(text(one, "tenant")), text(one, level)), text(one, "id"))
                for one in found[start : start + AT_ONCE]
            ]
            deleted += sum(await asyncio.gather(*(self._containers[container].delete(*key) for key in keys)))
        return deleted


def _counted(before: Held | None, part: str, kind: str, document: Document, said: str, rules: Rules) -> Held:
    size = number(document, said) if part == "content" else len(text(document, said).encode())
    at = str(document.get("at", ""))
    held = part == "content" and rules.holds(text(document, "owner"), text(document, "content"))
    old = before or Held(part, kind, 0, 0, at)
    return Held(part, kind, old.items + 1, old.bytes + size, min(old.oldest, at), old.held + held)


def _days(found: Sequence[Document]) -> dict[ContentClass, int]:
    chosen = [_DAYS.validate_json(text(document, "days")) for document in found if "days" in document]
    return chosen[0] if chosen else {}


def _subjects(document: Document) -> list[str]:
    subjects = document.get("subjects")
    return [str(subject) for subject in subjects] if isinstance(subjects, Sequence) else []
