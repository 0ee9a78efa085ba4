"""Writing and reading one run: the only code that makes events."""

from collections.abc import Sequence
from typing import Self

from core import GENESIS, Actor, Clock, Content, RunId, SystemClock, timestamp
from core.errors import Conflict, NotFound
from core.events import Body, Event, Stored
from data.ports import TenantData


class RunWriter:
    """The single writer of a run, for as long as nobody else appends: then `commit` raises `Conflict`, for good.

    Events are staged and then committed together, so that the outcome of one step and the decision of the next are
    one append.

    Attributes:
        events: all events of the run so far, in order; those after `durable` are staged and not yet on disk.
    """

    def __init__(self, data: TenantData, run: RunId, *, actor: Actor, clock: Clock | None = None) -> None:
        self.data = data
        self.run = run
        self.actor = actor
        self.events: list[Stored] = []
        self.durable = 0
        self._content: list[Content] = []
        self._clock = clock or SystemClock()

    @classmethod
    async def load(cls, data: TenantData, run: RunId, *, actor: Actor, clock: Clock | None = None) -> Self:
        """Take up an existing run.

        Raises:
            NotFound: the tenant has no such run.
        """
        writer = cls(data, run, actor=actor, clock=clock)
        writer.events = await read_run(data, run)
        writer.durable = len(writer.events)
        return writer

    @property
    def seq(self) -> int:
        """Sequence number of the last event, staged ones included; 0 before the first."""
        return len(self.events)

    def stage(
        self, bodies: Sequence[Body], content: Sequence[Content] = (), *, actor: Actor | None = None
    ) -> list[Stored]:
        """Make `bodies` the run's next events; they are on disk after the next `commit`."""
        at = timestamp(self._clock.now())
        staged: list[Stored] = []
        for body in bodies:
            event = Event(
                tenant=self.data.context.tenant,
                run=self.run,
                seq=self.seq + 1,
                at=at,
                actor=actor or self.actor,
                prev=self.events[-1].hash if self.events else GENESIS,
                body=body,
            )
            staged.append(Stored.seal(event))
            self.events.append(staged[-1])
        self._content.extend(content)
        return staged

    async def commit(self) -> None:
        """Append everything staged, atomically; on disk when this returns.

        Raises:
            Conflict: somebody else has appended to the run since it was read.
        """
        if staged := self.events[self.durable :]:
            await self.data.log.append(staged, self._content)
            self.durable = self.seq
            self._content = []

    async def append(
        self, bodies: Sequence[Body], content: Sequence[Content] = (), *, actor: Actor | None = None
    ) -> list[Stored]:
        """Stage `bodies` and commit them together with whatever was staged before."""
        stored = self.stage(bodies, content, actor=actor)
        await self.commit()
        return stored


async def read_run(data: TenantData, run: RunId) -> list[Stored]:
    """Return all events of a run.

    Raises:
        NotFound: the tenant has no such run.
    """
    events: list[Stored] = []
    while page := await data.log.read(run, after=len(events)):
        events.extend(page)
    if not events:
        raise NotFound("There is no such run. Check the id, and that you are signed in to the right organisation.")
    return events


async def append_shared(
    data: TenantData, run: RunId, bodies: Sequence[Body], *, actor: Actor, attempts: int = 20
) -> list[Stored]:
    """Append to a log that many processes write, such as the access log of the day, behind whatever came first.

    Raises:
        Conflict: `attempts` others were faster.
    """
    for _ in range(attempts):
        writer = RunWriter(data, run, actor=actor)
        while page := await data.log.read(run, after=writer.seq):
            writer.events.extend(page)
        writer.durable = writer.seq
        try:
            return await writer.append(bodies)
        except Conflict:
            continue
    raise Conflict("Too many writers at once; try again in a moment.", code="conflict.sequence")
