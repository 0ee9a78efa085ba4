"""What came of a run, as both forms of answer need it: one text, its citations, how it ended."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from core import ContentRef, Lane, RunId, TenantContext, parse_timestamp
from core.bodies import ModelFinished
from core.errors import NotFound
from core.events import Stored
from core.parts import RunState
from data import is_outside
from interaction.answers import Told
from interaction.decisions import DecisionTold, decisions_of
from interaction.dependencies import InteractionDependencies
from interaction.people import names_in
from interaction.plain_words import day_and_time
from interaction.run_view import ERASED, CitedSource, RunView, view_run
from orchestration import Fetch, parse_model_message

SEPARATOR = "\n\n"
"""Between what the model wrote before it used a tool and what it wrote after."""

_MARKER = re.compile(r"\[(\d{1,3})\]")

_ENDS = {
    RunState.RUNNING: "The agent is still at work, and goes on without you waiting.",
    RunState.FAILED: "A fault kept the agent from finishing. Ask again in a moment; report it if it fails again.",
    RunState.CANCELLED: "Somebody ended this run before it was finished. Ask again if you still need it.",
    RunState.LIMIT_REACHED: (
        "The agent was stopped at a limit that is set for it. Ask for less at once, or ask an admin of your "
        "organisation about its limits and budget."
    ),
    RunState.OUTCOME_UNKNOWN: (
        "Nobody here can say whether an action was done. Have a person check before anyone tries it again."
    ),
}


class UrlCitation(Told):
    """Where a marker such as `[1]` stands in the text, in characters from 0, and what it cites."""

    start_index: int
    end_index: int
    title: str
    url: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run as it is told through this door.

    Attributes:
        text: all that the model wrote, and the closing words.
        closing: why there is no more, and what to do next; empty if the run completed.
    """

    view: RunView
    text: str
    closing: str
    public_url: str

    @property
    def created(self) -> int:
        return int(parse_timestamp(self.view.opened_at).timestamp())

    def citations(self, text: str) -> list[UrlCitation]:
        """Return the citations whose markers stand in `text`, in order."""
        cited = {source.marker: source for source in self.view.answer.citations} if self.view.answer else {}
        found = [(match, cited.get(int(match[1]))) for match in _MARKER.finditer(text)]
        return [self._citation(match, source) for match, source in found if source]

    def _citation(self, match: re.Match[str], source: CitedSource) -> UrlCitation:
        ordinal = source.passage.rpartition(".")[2]
        url = f"{self.public_url}/knowledge/documents/{source.document}?passage={ordinal}#passage-{ordinal}"
        if is_outside(source.document):  # there is no document here to open
            url = f"{self.public_url}/runs/{self.view.run}/why#source-{source.marker}"
        return UrlCitation(start_index=match.start(), end_index=match.end(), title=source.heading, url=url)


async def outcome_of(
    deps: InteractionDependencies, me: TenantContext, events: Sequence[Stored], fetch: Fetch
) -> Outcome:
    view = await view_run(events, fetch, names_in(deps.store.tenant(me)), me)
    decisions = await decisions_of(events, fetch, deps.registry)
    closing = closing_words(view, decisions, deps.public_url)
    finished = [stored.event.body for stored in events if isinstance(stored.event.body, ModelFinished)]
    texts = [await step_text(body.message, fetch) for body in finished]
    return Outcome(view, SEPARATOR.join(filter(None, [*texts, closing])), closing, deps.public_url)


async def step_text(message: ContentRef | None, fetch: Fetch) -> str:
    """Return what the model wrote in one step; nothing if it was cut short."""
    if message is None:
        return ""
    try:
        return parse_model_message(await fetch(message))[0]
    except NotFound:
        return ERASED


def closing_words(view: RunView, decisions: Sequence[DecisionTold], public_url: str) -> str:
    """Return why a run gave no answer, or none yet, and what to do next; nothing where it gave one."""
    match view.state:
        case RunState.COMPLETED:
            return ""
        case RunState.PARKED:
            why = _waiting(decisions)
        case RunState.REFUSED:
            why = _refused(decisions)
        case _:
            why = _ENDS[view.state] + (f" ({view.code})" if view.code else "")
    return f"{why} See {_links(view.run, public_url)}."


def _waiting(decisions: Sequence[DecisionTold]) -> str:
    for decision in reversed(decisions):
        if decision.approval and decision.approval.status == "pending":
            what = decision.consequence or f"Calls {decision.target}."
            until = day_and_time(decision.approval.expires_at)
            return (
                f"This waits for a colleague, who has to approve it before it happens: {what} {decision.reason} "
                f"There is time until {until}."
            )
    return "This waits for a colleague's decision."


def _refused(decisions: Sequence[DecisionTold]) -> str:
    refusals = [decision.reason for decision in decisions if decision.lane is Lane.NEVER]
    reason = f" {refusals[-1]}" if refusals else ""
    return f"The rules did not let the agent go on.{reason} Ask an admin of your organisation if it should be allowed."


def _links(run: RunId, public_url: str) -> str:
    return f"{public_url}/runs/{run} (for programs: {public_url}/v1/runs/{run})"
