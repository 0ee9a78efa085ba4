"""What a run leaves behind: its events, why it did what it did, and whether its chain holds."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import ConfigDict

from core import RunId, TenantContext
from core.errors import Defect
from core.events import Stored
from data import RawEvent, TenantData, Verdict, covering, export_of, read_raw, tree_of
from interaction.alternatives import alternatives_of
from interaction.answers import Told, answer, described, download, problems
from interaction.authority import Me
from interaction.dependencies import Deps, InteractionDependencies
from interaction.explanation import Explanation, story_of
from interaction.parameters import After, EventLimit, LastEventId, RunPath
from interaction.plain_words import ending, in_plain_words, used
from interaction.reading import readable_run, verifiable_run
from interaction.relay import EVENT_STREAM, relayed, wants_stream
from interaction.routes.evidence import known_keys
from interaction.starting import LONGEST_WAIT
from interaction.timeline import Timeline, timeline_of
from orchestration import fetcher, present
from web import parse_last_event_id

router = APIRouter(prefix="/v1/runs/{run}", tags=["evidence"])


class EventTold(Told):
    """One event of the log, with the content that it points to. What else it has depends on its type."""

    model_config = ConfigDict(frozen=True, extra="allow")

    seq: int
    at: str
    type: str
    actor: dict[str, str]


class EventPage(Told):
    """`after` is where to go on: as `after`, or as `Last-Event-ID`."""

    items: list[EventTold]
    after: int


class CoveredBy(Told):
    """A checkpoint of the organisation's evidence."""

    number: int
    at: str


class Verification(Told):
    """Whether the run's chain of hashes holds, checked now from the bytes on disk.

    Attributes:
        events: how many hold, from the first on.
        head: hash of the last event, where all hold. Keep it: a chain that was cut short has another head.
        broken_event: number of the first event that does not hold.
        broken_because: what is wrong with it.
        checkpoint: the first that covers the run up to its last event; null if none does yet.
    """

    run: RunId
    ok: bool
    events: int
    head: str | None
    broken_event: int | None
    broken_because: str | None
    checkpoint: CoveredBy | None


_EVENTS: dict[int | str, dict[str, Any]] = described(EventPage, 404, 406, 422, 504)
_EVENTS[200]["content"] = {EVENT_STREAM: {"schema": {"type": "string"}}}


class JsonLines(Response):
    media_type = "application/jsonl"


_EXPORT: dict[int | str, dict[str, Any]] = {
    200: {"headers": {"Content-Disposition": {"description": "A name for the file.", "schema": {"type": "string"}}}},
    **problems(404),
}


@router.get("/events", responses=_EVENTS)
async def read_events(
    run: RunPath,
    me: Me,
    deps: Deps,
    *,
    request: Request,
    after: After = None,
    limit: EventLimit = 1000,
    last_event_id: LastEventId = None,
) -> Response:
    """Read a run's events from behind `after`, or `Last-Event-ID`. Who may read the run.

    With `Accept: text/event-stream` you follow the run until it ends; otherwise you get what there is, `limit` at most.
    """
    as_stream = wants_stream(request.headers)
    events = await readable_run(deps.store, me, run)
    start = parse_last_event_id(last_event_id) if after is None else after
    if as_stream:
        path = f"/internal/runs/{run}/events?after={start}"
        return await relayed(deps.orchestration.stream(me, "GET", path, deadline=deps.clock.now() + LONGEST_WAIT))
    fetch = fetcher(deps.store.tenant(me))
    shown = [await present(stored, fetch) for stored in events[start : start + limit]]
    items = [EventTold.model_validate(event) for event in shown]
    return answer(EventPage(items=items, after=items[-1].seq if items else start))


@router.get("/explanation", responses=described(Explanation, 404))
async def explain_run(run: RunPath, me: Me, deps: Deps) -> Response:
    """Read why a run did what it did: in plain words, and decision by decision. Who may read the run."""
    return answer(await explained(me, deps, await readable_run(deps.store, me, run)))


async def explained(me: TenantContext, deps: InteractionDependencies, events: Sequence[Stored]) -> Explanation:
    """Return why a run that `me` may read did what it did."""
    story = await story_of(events, fetcher(deps.store.tenant(me)), deps.registry, deps.agents)
    return Explanation(
        run=events[0].event.run,
        state=story.state,
        agent=story.agent_name,
        ending=ending(story),
        used=used(story, deps.currency),
        plain=in_plain_words(story),
        decisions=list(story.decisions),
        rejected=list(story.rejected),
        alternatives=alternatives_of(story.decisions, events),
        sources=list(story.sources),
    )


@router.get("/verification", responses=described(Verification, 404))
async def verify_run(run: RunPath, me: Me, deps: Deps) -> Response:
    """Check a run's chain of evidence now, from the bytes on disk. Who may read the run."""
    await verifiable_run(deps.store, me, run)
    return answer(await verified(me, deps, run))


async def verified(me: TenantContext, deps: InteractionDependencies, run: RunId) -> Verification:
    """Check the chain of a run that `me` may have verified."""
    data = deps.store.tenant(me)
    verdict = await deps.verify(data, run)
    last = await data.log.raw(run, after=verdict.events - 1, limit=1) if verdict.ok else ()
    return _verification(verdict, last[0].hash if last else None, await _covered(data, run, last))


async def _covered(data: TenantData, run: RunId, last: Sequence[RawEvent]) -> CoveredBy | None:
    if not last:
        return None
    with suppress(Defect):  # a checkpoint is not as it was written: the verification of the whole says which
        if found := await covering(data, run, last[0].seq, Stored.parse(last[0].data).event.at):
            return CoveredBy(number=found.number, at=found.at)
    return None


@router.get("/timeline", responses=described(Timeline, 404))
async def read_timeline(run: RunPath, me: Me, deps: Deps) -> Response:
    """Read where a run's time, tokens and money went: a waterfall of its events. Who may read the run."""
    events = await readable_run(deps.store, me, run)
    return answer(timeline_of(events, now=deps.clock.now(), currency=deps.currency))


@router.get("/export", response_class=JsonLines, responses=_EXPORT)
async def export_run(run: RunPath, me: Me, deps: Deps) -> Response:
    """Take a run's evidence with you, as JSON Lines: a header, then each event as it is on disk, without content.

    Whoever has the file can check the chain without us, and that a checkpoint covers it. Who may read the run.
    """
    await verifiable_run(deps.store, me, run)
    data, tree = deps.store.tenant(me), None
    with suppress(Defect):  # the checkpoints are not as they were written: the run is taken along all the same
        tree = await tree_of(data)
    covered = tree.inclusion(run) if tree else None
    told = export_of(me.tenant, run, await read_raw(data, run), covered=covered, keys=await known_keys(deps))
    return download(told, JsonLines.media_type, f"{run}.jsonl")


def _verification(verdict: Verdict, head: str | None, checkpoint: CoveredBy | None) -> Verification:
    return Verification(
        run=verdict.run,
        ok=verdict.ok,
        events=verdict.events,
        head=head,
        broken_event=None if verdict.ok else verdict.events + 1,
        broken_because=verdict.broken.value if verdict.broken else None,
        checkpoint=checkpoint,
    )
