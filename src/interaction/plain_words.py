"""A run told to somebody whom it affects, who knows neither the product nor its words."""

from collections.abc import Iterable, Sequence
from itertools import groupby

from core import ActionKind, Effect, Lane, parse_timestamp
from core.events import RunState
from interaction.decisions import ApprovalTold, DecisionTold
from interaction.explanation import PlainWords, Story

_ENDS = {
    RunState.RUNNING: "The agent is still at work.",
    RunState.PARKED: "The agent waits for that decision.",
    RunState.COMPLETED: "The agent then gave its answer.",
    RunState.REFUSED: "The rules did not let the agent go on.",
    RunState.FAILED: "A fault kept the agent from finishing.",
    RunState.CANCELLED: "Somebody ended it before it was finished.",
    RunState.LIMIT_REACHED: "The agent was stopped, since it had reached a limit set for it.",
    RunState.OUTCOME_UNKNOWN: "The agent was stopped, so that a person can check what has happened.",
}

_NO_AGENT = "No agent took part in this. If you disagree with it, ask the organisation for a review by a person."


def in_plain_words(story: Story) -> PlainWords:
    tools = [list(same) for same in _by_action(story.decisions)]
    return PlainWords(
        asked=_asked(story),
        looked_at=_looked_at(story),
        decided=" ".join(_decided(same) for same in tools) or _nothing_decided(story),
        done=" ".join([*_done(tools), _ENDS[story.state]]),
        objection=story.agent.objection if story.agent else _NO_AGENT,
    )


def day_and_time(at: str) -> str:
    """Return a stored time for people: `23 November 2026, 14:05 UTC`."""
    moment = parse_timestamp(at)
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def _by_action(decisions: Sequence[DecisionTold]) -> Iterable[Iterable[DecisionTold]]:
    """Group the decisions on tools by the action that they are about: one may be decided again after an approval."""
    actions = sorted((d for d in decisions if d.kind is ActionKind.CALL_TOOL), key=lambda d: (d.step, d.call, d.seq))
    return [list(same) for _, same in groupby(actions, key=lambda d: (d.step, d.call))]


def _asked(story: Story) -> str:
    if story.message is None:
        return f"On {day_and_time(story.opened_at)} a member of the organisation asked for this themselves."
    agent = f"the AI agent “{story.agent.title}”" if story.agent else "an AI agent"
    return f"On {day_and_time(story.opened_at)} a member of the organisation wrote to {agent}: “{story.message}”"


def _looked_at(story: Story) -> str:
    read = [d.consequence for d in story.decisions if d.effect is Effect.READ and d.outcome == "done"]
    looked_up = [f"It looked this up: {consequence}" for consequence in read if consequence]
    if not story.sources:
        return " ".join(["It was shown no passages of the organisation's documents.", *looked_up])
    headings = "; ".join(dict.fromkeys(source.heading for source in story.sources))
    count, cited = len(story.sources), sum(source.cited for source in story.sources)
    passages = f"{count} passage{'' if count == 1 else 's'} of the organisation's documents"
    citing = [f"Its answer cites {cited} of them."] if cited else []
    return " ".join([f"It was shown {passages}: {headings}.", *citing, *looked_up])


def _decided(same: Sequence[DecisionTold]) -> str:
    """Tell of one action: what it would do, what the rules said first, and what a person said then."""
    first, last = same[0], same[-1]
    what = first.consequence or f"Calls {first.target}."
    match first.lane:
        case Lane.AUTOMATIC:
            verdict = "The rules allow this without asking a person"
        case Lane.NEVER:
            verdict = "The rules forbid this"
        case Lane.APPROVAL:
            verdict = "The rules leave this to a person"
    told = f"The agent proposed: {what} {verdict}: {first.reason}"
    if last.lane is Lane.NEVER and last is not first:
        return f"{told} {_person(first.approval)} Then the rules forbade it: {last.reason}"
    return " ".join(part for part in (told, _person(last.approval)) if part)


def _person(approval: ApprovalTold | None) -> str:
    if approval is None:
        return ""
    at = day_and_time(approval.decided_at) if approval.decided_at else ""
    why = f" and gave this reason: “{approval.reason}”" if approval.reason else ""
    match approval.status:
        case "approved":
            return f"A person with the right to decide approved it on {at}{why}."
        case "denied":
            return f"A person with the right to decide said no on {at}{why}."
        case "expired":
            return f"Nobody decided by {day_and_time(approval.expires_at)}, so it was not done."
        case "superseded":
            return "It ended before anybody decided, so it was not done."
        case "pending":
            return f"Nobody has decided yet; there is time until {day_and_time(approval.expires_at)}."


def _nothing_decided(story: Story) -> str:
    refused = [decision for decision in story.decisions if decision.lane is Lane.NEVER]
    if refused:
        return f"The rules stopped it: {refused[-1].reason}"
    return "The agent proposed to do nothing beyond answering, so there was nothing to decide."


def _done(actions: Sequence[Sequence[DecisionTold]]) -> list[str]:
    told = [sentence for same in actions if same[-1].effect is not Effect.READ and (sentence := _outcome(same[-1]))]
    return told or ["Nothing was changed and nothing was sent."]


def _outcome(decision: DecisionTold) -> str:
    what = decision.consequence or f"Calls {decision.target}."
    match decision.outcome:
        case "done":
            return f"This was done: {what}"
        case "failed":
            return f"This was tried, and not done: {what}"
        case "unknown":
            return f"Nobody here can say whether this was done; a person has to check: {what}"
        case "none":
            return ""
