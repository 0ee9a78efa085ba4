"""What is kept for all tenants at once outside the control plane: views, live lists, followers, limits, ids."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import orjson
import pytest
from store_samples import member, opened, prompt, step

from core import (
    ActionKind,
    ApprovalId,
    DocumentId,
    Effect,
    FlagId,
    Label,
    Permit,
    RunId,
    SystemClock,
    TenantContext,
    action_digest,
)
from core.bodies import (
    AnswerFlagged,
    AnswerGiven,
    ApprovalRequested,
    ApprovalResolved,
    Body,
    FlagResolved,
    PassagesRetrieved,
    RunEnded,
    RunParked,
    RunResumed,
)
from core.errors import Defect, RateLimited
from core.parts import FlagKind, PassageUse, RunState
from data import (
    APPROVALS,
    PROJECTIONS,
    RUNS,
    Broken,
    Projector,
    Row,
    RunWriter,
    Store,
    export_of,
    rebuild_differences,
    verify_run,
)
from interaction.changes import Changes
from interaction.parameters import run_for
from interaction.rates import PlanRates, Rate, RateLimits
from orchestration.flags import flag_answer
from orchestration.live import Delta, Hub, Snapshot

RUN, APPROVAL, FLAG, DOCUMENT = RunId("run_x"), ApprovalId("apr_x"), FlagId("flg_x"), DocumentId("doc_x")
Both = tuple[TenantContext, TenantContext]


@pytest.fixture
def both() -> Both:
    """Two tenants; all that happens in them has the same ids."""
    return member(), member()


def asked() -> list[Body]:
    use = PassageUse(passage="doc_x.0", document=DOCUMENT, label=Label(), score=1, rank_vector=1, rank_text=1)
    request = ApprovalRequested(
        approval=APPROVAL, step=1, call=0, tool="issue_refund", effect=Effect.WRITE, arguments=prompt().ref,
        policy_version="p", expires_at="2026-01-02T00:00:00.000Z",
    )  # fmt: skip
    found = PassagesRetrieved(step=0, passages=(use,), content=prompt().ref, duration_ms=1)
    return [opened(), found, step(), request, RunParked(cause="approval", until="2026-01-02T00:00:00.000Z")]


def answered(state: RunState) -> list[Body]:
    return [
        RunResumed(cause="approval"),
        ApprovalResolved(approval=APPROVAL, step=1, call=0, verdict="denied"),
        RunEnded(state=state, code="x"),
        AnswerFlagged(flag=FLAG, kind=FlagKind.WRONG, reason=prompt().ref),
        FlagResolved(flag=FLAG, reason=prompt().ref),
    ]


async def append(store: Store, context: TenantContext, bodies: Sequence[Body]) -> RunWriter:
    writer = RunWriter(store.tenant(context), RUN, actor=context.principal.actor)
    while page := await store.tenant(context).log.read(RUN, after=writer.seq):
        writer.events += page
    writer.durable = writer.seq
    for body in bodies:
        await writer.append([body])
    return writer


async def rows(store: Store, context: TenantContext) -> dict[str, Row]:
    views = store.tenant(context).views
    found = {view.view: (await views.list(view.view)).items for view in PROJECTIONS}
    assert {len(items) for items in found.values()} <= {0, 1}, found
    return {view: items[0] for view, items in found.items() if items}


async def test_what_happens_under_the_same_ids_in_two_tenants_is_each_ones_own(store: Store, both: Both) -> None:
    """Appended in turns and folded together, in one go and in several."""
    projector = Projector(store.platform)
    for context in both:
        await append(store, context, asked())
    await projector.catch_up()
    first = [await rows(store, context) for context in both]
    for of_tenant, context in zip(first, both, strict=True):
        assert of_tenant.keys() == {"runs", "approvals", "usage", "uses"}
        assert {row.tenant for row in of_tenant.values()} == {context.tenant}
        assert {row.owner for row in of_tenant.values()} == {context.principal.id}
        assert of_tenant["approvals"].state == "pending"
    await append(store, both[0], answered(RunState.COMPLETED))
    await projector.catch_up()
    mine, theirs = [await rows(store, context) for context in both]
    assert theirs == first[1], "what the one does changes nothing of the other's"
    assert (mine["runs"].state, mine["approvals"].state, mine["flags"].state) == ("completed", "denied", "resolved")
    await append(store, both[1], [RunEnded(state=RunState.CANCELLED, code="x")])
    await projector.catch_up()
    assert (await rows(store, both[1]))["approvals"].state == "superseded"
    assert [(await rows(store, context))["usage"].state for context in both] == ["completed", "cancelled"]
    for view in PROJECTIONS:
        assert await rebuild_differences(store.platform, view) == []


async def test_a_chain_of_another_tenant_does_not_verify(store: Store, both: Both) -> None:
    await append(store, both[0], asked())
    raw = await store.tenant(both[0]).log.raw(RUN)
    assert verify_run(both[0].tenant, RUN, raw).ok
    assert verify_run(both[1].tenant, RUN, raw).broken is Broken.TENANT


async def test_who_follows_a_list_is_told_of_their_own_tenants_changes_alone(store: Store, both: Both) -> None:
    projector, changes = Projector(store.platform), Changes(store)
    looking = asyncio.create_task(changes.run())
    queues = [changes.listen(context, view.view, owner=None) for context in both for view in (RUNS, APPROVALS)]
    opened_queues = [queue.__enter__() for queue in queues]
    await changes.begun()
    await append(store, both[0], asked())
    await append(store, both[1], asked())
    await projector.catch_up()
    async with asyncio.timeout(5):
        got = [await queue.get() for queue in opened_queues]
    assert [(row.tenant, row.key) for row in got if row] == [
        (context.tenant, key) for context in both for key in (RUN, APPROVAL)
    ]
    await append(store, both[0], [RunEnded(state=RunState.CANCELLED, code="x")])
    await projector.catch_up()
    async with asyncio.timeout(5):
        got = [await queue.get() for queue in opened_queues[:2]]
    assert [(row.tenant, row.state) for row in got if row] == [
        (both[0].tenant, state) for state in ("cancelled", "superseded")
    ]
    assert all(queue.empty() for queue in opened_queues)
    for queue in queues:
        queue.__exit__(None, None, None)
    looking.cancel()


async def test_who_has_too_many_live_lists_open_takes_none_from_somebody_of_the_same_id(store: Store) -> None:
    changes, first = Changes(store), member()
    second = replace(member(), principal=first.principal)
    held = [changes.listen(first, RUNS.view, owner=None) for _ in range(6)]
    for queue in held:
        queue.__enter__()
    with pytest.raises(RateLimited), changes.listen(first, RUNS.view, owner=None):
        pass
    with changes.listen(second, RUNS.view, owner=None):
        pass
    for queue in held:
        queue.__exit__(None, None, None)


async def test_followers_of_runs_with_the_same_id_see_their_own(both: Both) -> None:
    hub, (first, second) = Hub(), both
    live = hub.take(first.tenant, RUN)
    with hub.follow(second.tenant, RUN) as (theirs, follower), hub.follow(first.tenant, RUN) as (mine, own):
        live.delta("a secret")
        assert mine is live
        assert theirs is not live
        assert await own.take(within=0.05) == [Delta("a secret", 0)]
        assert await follower.take(within=0.05) == []
    with hub.follow(second.tenant, RUN) as (_, follower):
        assert await follower.take(within=0.05) == []
    with hub.follow(first.tenant, RUN) as (_, own):
        assert await own.take(within=0.05) == [Snapshot("a secret", 0)]
    hub.leave(first.tenant, RUN)
    with hub.follow(first.tenant, RUN) as (again, _):
        assert again is not live, "nothing is kept of a run that nobody holds"


async def test_a_flag_on_a_run_of_the_same_id_is_another_in_each_tenant(store: Store, both: Both) -> None:
    """Raised by somebody who has the same id in both."""
    flags: set[str] = set()
    for context in (both[0], replace(both[1], principal=both[0].principal)):
        await append(store, context, [opened(), AnswerGiven(message=prompt().ref), RunEnded(state=RunState.COMPLETED)])
        flag, _ = await flag_answer(store.tenant(context), SystemClock(), RUN, FlagKind.WRONG, "It is not so.")
        flags.add(flag.id)
    assert len(flags) == 2


def test_a_limit_counts_each_persons_and_each_tenants_requests_apart() -> None:
    once = Rate(per_second=0.001, burst=1)
    often = Rate(per_second=1, burst=100)
    first = member()
    second = replace(member(), principal=first.principal)
    for rates in (PlanRates(once, often), PlanRates(often, once)):
        limits = RateLimits({"standard": rates}, monotonic=lambda: 1.0)
        for context in (first, second):
            limits.take(context)
            with pytest.raises(RateLimited):
                limits.take(context)


async def test_an_idempotency_key_is_good_in_its_own_tenant(store: Store, both: Both) -> None:
    first, second = (store.tenant(context) for context in (both[0], replace(both[1], principal=both[0].principal)))
    assert await run_for(first, "key") == await run_for(first, "key") != await run_for(second, "key")


def test_an_export_says_whose_it_is(both: Both) -> None:
    assert orjson.loads(export_of(both[0].tenant, RUN, []).splitlines()[0])["tenant"] == both[0].tenant


def test_a_permit_of_one_tenant_does_not_fit_the_same_action_of_another(both: Both) -> None:
    digests = [action_digest(context.tenant, RUN, ActionKind.CALL_TOOL, "t", {}) for context in both]
    assert len(set(digests)) == 2
    permit = Permit(tenant=both[0].tenant, run=RUN, decision_seq=1, digest=digests[1])
    with pytest.raises(Defect):
        permit.spend(ActionKind.CALL_TOOL, "t", {})
