"""Writing and reading one run: the only code that makes events."""

from collections.abc import Sequence
from typing import Self

from core import GENESIS, Actor, Clock, Content, Names, RunId, SystemClock, renamed, timestamp
from core.bodies import Body
from core.errors import Conflict, NotFound
from core.events import Event, Stored
from data.names import known_names, names_of, with_names
from data.ports import Seen, TenantData


class RunWriter:
    """The single writer of a run, for as long as nobody else appends: then `commit` raises `Conflict`, for good.

    Events are staged and then committed together, so that the outcome of one step and the decision of the next are
    one append.

    Attributes:
        events: all events of the run so far, in order; those after `durable` are staged and not yet on disk: they
            get their place in the chain when they are written.
    """

    def __init__(self, data: TenantData, run: RunId, *, actor: Actor, clock: Clock | None = None) -> None:
        self.data = data
        self.run = run
        self.actor = actor
        self.events: list[Stored] = []
        self.durable = 0
        self._content: list[Content] = []
        self._names: Names | None = None
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

    def stage(self, bodies: Sequence[Body], content: Sequence[Content] = (), *, actor: Actor | None = None) -> None:
        """Make `bodies` the run's next events; they are on disk after the next `commit`."""
        at = timestamp(self._clock.now())
        for body in bodies:
            event = Event(
                tenant=self.data.context.tenant,
                run=self.run,
                seq=self.seq + 1,
                at=at,
                actor=actor or self.actor,
                prev="",
                body=body,
            )
            self.events.append(Stored.model_construct(event=event, data=b"", hash=""))
        self._content.extend(content)

    async def prepare(self) -> Names:
        """Read what names are sealed with, which the first `commit` does otherwise: then it only writes."""
        if self._names is None:
            self._names = await names_of(self.data)
        return self._names

    async def commit(self, *, resting_on: Sequence[Seen] = ()) -> None:
        """Append everything staged, atomically; on disk when this returns.

        Raises:
            Conflict: somebody else has appended to the run since it was read.
            PreconditionFailed: a record of `resting_on` is not as it was seen; all is still only staged.
        """
        if self.durable == self.seq:
            return
        names = await self.prepare()
        count, content = self.seq, list(self._content)
        previous = self.events[self.durable - 1].hash if self.durable else GENESIS
        chained = _chained(self.events[self.durable : count], previous, names)
        await self.data.log.append(chained, content, resting_on=resting_on)
        self.events[self.durable : count] = chained
        self.durable = count
        self._content = self._content[len(content) :]

    async def append(
        self,
        bodies: Sequence[Body],
        content: Sequence[Content] = (),
        *,
        actor: Actor | None = None,
        resting_on: Sequence[Seen] = (),
    ) -> list[Stored]:
        """Stage `bodies` and commit them together with whatever was staged before; returns those of `bodies`.

        Where it fails, or is cut off, they are as if never staged: no later commit writes what rested on something
        without comparing it. Had they reached the disk after all, that commit finds somebody else's events there.

        Raises:
            Conflict: somebody else has appended to the run since it was read.
            PreconditionFailed: a record of `resting_on` is not as it was seen; nothing was written.
        """
        events, pieces = self.seq, len(self._content)
        self.stage(bodies, content, actor=actor)
        try:
            await self.commit(resting_on=resting_on)
        except BaseException:
            if self.durable <= events:
                del self.events[events : events + len(bodies)], self._content[pieces : pieces + len(content)]
            raise
        return self.events[events : events + len(bodies)]


async def read_run(data: TenantData, run: RunId) -> list[Stored]:
    """Return all events of a run.

    Raises:
        NotFound: the tenant has no such run.
    """
    events = await _all(data, run)
    if not events:
        raise NotFound("There is no such run. Check the id, and that you are signed in to the right organisation.")
    return events


async def read_events(data: TenantData, run: RunId, *, after: int = 0) -> list[Stored]:
    """Return a page of a run's events, those after number `after`, with their names; none if there are no more."""
    page = await data.log.read(run, after=after)
    return with_names(await known_names(data), page) if page else []


async def _all(data: TenantData, run: RunId) -> list[Stored]:
    events: list[Stored] = []
    while page := await data.log.read(run, after=len(events)):
        events.extend(page)
    return with_names(await known_names(data), events) if events else []


def _chained(staged: Sequence[Stored], previous: str, names: Names) -> list[Stored]:
    """Return staged events as they are written, each behind the one before, names sealed."""
    chained: list[Stored] = []
    for item in staged:
        event = item.event.model_copy(update={"prev": previous})
        chained.append(Stored.seal(event, renamed(event, names.seal)))
        previous = chained[-1].hash
    return chained


async def append_shared(
    data: TenantData, run: RunId, bodies: Sequence[Body], *, actor: Actor, attempts: int = 20
) -> list[Stored]:
    """Append to a log that many processes write, such as the access log of the day, behind whatever came first.

    Raises:
        Conflict: `attempts` others were faster.
    """
    for _ in range(attempts):
        writer = RunWriter(data, run, actor=actor)
        writer.events = await _all(data, run)
        writer.durable = writer.seq
        try:
            return await writer.append(bodies)
        except Conflict:
            continue
    raise Conflict("Too many writers at once; try again in a moment.", code="conflict.sequence")
