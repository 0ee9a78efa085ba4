"""Live lists: whoever listens is told of a change once the list has it, and of each."""

import asyncio
from contextlib import suppress

from store_samples import member, opened, prompt, run_id

from core import ApprovalId, Effect, new_id
from core.events import ApprovalRequested, RunParked
from data import APPROVALS, Projector, RunWriter, Store
from interaction.changes import POLL_SECONDS, Changes

LATER = "2026-01-02T00:00:00.000Z"


async def test_what_the_log_has_before_the_list_does_is_told_when_the_list_has_it(store: Store) -> None:
    context, changes, projector = member(), Changes(store), Projector(store.platform)
    writer = RunWriter(store.tenant(context), run_id(), actor=context.principal.actor)
    approval = ApprovalId(new_id("apr"))
    asked = ApprovalRequested(
        approval=approval,
        step=1,
        call=0,
        tool="issue_refund",
        effect=Effect.WRITE,
        arguments=prompt().ref,
        policy_version="p",
        expires_at=LATER,
    )
    looking = asyncio.create_task(changes.run())
    with changes.listen(context, APPROVALS.view, owner=None) as queue:
        await changes.begun()
        await writer.append([opened()])
        await projector.catch_up()
        await writer.append([asked, RunParked(cause="approval", until=LATER)])
        await asyncio.sleep(3 * POLL_SECONDS)
        assert queue.empty()
        await projector.catch_up()
        async with asyncio.timeout(10 * POLL_SECONDS):
            row = await queue.get()
    assert row is not None
    assert (row.key, row.state) == (approval, "pending")
    looking.cancel()
    with suppress(asyncio.CancelledError):
        await looking
