"""One exchange of a conversation as its page shows it: what was asked, what was done, what was said, what is next."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from core import ActionKind, ConversationId, DocumentId, Json, Label, Lane, RunId, TenantContext
from core.bodies import DecisionMade, PassagesRetrieved, RunEnded
from core.errors import NotFound
from core.events import Stored
from data import TenantData, read_run
from interaction.decisions import ApprovalStatus, ApprovalTold, DecisionTold, Outcome, decisions_of, text_of
from interaction.dependencies import InteractionDependencies
from interaction.explanation import Source, sources_of
from interaction.parameters import no_such
from interaction.people import NameOf, names_in
from interaction.run_view import RunView, view_run
from orchestration import Fetch, access_of, fetcher, fold, telling

ActionStatus = Literal["refused", Outcome, ApprovalStatus]


@dataclass(frozen=True, slots=True)
class Step:
    """Something that the agent did, in words."""

    at: str
    phase: str
    says: str


@dataclass(frozen=True, slots=True)
class Action:
    """Something that the agent proposed to do with a tool.

    Attributes:
        first: what the rules said when it was proposed.
        last: what they said in the end: after a person decided, it is decided again.
        approver: who decided, by name where it is known.
    """

    first: DecisionTold
    last: DecisionTold
    approver: str | None

    @property
    def approval(self) -> ApprovalTold | None:
        return self.last.approval or self.first.approval

    @property
    def status(self) -> ActionStatus:
        approval = self.approval
        if self.last.lane is Lane.NEVER:
            return "refused"
        if self.last.outcome != "none" or approval is None or approval.status == "approved":
            return self.last.outcome
        return approval.status


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the rules did not allow, other than a tool: the ids of the rules, and their reason."""

    says: str
    policies: Sequence[str]


@dataclass(frozen=True, slots=True)
class Exchange:
    """See the module.

    Attributes:
        used_knowledge: whether the person wanted the documents looked into.
        labels: of the passages that the agent was shown, by their number.
        end: what the end means, in words; empty while it goes on.
    """

    view: RunView
    used_knowledge: bool
    steps: Sequence[Step]
    actions: Sequence[Action]
    refusals: Sequence[Refusal]
    labels: dict[int, Label]
    end: dict[str, Json]

    @property
    def live(self) -> bool:
        return not self.view.state.ended

    @property
    def address(self) -> str:
        return f"/conversations/{self.view.conversation}/exchanges/{self.view.run}"

    @property
    def targets(self) -> dict[int, str]:
        """Where each mark in the answer leads."""
        cited = self.view.answer.citations if self.view.answer else []
        return {source.marker: f"{self.address}/sources/{source.marker}" for source in cited}


@dataclass(frozen=True, slots=True)
class Opened:
    """A passage that an answer cites, as the agent was shown it.

    Attributes:
        document: None if the document is gone, or not for this reader.
        title: of the document, as far as the reader may know it.
        owner: the name of whose it is.
    """

    source: Source
    document: DocumentId | None
    title: str | None
    owner: str | None


async def exchange_of(deps: InteractionDependencies, me: TenantContext, run: RunId) -> Exchange | None:
    """Return an exchange of a conversation that the caller may read; None if its first event was never written."""
    data = deps.store.tenant(me)
    fetch, names = fetcher(data), names_in(data)
    try:
        events = await read_run(data, run)
    except NotFound:
        return None
    return Exchange(
        view=await view_run(events, fetch, names, me),
        used_knowledge=fold(events).run.use_knowledge,
        steps=_steps(events),
        actions=await _actions(deps, events, fetch, names),
        refusals=_refusals(events),
        labels=_labels(events),
        end=_end(events),
    )


async def opened_source(data: TenantData, run: RunId, number: int) -> Opened:
    """Return a passage that an answer's mark leads to.

    Raises:
        NotFound: there is none with this number, or it was erased.
    """
    fetch = fetcher(data)
    sources = await sources_of(await read_run(data, run), fetch)
    source = next((source for source in sources if source.number == number), None)
    if source is None:
        raise no_such("passage")
    record = await (await access_of(data)).document(source.document)
    if record is None:
        return Opened(source, None, None, None)
    owner = await names_in(data)(record.owner)
    return Opened(source, record.id, await text_of(record.title, fetch), owner)


def of_conversation(exchange: Exchange | None, conversation: ConversationId) -> Exchange:
    """Return the exchange if it is one of the conversation's; raises `NotFound` if not."""
    if exchange is None or exchange.view.conversation != conversation:
        raise no_such("run")
    return exchange


def _steps(events: Sequence[Stored]) -> list[Step]:
    steps: list[Step] = []
    for stored in events:
        told = telling(stored.event.body)
        if told and (not steps or steps[-1].says != told["says"]):
            steps.append(Step(stored.event.at, str(told["phase"]), str(told["says"])))
    return steps


async def _actions(
    deps: InteractionDependencies, events: Sequence[Stored], fetch: Fetch, names: NameOf
) -> list[Action]:
    if not any(_is_tool(stored) for stored in events):
        return []
    same: dict[tuple[int, int], list[DecisionTold]] = {}
    for decision in await decisions_of(events, fetch, deps.registry):
        if decision.kind is ActionKind.CALL_TOOL:
            same.setdefault((decision.step, decision.call), []).append(decision)
    return [Action(found[0], found[-1], await _approver(found, names)) for found in same.values()]


async def _approver(same: Sequence[DecisionTold], names: NameOf) -> str | None:
    approval = same[-1].approval or same[0].approval
    return await names(approval.approver) if approval and approval.approver else None


def _is_tool(stored: Stored) -> bool:
    body = stored.event.body
    return isinstance(body, DecisionMade) and body.kind is ActionKind.CALL_TOOL


def _refusals(events: Sequence[Stored]) -> list[Refusal]:
    bodies = [stored.event.body for stored in events]
    return [
        Refusal(str(telling(body)["says"]), body.decision.policies)
        for body in bodies
        if isinstance(body, DecisionMade) and body.decision.lane is Lane.NEVER and body.kind is not ActionKind.CALL_TOOL
    ]


def _end(events: Sequence[Stored]) -> dict[str, Json]:
    ends = [telling(stored.event.body) for stored in events if isinstance(stored.event.body, RunEnded)]
    return ends[0] if ends else {}


def _labels(events: Sequence[Stored]) -> dict[int, Label]:
    """Return the label of each passage by its number: they are numbered in the order in which they were shown."""
    shown = [stored.event.body for stored in events if isinstance(stored.event.body, PassagesRetrieved)]
    return {number: passage.label for body in shown for number, passage in enumerate(body.passages, 1)}
