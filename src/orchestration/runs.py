"""The runs that this process carries: started, taken up again, cancelled, followed."""

import asyncio
import logging
from collections.abc import AsyncIterator

from control import AgentManifest, contexts
from core import Actor, ApprovalId, PrincipalKind, RunId, TenantContext, TenantId
from core.errors import Conflict, NotFound
from core.events import CancelRequested, RunKind, RunResumed, RunState, Stored
from data import RunWriter, read_run
from orchestration import approvals
from orchestration.live import Item, closes, drain
from orchestration.loop import carry_on
from orchestration.opening import TurnRequest, open_turn
from orchestration.records import ApprovalRecord
from orchestration.state import fold
from orchestration.turn import Services, Turn
from telemetry import log

POLL_SECONDS = 1.0
"""How late a follower may learn of events that another process wrote."""


class Runs:
    """All runs in the hands of this process. Each is a task of `group`, so none outlives the service."""

    def __init__(self, services: Services, group: asyncio.TaskGroup) -> None:
        self._services = services
        self._group = group
        self._turns: dict[tuple[TenantId, RunId], Turn] = {}
        self.tasks: set[asyncio.Task[None]] = set()

    async def start(self, context: TenantContext, request: TurnRequest, nonce: str) -> None:
        """Open a turn and carry it on; a retried request finds it under way or done. Raises as `open_turn` does."""
        writer, new = await open_turn(self._services, context, request, nonce)
        if new:
            self._carry(context, writer)

    async def resume(self, tenant: TenantId, run: RunId, reader: TenantContext) -> None:
        """Take up a run after a restart or a decision, under the authority that opened it.

        Args:
            tenant: whose run it is.
            run: the run.
            reader: authority to read the run's first event.
        """
        if (tenant, run) in self._turns:
            return
        events = await read_run(self._services.store.tenant(reader), run)
        context = contexts.from_run(tenant, events[0])
        writer = RunWriter(self._services.store.tenant(context), run, actor=context.principal.actor)
        writer.events, writer.durable = events, len(events)
        progress = fold(events)
        if progress.ended is None and progress.run.kind is RunKind.TURN and (tenant, run) not in self._turns:
            self._carry(context, writer, restarted=progress.state is RunState.RUNNING)

    async def cancel(self, context: TenantContext, run: RunId) -> None:
        """End a run at the wish of its requester, or of an admin.

        Raises:
            NotFound: no such run, or not theirs.
            Conflict: it has ended already.
        """
        data = self._services.store.tenant(context)
        events = await read_run(data, run)
        progress = fold(events)
        if events[0].event.actor != context.principal.actor or progress.run.kind is not RunKind.TURN:
            raise NotFound("There is no such run, or it is not yours.")
        if progress.ended:
            raise Conflict("The run has ended already.", code="run.ended")
        if turn := self._turns.get((context.tenant, run)):
            turn.cancel(context.principal.actor)
            return
        writer = RunWriter(data, run, actor=context.principal.actor, clock=self._services.clock)
        writer.events, writer.durable = events, len(events)
        await writer.append([CancelRequested()])
        for proposal in progress.proposals:
            if proposal.waiting:
                await approvals.supersede(data, proposal.waiting)
        self._carry(contexts.from_run(context.tenant, events[0]), writer)

    async def decide(
        self, context: TenantContext, approval: ApprovalId, *, approve: bool, reason: str, nonce: str
    ) -> ApprovalRecord:
        """Write a person's decision down and wake the run that waits for it. Raises as `approvals.decide` does."""
        record = await approvals.decide(self._services, context, approval, approve=approve, reason=reason, nonce=nonce)
        await self.resume(context.tenant, record.run, context)
        return record

    async def follow(
        self, context: TenantContext, run: RunId, *, after: int, until_parked: bool, seconds: float
    ) -> AsyncIterator[Item]:
        """Yield the run's events after number `after`, then what happens, until it ends or `seconds` have passed.

        Events come from the log; what this process carries is shown at once, with the text as it is written.
        """
        data = self._services.store.tenant(context)
        end = asyncio.get_running_loop().time() + seconds
        with self._services.hub.follow(context.tenant, run) as queue:
            items: list[Item | None] = [*await data.log.read(run, after=after)]
            while asyncio.get_running_loop().time() < end:
                for item in items:
                    if item is None:
                        return
                    if isinstance(item, Stored):
                        if item.event.seq <= after:
                            continue
                        after = item.event.seq
                    yield item
                    if item is items[-1] and isinstance(item, Stored) and closes(item, when_parked=until_parked):
                        return
                items = await drain(queue, within=POLL_SECONDS) or [*await data.log.read(run, after=after)]

    def _carry(self, context: TenantContext, writer: RunWriter, *, restarted: bool = False) -> None:
        agent = self._services.agents.get(fold(writer.events).run.agent)
        if agent is None:
            log(logging.ERROR, "A run's agent is no longer there", context=context, run=writer.run)
            return
        writer.actor = Actor(kind=PrincipalKind.AGENT, id=agent.name)
        task = self._group.create_task(self._carried(context, writer, agent, restarted=restarted))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _carried(
        self, context: TenantContext, writer: RunWriter, agent: AgentManifest, *, restarted: bool
    ) -> None:
        with self._services.hub.hold(context.tenant, writer.run) as live:
            turn = Turn(self._services, context, agent, writer, live)
            turn.published = writer.durable
            turn.sync()
            self._turns[context.tenant, writer.run] = turn
            try:
                if restarted:
                    turn.stage([RunResumed(cause="restart")])
                await carry_on(turn)
            finally:
                del self._turns[context.tenant, writer.run]
