"""Names that a tenant chose: in the log they are sealed under the tenant's key, and mean nothing once that is gone."""

import re

from store_samples import member, run_id

from core import (
    ID_PATTERN,
    ActionKind,
    ContentClass,
    ContentId,
    ContentRef,
    Decision,
    DocumentId,
    Label,
    Lane,
    TenantContext,
    TenantId,
    new_id,
)
from core.bodies import Body, DecisionMade, DocumentReceived, RecordChanged, RunOpened
from core.parts import RunKind, Versions
from data import NAME_KEY, NameKey, RunWriter, Store, read_run, verify_one
from interaction import run_for

THEIRS = ("finance", "salaries", "tenant/no-salaries", "Salaries stay here.", "c0ffee", "my-ticket-17")


def bodies() -> list[Body]:
    decision = Decision(
        lane=Lane.NEVER,
        policies=("tenant/no-salaries", "publisher/ingest"),
        reason="Salaries stay here.",
        policy_version="c0ffee",
        facts={"user_groups": ("finance",), "collection": "salaries", "plan": "team", "step": 1},
    )
    return [
        RunOpened(
            kind=RunKind.INGESTION,
            groups=("finance",),
            correlation="my-ticket-17",
            versions=Versions(code="1", policy="c0ffee"),
        ),
        DecisionMade(step=0, kind=ActionKind.INGEST, target="salaries", decision=decision),
        DocumentReceived(
            document=DocumentId("doc_1"),
            collection="salaries",
            version=1,
            label=Label(),
            readers=("finance",),
            content=ContentRef(id=ContentId("cnt_1"), commitment="0", kind=ContentClass.DOCUMENT),
            passages=1,
        ),
        RecordChanged(kind="collection", key="salaries", version="c0ffee"),
    ]


async def written(store: Store, context: TenantContext) -> RunWriter:
    writer = RunWriter(store.tenant(context), run_id(), actor=context.principal.actor)
    await writer.append(bodies())
    return writer


async def on_disk(store: Store, context: TenantContext, writer: RunWriter) -> str:
    return " ".join(raw.data.decode() for raw in await store.tenant(context).log.raw(writer.run))


async def test_the_log_holds_no_name_of_theirs_and_its_reader_sees_every_one(store: Store) -> None:
    context = member()
    writer = await written(store, context)
    disk = await on_disk(store, context, writer)
    assert [name for name in THEIRS if name in disk] == []
    assert "publisher/ingest" in disk
    assert '"plan":"team"' in disk
    read = await read_run(store.tenant(context), writer.run)
    assert [stored.event.body for stored in read] == bodies()
    assert [stored.event.body for stored in writer.events] == bodies()


async def test_without_the_key_the_chain_holds_and_no_name_comes_back(store: Store) -> None:
    context = member()
    data = store.tenant(context)
    writer = await written(store, context)
    key = await data.records.get(NameKey, NAME_KEY)
    assert key
    await data.records.delete(NameKey, NAME_KEY, etag=key.etag)
    told = " ".join(stored.event.model_dump_json() for stored in await read_run(data, writer.run))
    assert [name for name in THEIRS if name in told] == []
    assert (await verify_one(data, writer.run)).ok


async def test_two_tenants_write_the_same_name_otherwise_and_one_tenant_the_same(store: Store) -> None:
    ours, other = member(), member()
    first, again, theirs = await written(store, ours), await written(store, ours), await written(store, other)
    sealed = [
        set(re.findall(r"~[\w=-]+", await on_disk(store, context, writer)))
        for context, writer in ((ours, first), (ours, again), (other, theirs))
    ]
    assert sealed[0] == sealed[1]
    assert sealed[0].isdisjoint(sealed[2])


async def test_the_same_key_is_the_same_run_for_the_same_person_of_the_same_tenant_only(store: Store) -> None:
    anna = member()
    ben, elsewhere = member(anna.tenant), member(TenantId(new_id("ten")))
    asked = [(anna, "k"), (ben, "k"), (elsewhere, "k"), (anna, "l"), (anna, None), (anna, None)]
    runs = [await run_for(store.tenant(context), key) for context, key in asked]
    assert await run_for(store.tenant(anna), "k") == runs[0]
    assert len(set(runs)) == len(runs)
    assert all(re.fullmatch(ID_PATTERN, run) for run in runs)
