"""One run in the hands of this process: its writer, its state, and the content that it has touched."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from control import AgentFacts, AgentManifest, Budgets, Checked, Entitlement, Gate, Money, Situation, Used
from core import Actor, Clock, Content, ContentClass, ContentRef, Effect, Label, TenantContext, TenantId
from core.bodies import Body, RunEnded
from core.parts import RunState
from data import RunWriter, Sources, Store, TenantData
from guards import Guard
from models import ModelRouter
from orchestration.carriers import Carriers, Lease
from orchestration.driver import Driver
from orchestration.guarding import Watch
from orchestration.live import Hub, Live
from orchestration.metering import meter
from orchestration.readers import Readers
from orchestration.records import CancellationRecord
from orchestration.state import Progress, apply
from tools import Executor, Registry


@dataclass(frozen=True, slots=True)
class Services:
    """What orchestration needs of the other layers; the composition root fills it."""

    store: Store
    gate: Gate
    budgets: Budgets
    money: Money
    models: ModelRouter
    registry: Registry
    executor: Executor
    agents: Mapping[str, AgentManifest]
    clock: Clock
    code_version: str
    carriers: Carriers
    driver: Driver
    sources: Sources
    entitled: Callable[[TenantId], Awaitable[Entitlement]]
    guards: Sequence[Guard]
    features: Callable[[TenantData], Awaitable[Collection[str]]]
    hub: Hub = field(default_factory=Hub)
    readers: Readers = field(default_factory=Readers)

    def effect_of(self, tool: str) -> Effect | None:
        found = self.registry.get(tool)
        return found.effect if found else None


@dataclass(slots=True)
class Turn:
    """A run while this process carries it on. `progress` is always the fold of `writer.events`.

    Attributes:
        earlier: the conversation's last turns as message, answer and the answer's label; None until they are read.
        interrupt: the bound round the model call that is under way.
        watch: what guards have said of what the run has read.
        lease: under which this process carries the run.
        cancelled: who asked the run to end, and why.
        nudged: something has happened that the run may have looked for too early: it looks again before it is let go.
        within: the agent within what its sponsor lets it do, as it was at the last decision on a model call.
        held: what the model wrote last has not been shown.
        leaving: the process is about to stop: the run is left to the next one at the next step.
        parent: the span, in another process, that caused this.
    """

    services: Services
    context: TenantContext
    agent: AgentManifest
    writer: RunWriter
    live: Live
    lease: Lease
    progress: Progress = field(default_factory=Progress)
    applied: int = 0
    published: int = 0
    earlier: list[tuple[str, str, Label]] | None = None
    watch: Watch = field(init=False)
    interrupt: asyncio.Timeout | None = None
    cancelled: CancellationRecord | None = None
    nudged: bool = False
    held: bool = False
    leaving: bool = False
    within: AgentFacts | None = None
    parent: str | None = None

    def __post_init__(self) -> None:
        self.watch = Watch(self.services.guards)

    @property
    def data(self) -> TenantData:
        return self.writer.data

    @property
    def over(self) -> bool:
        """Whether the run has ended, on disk."""
        return self.progress.ended is not None and self.writer.durable == self.writer.seq

    @property
    def seconds_left(self) -> float:
        """What remains of the run's active time; nothing once somebody asked it to end."""
        if self.cancelled:
            return 0
        return max(0.0, (self.progress.deadline - self.services.clock.now()).total_seconds())

    @property
    def actor(self) -> AgentFacts:
        """Return the agent with all that it was given, as the gate is told of it.

        Whoever was given a tool was given what takes its effects back: for a person to ask for, not for a model.
        """
        facts, undoes = self.agent.facts(self.context.tenant), self.progress.run.undoes
        if undoes is None:
            return facts
        tools = [undoes.tool] if undoes.did in self.agent.tools else []
        return replace(facts, tools=frozenset(tools), takes_back={undoes.tool: undoes.did})

    async def scope(self) -> AgentFacts:
        """Return the agent within what its sponsor lets it do: what it is offered, searches and is shown follow it."""
        if self.within is None:
            self.within = await self.services.gate.scoped(self.data, self.actor)
        return self.within

    def note(self) -> None:
        """Take events into account that were written through the writer."""
        for stored in self.writer.events[self.applied :]:
            apply(self.progress, stored.event)
        self.applied = self.writer.seq

    def sync(self) -> None:
        """Take note of events, and show followers those that are durable."""
        self.note()
        for stored in self.writer.events[self.published : self.writer.durable]:
            self.live.event(stored)
            meter(self.context, self.progress, stored)
        self.published = self.writer.durable

    def stage(self, bodies: Sequence[Body], content: Sequence[Content] = (), *, actor: Actor | None = None) -> None:
        """Make `bodies` the next events; they reach the disk together with the next decision, or by `commit`."""
        self.writer.stage(bodies, content, actor=actor)
        self.live.known.update({piece.ref.id: piece.data for piece in content})
        self.sync()

    def end(self, state: RunState, code: str = "") -> None:
        """Stage the end of the run."""
        self.stage([RunEnded(state=state, code=code, usage=self.progress.usage)])

    def end_refused(self, code: str) -> None:
        """Stage the end of a run that a policy does not let go on."""
        self.end(RunState.LIMIT_REACHED if code.startswith("limit.") else RunState.REFUSED, code)

    async def commit(self) -> None:
        await self.writer.commit()
        self.sync()

    def new_content(self, data: bytes, kind: ContentClass) -> Content:
        """Wrap `data` as the principal's content."""
        return Content.new(data, kind=kind, owner=self.context.principal.id)

    async def content(self, ref: ContentRef) -> bytes:
        """Return the bytes that `ref` points to, from memory where this turn has written or read them."""
        if ref.id not in self.live.known:
            self.live.known[ref.id] = await self.data.content.get(ref)
        return self.live.known[ref.id]

    async def situation(self, label: Label, checked: Checked) -> Situation:
        """Return what holds for a decision now; `label` and `checked` are of all that the model has read."""
        budgets = self.services.budgets
        return Situation(
            label=label,
            budget_left_micros=await budgets.left(self.data),
            entitled=await self.services.entitled(self.context.tenant),
            used=self._used(),
            calls_in_hour=await budgets.calls_in_hour(self.data),
            checked=checked,
        )

    def _used(self) -> Used:
        used, active = self.progress.usage, self.progress.active_at(self.services.clock.now())
        return Used(
            limits=self.progress.limits,
            tokens=used.input_tokens + used.output_tokens,
            cost_micros=used.cost_micros,
            tool_calls=used.tool_calls,
            seconds=int(active.total_seconds()),
        )

    def cancel(self, asked: CancellationRecord) -> None:
        """Ask the turn to end; a model call is cut short at once, a tool call is awaited."""
        self.cancelled, self.nudged = asked, True
        if self.interrupt is not None:
            self.interrupt.reschedule(asyncio.get_running_loop().time())
