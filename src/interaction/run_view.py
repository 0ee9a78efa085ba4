"""A run as its reader sees it, read from the log: exact, never from a projection."""

from collections.abc import Sequence

from pydantic import Field

from core import ApprovalId, ConversationId, DocumentId, Effect, Label, RunId, TenantContext, timestamp
from core.bodies import AnswerGiven
from core.errors import NotFound
from core.events import Stored
from core.parts import FlagKind, Limits, RunKind, RunState, Undoes, Usage, Versions
from data import TenantData, read_run
from interaction.answers import Told
from interaction.grounding import Grounding, grounding_of
from interaction.people import NameOf, names_in
from orchestration import ERASED, Fetch, Progress, answer_text, fetcher, flags_of, fold, shown_passages


class CitedSource(Told):
    """What an answer cites. `marker` is the number in square brackets in its text."""

    marker: int
    passage: str
    document: DocumentId
    heading: str


class Answer(Told):
    """What the agent said. `label` says who could have influenced it, and how confidential it is."""

    text: str
    citations: list[CitedSource]
    label: Label
    grounding: Grounding


class FlagsTold(Told):
    """What readers hold against the answer: how many flags there are, and yours."""

    count: int
    open: int
    mine: FlagKind | None


class PendingApproval(Told):
    """What it waits for: `approved` of `approvers` different people have approved so far."""

    approval: ApprovalId
    tool: str
    effect: Effect
    expires_at: str
    approvers: int
    approved: int


class RunView(Told):
    """One run.

    Attributes:
        code: why it ended as it did; empty while it goes on, and where it completed.
        requester: pseudonym of who asked.
        requester_name: their name, null where it is not known any more.
        replaces: the turn whose place this one took, null if none.
        undoes: the effect of another run that this one takes back, null if none; `message` is then why.
        message: what they asked; null for a run that is no turn with an agent.
        pending_approval: what a colleague must decide before it goes on.
        events: how many there are; what to give as `after` to follow it from here.
    """

    run: RunId
    kind: RunKind
    agent: str
    state: RunState = Field(description="`running` and `parked` go on; all others are ends.")
    code: str
    requester: str
    requester_name: str | None
    conversation: ConversationId | None
    replaces: RunId | None
    undoes: Undoes | None
    opened_at: str
    ended_at: str | None
    message: str | None
    answer: Answer | None
    flags: FlagsTold
    pending_approval: PendingApproval | None
    usage: Usage
    limits: Limits | None
    versions: Versions
    events: int


async def told_run(data: TenantData, run: RunId) -> RunView:
    """Return a run as the principal of `data`, who may read it, sees it now."""
    return await view_run(await read_run(data, run), fetcher(data), names_in(data), data.context)


async def view_run(events: Sequence[Stored], fetch: Fetch, name: NameOf, reader: TenantContext) -> RunView:
    progress = fold(events)
    first, last = events[0].event, events[-1].event
    return RunView(
        run=first.run,
        kind=progress.run.kind,
        agent=progress.run.agent,
        state=state_of(progress),
        code=progress.ended.code if progress.ended else "",
        requester=first.actor.id,
        requester_name=await name(first.actor.id),
        conversation=progress.run.conversation,
        replaces=progress.run.replaces,
        undoes=progress.run.undoes,
        opened_at=first.at,
        ended_at=timestamp(progress.ended_at) if progress.ended_at else None,
        message=await message_text(progress, fetch),
        answer=await view_answer(progress, progress.answer, fetch) if progress.answer else None,
        flags=_flags(events, reader),
        pending_approval=_pending(progress),
        usage=progress.usage,
        limits=progress.run.limits,
        versions=progress.run.versions,
        events=last.seq,
    )


def state_of(progress: Progress) -> RunState:
    """Return the state; a log of a day has none of its own, since nothing in it goes on."""
    if progress.run.kind in (RunKind.ACCESS, RunKind.ADMIN):
        return RunState.COMPLETED
    return progress.state


async def message_text(progress: Progress, fetch: Fetch) -> str | None:
    """Return what the person asked; None if the run is no turn."""
    opened = progress.run
    if opened.kind is not RunKind.TURN or opened.message is None:
        return None
    try:
        return (await fetch(opened.message)).decode()
    except NotFound:
        return ERASED


async def view_answer(progress: Progress, answer: AnswerGiven, fetch: Fetch) -> Answer:
    shown = await shown_passages(progress.retrieved, fetch) if progress.retrieved else []
    headings = {passage.passage: passage.heading for passage in shown}
    cited = [
        CitedSource(marker=c.marker, passage=c.passage, document=c.document, heading=headings.get(c.passage, ERASED))
        for c in answer.citations
    ]
    text = await answer_text(answer, fetch)
    return Answer(text=text, citations=cited, label=answer.label, grounding=grounding_of(progress, answer, text))


def _flags(events: Sequence[Stored], reader: TenantContext) -> FlagsTold:
    flags = flags_of(events).values()
    mine = next((flag.kind for flag in flags if flag.by == reader.principal.actor), None)
    return FlagsTold(count=len(flags), open=sum(flag.resolved is None for flag in flags), mine=mine)


def _pending(progress: Progress) -> PendingApproval | None:
    if progress.ended:
        return None
    for proposal in progress.proposals:
        if waiting := proposal.waiting:
            return PendingApproval(
                approval=waiting.approval,
                tool=waiting.tool,
                effect=waiting.effect,
                expires_at=waiting.expires_at,
                approvers=waiting.approvers,
                approved=len(proposal.given),
            )
    return None
