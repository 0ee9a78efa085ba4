"""The runs that this process carries: started, taken up again, cancelled, followed."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import suppress

from control import contexts, groups_now, is_revoked
from core import Actor, ApprovalId, PrincipalKind, RunId, TenantContext, TenantId
from core.bodies import RunEnded, RunOpened, RunResumed
from core.errors import Conflict, MandateError, NotFound, PreconditionFailed
from core.events import Stored
from core.parts import RunKind, RunState
from data import RUNS, RunSummary, RunWriter, TenantData, read_events, read_run
from orchestration import approvals
from orchestration.ingestion import carry_ingestion
from orchestration.live import Item, closes
from orchestration.loop import carry_on
from orchestration.opening import TurnRequest, open_turn
from orchestration.records import ApprovalRecord, CancellationRecord
from orchestration.state import Progress, fold
from orchestration.streaming import fetcher, stream_bytes
from orchestration.turn import Services, Turn
from orchestration.undoing import UndoRequest, open_undo
from telemetry import log

POLL_SECONDS = 1.0
"""How late a follower may learn of events that another process wrote."""


class Runs:
    """All runs in the hands of this process, each in one pair. Each is a task of `group`: none outlives the service."""

    def __init__(self, services: Services, group: asyncio.TaskGroup) -> None:
        self._services = services
        self._group = group
        self._turns: dict[tuple[TenantId, RunId], Turn] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(
        self, context: TenantContext, request: TurnRequest, nonce: str, *, parent: str | None = None
    ) -> None:
        """Open a turn and carry it on; a retried request finds it under way or done. Raises as `open_turn` does."""
        writer, new = await open_turn(self._services, context, request, nonce)
        if new:
            opened = writer.events[0].event.body
            assert isinstance(opened, RunOpened)
            assert opened.message is not None
            known: dict[str, bytes] = {opened.message.id: request.message.encode()}
            self._carry(context, writer, known=known, alone=request.conversation is None, parent=parent)

    async def look(self, reader: TenantContext, run: RunId) -> bool:
        """Carry a run on, under the authority that opened it, unless it has ended or another process carries it.

        One that this process carries looks at its state once more before it is let go.

        Args:
            reader: authority to read the run.
            run: the run, of the reader's tenant.

        Returns:
            False if another process carries it, which must be woken itself.

        Raises:
            NotFound: the tenant has no such run.
            Conflict: another process has just taken it up.
        """
        if await self._heed(reader.tenant, run):
            return True
        data = self._services.store.tenant(reader)
        events, cancelled = await asyncio.gather(read_run(data, run), data.records.get(CancellationRecord, run))
        progress = fold(events)
        if progress.state is RunState.RUNNING and await self._services.carriers.elsewhere(progress.carrier):
            return False
        if not (progress.ended or await self._heed(reader.tenant, run)):
            await self._take_up(reader.tenant, events, progress, cancelled.value if cancelled else None)
        return True

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
        await self._end(context, run, CancellationRecord(by=context.principal.actor))

    async def end_all(self, context: TenantContext, agent: str) -> None:
        """End all runs of an agent, those too that wait for a person, if the record says that it was revoked.

        What the list does not have yet, since it was opened in this second, ends at its next decision.
        """
        data = self._services.store.tenant(context)
        if not await is_revoked(data, agent):
            return
        async for run in under_way(data, agent):
            asked = CancellationRecord(by=context.principal.actor, cause="agent_revoked")
            with suppress(Conflict):  # another process has just taken it up, and heeds what is written down
                await self._end(context, run, asked)

    async def _end(self, context: TenantContext, run: RunId, asked: CancellationRecord) -> None:
        with suppress(PreconditionFailed):  # it was asked for before
            await self._services.store.tenant(context).records.put(run, asked, etag=None)
        await self._wake(context, run)

    async def decide(self, context: TenantContext, approval: ApprovalId, verdict: approvals.Verdict) -> ApprovalRecord:
        """Write a person's decision down and wake the run that waits for it. Raises as `approvals.decide` does."""
        record = await approvals.decide(self._services, context, approval, verdict)
        await self._wake(context, record.run)
        return record

    async def undo(self, context: TenantContext, request: UndoRequest, nonce: str) -> RunId:
        """Open a run that takes an effect back, and carry it on; return its id. Raises as `open_undo` does."""
        writer, reason = await open_undo(self._services, context, request, nonce)
        self._carry(context, writer, known={reason.ref.id: reason.data}, alone=True)
        return writer.run

    def index(self, writer: RunWriter) -> None:
        """Carry an ingestion that has begun; nobody waits for it."""
        self._begin(_ingested(self._services, writer))

    async def follow(
        self, context: TenantContext, run: RunId, *, after: int, until_parked: bool, seconds: float
    ) -> AsyncGenerator[bytes]:
        """Yield the run's events after number `after` as an event stream, then what happens, until it ends.

        Events come from the log, or from memory where this process carries the run: each is then shown as soon as it is
        on disk, with the text as it is written. A stream lasts `seconds` at most; `until_parked` ends it where the run
        waits for a person.
        """
        data = self._services.store.tenant(context)
        end = asyncio.get_running_loop().time() + seconds
        with self._services.hub.follow(context.tenant, run) as (live, follower):
            fetch = fetcher(data, live.known)
            items: Sequence[Item | None] = self._at_hand(context.tenant, run, after)
            items = items or await read_events(data, run, after=after)
            if not items and fold(await read_run(data, run)).ended:
                return
            while asyncio.get_running_loop().time() < end:
                fresh = [item for item in items if item is not None and not _seen(item, after)]
                after = max([after, *(item.event.seq for item in fresh if isinstance(item, Stored))])
                if fresh:
                    yield await stream_bytes(fresh, fetch)
                if None in items or _over(fresh, until_parked=until_parked):
                    return
                items = await follower.take(within=POLL_SECONDS) or await read_events(data, run, after=after)

    def _at_hand(self, tenant: TenantId, run: RunId, after: int) -> list[Stored]:
        """Return what is on disk behind event number `after` of a run that this process carries; else nothing."""
        turn = self._turns.get((tenant, run))
        return turn.writer.events[after : turn.writer.durable] if turn else []

    async def drain(self, seconds: float) -> None:
        """Bring all runs to a point where another process can take them up: no tool call is cut short in time."""
        for turn in self._turns.values():
            turn.leaving = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        for task in self._tasks:
            task.cancel()

    async def _wake(self, context: TenantContext, run: RunId) -> None:
        """Have what was just written down heeded, wherever the run is carried."""
        if not await self.look(context, run):
            await self._services.driver.wake(context.tenant, run)

    async def _heed(self, tenant: TenantId, run: RunId) -> bool:
        """Return whether the run is carried here; then it is told to look again, and whether to end."""
        turn = self._turns.get((tenant, run))
        if turn is None:
            return False
        turn.nudged = True
        if cancelled := await turn.data.records.get(CancellationRecord, run):
            turn.cancel(cancelled.value)
        return True

    async def _take_up(
        self, tenant: TenantId, events: list[Stored], progress: Progress, cancelled: CancellationRecord | None
    ) -> None:
        opened = contexts.from_run(tenant, events[0])
        groups = await groups_now(self._services.store.tenant(opened))
        context = contexts.from_run(tenant, events[0], groups=groups)
        data = self._services.store.tenant(context)
        writer = RunWriter(data, events[0].event.run, actor=context.principal.actor, clock=self._services.clock)
        writer.events, writer.durable = events, len(events)
        match progress.run.kind:
            case RunKind.TURN:
                self._carry(context, writer, cancelled=cancelled, restarted=progress.state is RunState.RUNNING)
            case RunKind.INGESTION:
                await writer.append([RunResumed(cause="restart", carrier=self._services.carriers.lease.id)])
                self.index(writer)
            case RunKind.SEARCH:
                await writer.append([RunEnded(state=RunState.FAILED, code="run.restarted")])
            case RunKind.ACCESS | RunKind.ADMIN:
                pass

    def _carry(
        self,
        context: TenantContext,
        writer: RunWriter,
        *,
        known: Mapping[str, bytes] | None = None,
        alone: bool = False,
        restarted: bool = False,
        cancelled: CancellationRecord | None = None,
        parent: str | None = None,
    ) -> None:
        agent = self._services.agents.get(fold(writer.events).run.agent)
        if agent is None:
            log(logging.ERROR, "A run's agent is no longer there", context=context, run=writer.run)
            return
        writer.actor = Actor(kind=PrincipalKind.AGENT, id=agent.principal(context.tenant))
        live = self._services.hub.take(context.tenant, writer.run)
        live.known.update(known or {})
        turn = Turn(
            *(self._services, context, agent, writer, live, self._services.carriers.lease),
            earlier=[] if alone else None,
            cancelled=cancelled,
            parent=parent,
        )
        self._turns[context.tenant, writer.run] = turn
        self._begin(self._carried(turn, restarted=restarted))

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = self._group.create_task(_guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carried(self, turn: Turn, *, restarted: bool) -> None:
        tenant, run = turn.context.tenant, turn.writer.run
        try:
            turn.published = turn.writer.durable
            turn.sync()
            if restarted:
                turn.stage([RunResumed(cause="restart", carrier=turn.lease.id)])
            await carry_on(turn)
        finally:
            del self._turns[tenant, run]
            self._services.hub.leave(tenant, run)
        if turn.nudged and not turn.over and not turn.leaving:
            await self._wake(turn.context, run)  # somebody wanted something of it while it was being let go


async def _guarded(work: Coroutine[None, None, None]) -> None:
    """Do `work`; one run that breaks must not take the others with it."""
    try:
        await work
    except Exception as error:  # noqa: BLE001 - the run stays as it is on disk, and is taken up at the next start
        log(logging.ERROR, "A run was left behind", error=error)


async def under_way(data: TenantData, agent: str) -> AsyncIterator[RunId]:
    """Yield the runs of an agent that have not ended."""
    cursor: str | None = None
    while True:
        page = await data.views.list(RUNS.view, states=[RunState.RUNNING, RunState.PARKED], cursor=cursor)
        for row in page.items:
            if RunSummary.model_validate_json(row.body).agent == agent:
                yield row.run
        if (cursor := page.cursor) is None:
            return


def _over(fresh: Sequence[Item], *, until_parked: bool) -> bool:
    """Return whether a stream ends here; what readers say of an answer comes behind the run's end."""
    ended = any(closes(item, when_parked=False) for item in fresh)
    return ended or (bool(fresh) and closes(fresh[-1], when_parked=until_parked))


def _seen(item: Item, after: int) -> bool:
    """Return whether an item is stale: an event that was shown, or text of a step whose end was shown."""
    return item.event.seq <= after if isinstance(item, Stored) else item.after < after


async def _ingested(services: Services, writer: RunWriter) -> None:
    try:
        await carry_ingestion(services, writer)
    except MandateError as error:
        log(logging.WARNING, "A document was not taken in", context=writer.data.context, code=error.code)
