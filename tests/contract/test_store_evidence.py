"""Verification of whole stores: every chain is walked, and a run of another tenant is not to be had."""

import pytest
from store_samples import member, opened, run_id, step

from core.errors import NotFound
from data import RunWriter, Store, verify_all, verify_one


async def test_every_chain_of_every_tenant_is_walked(store: Store) -> None:
    contexts = [member(), member()]
    runs = sorted((context.tenant, run_id()) for context in contexts for _ in range(3))
    actors = {context.tenant: context for context in contexts}
    for tenant, run in runs:
        data = store.tenant(actors[tenant])
        await RunWriter(data, run, actor=data.context.principal.actor).append([opened(), step(), step()])
    verdicts = [verdict async for verdict in verify_all(store.platform)]
    assert sorted((verdict.tenant, verdict.run) for verdict in verdicts) == runs
    assert all(verdict.ok and verdict.events == 3 for verdict in verdicts)


async def test_one_run_is_verified_by_its_tenant_only(store: Store) -> None:
    mine, theirs = store.tenant(member()), store.tenant(member())
    writer = RunWriter(mine, run_id(), actor=mine.context.principal.actor)
    await writer.append([opened(), step()])
    assert (await verify_one(mine, writer.run)).ok
    with pytest.raises(NotFound):
        await verify_one(theirs, writer.run)
