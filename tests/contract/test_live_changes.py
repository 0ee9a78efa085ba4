"""Live lists: whoever listens is told of a change once the list has it, and of each."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from store_samples import member, opened, prompt, run_id

from core import ApprovalId, Effect, TenantContext, new_id
from core.bodies import ApprovalRequested, RunParked
from data import APPROVALS, RUNS, Projector, Row, RunWriter, Store
from interaction.changes import POLL_SECONDS, Changes

LATER = "2026-01-02T00:00:00.000Z"


def asked() -> ApprovalRequested:
    return ApprovalRequested(
        approval=ApprovalId(new_id("apr")),
        step=1,
        call=0,
        tool="issue_refund",
        effect=Effect.WRITE,
        arguments=prompt().ref,
        policy_version="p",
        expires_at=LATER,
    )


@asynccontextmanager
async def listening(store: Store, context: TenantContext) -> AsyncGenerator[asyncio.Queue[Row | None]]:
    """Give what somebody is told who has the inbox open."""
    changes = Changes(store)
    looking = asyncio.create_task(changes.run())
    with changes.listen(context, APPROVALS.view, owner=None) as queue:
        await changes.begun()
        yield queue
    looking.cancel()
    with suppress(asyncio.CancelledError):
        await looking


async def told(queue: asyncio.Queue[Row | None]) -> tuple[str, str]:
    async with asyncio.timeout(10 * POLL_SECONDS):
        row = await queue.get()
    assert row is not None
    return row.key, row.state


async def test_what_the_log_has_before_the_list_does_is_told_when_the_list_has_it(store: Store) -> None:
    context, projector, approval = member(), Projector(store.platform), asked()
    writer = RunWriter(store.tenant(context), run_id(), actor=context.principal.actor)
    async with listening(store, context) as queue:
        await writer.append([opened()])
        await projector.catch_up()
        await writer.append([approval, RunParked(cause="approval", until=LATER)])
        await asyncio.sleep(3 * POLL_SECONDS)
        assert queue.empty()
        await projector.catch_up()
        assert await told(queue) == (approval.approval, "pending")


async def test_of_two_lists_that_are_written_one_by_one_each_is_told_of_when_it_has_it(store: Store) -> None:
    context, approval = member(), asked()
    writer = RunWriter(store.tenant(context), run_id(), actor=context.principal.actor)
    async with listening(store, context) as queue:
        events = [stored.event for stored in await writer.append([opened(), approval])]
        run = RUNS.fold(writer.run, None, events, None)
        assert run
        await store.platform.project({RUNS.view: [run]}, name="another", checkpoint="")
        await asyncio.sleep(3 * POLL_SECONDS)
        assert queue.empty()
        await Projector(store.platform).catch_up()
        assert await told(queue) == (approval.approval, "pending")


async def test_what_was_appended_before_anybody_listened_is_told_if_the_list_lacked_it(store: Store) -> None:
    context, approval = member(), asked()
    writer = RunWriter(store.tenant(context), run_id(), actor=context.principal.actor)
    await writer.append([opened(), approval])
    async with listening(store, context) as queue:
        await Projector(store.platform).catch_up()
        assert await told(queue) == (approval.approval, "pending")
