"""What is kept of the organisation: each place, how much of each kind, for how long, and who answers for it."""

from collections.abc import Mapping
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from control import ClassRule
from core import Confidentiality, ContentClass, TenantContext
from data import Held
from interaction.answers import Told, answer, described
from interaction.authority import Overseer
from interaction.dependencies import Deps, InteractionDependencies
from interaction.tables import csv_of
from orchestration import STORES, CollectionRecord, holds_of

router = APIRouter(prefix="/v1/data/inventory", tags=["data"])

_COLUMNS = (
    *("store", "kind", "items", "bytes", "oldest", "held"),
    *("owner", "classification", "purpose", "retention_days", "region"),
)


class InventoryLine(Told):
    """How much there is of one kind.

    Attributes:
        kind: class of content, kind of record, collection or view; empty for the log.
        oldest: null where the store does not know, or has none.
        held: how many of them a legal hold keeps.
        owner: who answers for it: a role, or of a collection a person; null where the store's rule says it all.
        retention_days: 0 until it is erased; null where nothing expires by itself.
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
    kept = (await deps.entitlements.of(me.tenant)).retention
    lines = [_line(me, deps, held, collections, kept) for held in found]
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
    kept: Mapping[ContentClass, int],
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
        own = {"region": me.region if rule.region == "tenant" else rule.region}
        own |= {"retention_days": kept[kind]} if kind in kept else {}
        return line.model_copy(update={**dict(rule), **own})
    if record := collections.get(held.kind) if held.part == "knowledge" else None:
        days = record.retention_days or deps.governance.retention[ContentClass.DOCUMENT]
        about = {"owner": record.owner, "classification": record.confidentiality, "purpose": record.purpose}
        return line.model_copy(update={**about, "retention_days": days})
    return line


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
