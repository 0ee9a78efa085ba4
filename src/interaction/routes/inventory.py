"""What is kept of the organisation: each place, how much of each kind, for how long, and who answers for it."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from control import ClassRule
from core import Confidentiality, ContentClass, TenantContext
from data import Held
from interaction.answers import Told, answer, described
from interaction.authority import Overseer
from interaction.dependencies import Deps, InteractionDependencies
from interaction.tables import csv_of
from orchestration import RETENTION_KEY, STORES, CollectionRecord, RetentionRecord, holds_of

router = APIRouter(prefix="/v1/data/inventory", tags=["data"])

_COLUMNS = (
    *("store", "kind", "items", "bytes", "oldest", "held"),
    *("owner", "classification", "purpose", "retention_days", "retention_days_next", "retention_next_at", "region"),
)


class InventoryLine(Told):
    """How much there is of one kind.

    Attributes:
        kind: class of content, kind of record, collection or view; empty for the log.
        oldest: null where the store does not know, or has none.
        held: how many of them a legal hold keeps.
        owner: who answers for it: a role, or of a collection a person; null where the store's rule says it all.
        retention_days: 0 until it is erased; null where nothing expires by itself.
        retention_days_next: what holds from `retention_next_at` on, since the plan says so; null where nothing changes.
    """

    store: str
    kind: str
    items: int
    bytes: int
    oldest: str | None
    held: int
    owner: str | None = None
    classification: Confidentiality | None = None
    purpose: str | None = None
    retention_days: int | None = None
    retention_days_next: int | None = None
    retention_next_at: str | None = None
    region: str


class StoreLine(Told):
    """A place that may keep something: how tenants are kept apart in it, what an export has of it, what stays.

    Attributes:
        items: null where it is not counted, such as what is in memory for seconds.
        keeps: why something in it is not erased; empty where everything is.
    """

    store: str
    items: int | None
    bytes: int | None
    isolates: str
    exports: str
    keeps: str


class Inventory(Told):
    """What is kept at this moment. `holds` are the legal holds by their ids."""

    stores: list[StoreLine]
    items: list[InventoryLine]
    holds: list[str]


_ANSWERS = described(Inventory, 422)
_ANSWERS[200]["content"] = {"text/csv": {"schema": {"type": "string"}}}


@router.get("", responses=_ANSWERS)
async def read_inventory(
    me: Overseer,
    deps: Deps,
    form: Annotated[Literal["json", "csv"], Query(alias="format", description="A table of `items` as CSV.")] = "json",
) -> Response:
    """Read what is kept of the organisation, and for how long. Roles: owner, admin, auditor."""
    inventory = await inventory_of(me, deps)
    if form == "json":
        return answer(inventory)
    lines = [[getattr(line, column) for column in _COLUMNS] for line in inventory.items]
    headers = {"Content-Disposition": 'attachment; filename="inventory.csv"'}
    return Response(csv_of(_COLUMNS, lines), media_type="text/csv", headers=headers)


async def inventory_of(me: TenantContext, deps: InteractionDependencies) -> Inventory:
    """Count what is kept; classes of content of which there is nothing are listed too."""
    data, found = deps.store.tenant(me), [*await deps.store.governed.held(me.tenant)]
    there = {held.kind for held in found if held.part == "content"}
    found += [Held("content", kind, 0, 0) for kind in ContentClass if kind not in there]
    collections: dict[str, CollectionRecord] = {}
    for held in found:
        if held.part == "knowledge" and (record := await data.records.get(CollectionRecord, held.kind)):
            collections[held.kind] = record.value
    settled = await data.records.get(RetentionRecord, RETENTION_KEY)
    lines = [_line(me, deps, held, collections, settled.value if settled else None) for held in found]
    return Inventory(
        stores=_stores(lines),
        items=sorted(lines, key=lambda line: (line.store, line.kind)),
        holds=[hold.id async for hold in holds_of(data)],
    )


def _line(
    me: TenantContext,
    deps: InteractionDependencies,
    held: Held,
    collections: dict[str, CollectionRecord],
    settled: RetentionRecord | None,
) -> InventoryLine:
    line = InventoryLine(
        store=held.part,
        kind=held.kind,
        items=held.items,
        bytes=held.bytes,
        oldest=held.oldest or None,
        held=held.held,
        region=me.region,
    )
    if held.part == "content":
        kind = ContentClass(held.kind)
        rule: ClassRule = deps.governance.classes[kind]
        region = me.region if rule.region == "tenant" else rule.region
        return line.model_copy(update={**dict(rule), "region": region, **(_kept(settled, kind) if settled else {})})
    if record := collections.get(held.kind) if held.part == "knowledge" else None:
        days = record.retention_days or deps.governance.retention[ContentClass.DOCUMENT]
        about = {"owner": record.owner, "classification": record.confidentiality, "purpose": record.purpose}
        return line.model_copy(update={**about, "retention_days": days})
    return line


def _kept(settled: RetentionRecord, kind: ContentClass) -> dict[str, int | str]:
    days, wanted = settled.kept.get(kind, 0), settled.wanted.get(kind, 0)
    coming = {"retention_days_next": wanted, "retention_next_at": settled.shorter_from} if wanted != days else {}
    return {"retention_days": days, **coming}


def _stores(lines: list[InventoryLine]) -> list[StoreLine]:
    counted = {line.store for line in lines}
    return [
        StoreLine(
            store=store.name,
            items=sum(line.items for line in lines if line.store == store.name) if store.name in counted else None,
            bytes=sum(line.bytes for line in lines if line.store == store.name) if store.name in counted else None,
            isolates=store.isolates,
            exports=store.exports,
            keeps=store.keeps,
        )
        for store in STORES
    ]
