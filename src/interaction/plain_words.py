"""A run told to somebody whom it affects, who knows neither the product nor its words."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from core import ActionKind, Effect, Lane, parse_timestamp
from core.parts import RunKind, RunState
from guards import Place
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

_ENDS_WITHOUT_AGENT = {
    RunState.RUNNING: "It is still under way.",
    RunState.COMPLETED: "It was finished.",
    RunState.REFUSED: "The rules did not let it go on.",
    RunState.FAILED: "A fault kept it from being finished.",
    RunState.LIMIT_REACHED: "It was stopped at a limit.",
}

_CAUSES = {
    "limit.steps": "It had taken as many steps as it may for one question.",
    "limit.tokens": "It had read and written as much as it may for one question.",
    "limit.cost": "It had spent as much as it may for one question.",
    "limit.tool_calls": "It had called as many tools as it may for one question.",
    "limit.calls_in_hour": "The organisation's agents had called very many tools within an hour.",
    "limit.moves": "More money was moved within a day than can be counted exactly.",
    "refused.output": "What the AI model began to write may not be shown.",
    "refused.switched_off": "Somebody with the right to do so has switched off the agent, or what it needs.",
    "refused.claim_lapsed": "What is claimed of the agent for this has failed, or was not reviewed in time.",
    "refused.agent_revoked": "Somebody with the right to do so has taken away all that the agent may do.",
    "refused.agent_expired": "The time for which the agent may act was over.",
    "refused.agent_unsponsored": "Nobody in the organisation answers for the agent at present.",
    "refused.no_role": "The person for whom the agent acts has no role that lets them make anything happen.",
    "refused.not_entitled": "The organisation's plan does not include this, or its subscription is not active.",
    "limit.seconds": "It had worked as long as it may on one question.",
    "budget.spent": "The organisation has spent what it set aside for this month.",
    "budget.tokens": "The organisation has used what it set aside for this month.",
    "model.unavailable": "The AI model did not answer.",
    "model.timeout": "The AI model took too long.",
    "model.interrupted": "The AI model broke off again and again.",
    "undo.failed": "It could not be taken back.",
    "undo.refused": "The rules, or a person with the right to decide, did not let it be taken back.",
    "run.restarted": "The service was restarted meanwhile.",
}

_ASKED_WITHOUT_AGENT = {
    RunKind.TURN: "On {at} a member of the organisation asked for this themselves.",
    RunKind.SEARCH: "On {at} a member of the organisation searched its documents themselves.",
    RunKind.INGESTION: "On {at} a member of the organisation added a document to those of the organisation.",
    RunKind.ACCESS: "This is the record of who was refused access, begun on {at}.",
    RunKind.ADMIN: "This is the record of changes by the organisation's admins, begun on {at}.",
}

_REFUSED = {
    ActionKind.RETRIEVE: "The organisation's documents were not searched",
    ActionKind.CALL_MODEL: "The AI model was not asked",
    ActionKind.INGEST: "The document was not taken in",
    ActionKind.SHOW: "What the AI model wrote was not shown to the end",
}

_PLACES = {
    Place.MESSAGE: "the message",
    Place.HISTORY: "the conversation before it",
    Place.PASSAGES: "the documents",
    Place.QUOTATION: "what a program sent along",
    Place.RESULTS: "what tools returned",
}
_CHECKED = (ActionKind.CALL_TOOL, ActionKind.SHOW)
"""Actions to which it matters whether what was read was checked."""

_NO_AGENT = "No agent took part in this. If you disagree with it, ask the organisation for a review by a person."


def in_plain_words(story: Story) -> PlainWords:
    tools = [list(same) for same in _by_action(story.decisions)]
    return PlainWords(
        asked=_asked(story),
        looked_at=_looked_at(story),
        decided=" ".join(_decided(same, story) for same in tools) or _nothing_decided(story),
        done=" ".join([*(_done(tools) or [_nothing_done(story)]), ending(story)]),
        not_done=" ".join(_not_done(story, tools)) or "Nothing that was proposed was turned down.",
        objection=story.agent.objection if story.agent else _NO_AGENT,
    )


def ending(story: Story) -> str:
    """Return the run's state in words, and the cause where there is one to tell."""
    ends = _ENDS if story.agent_name and not story.undoes else {**_ENDS, **_ENDS_WITHOUT_AGENT}
    cause = _CAUSES.get(story.code, "")
    return f"{ends[story.state]} {cause}".rstrip()


def used(story: Story, currency: str) -> str:
    """Return what the run used, with the cost as money."""
    usage, tokens = story.usage, story.usage.input_tokens + story.usage.output_tokens
    calls = f"{_count(usage.model_calls, 'call')} of the AI model and {_count(usage.tool_calls, 'action')}"
    return f"{calls}, {_count(tokens, 'token')}, for {money(usage.cost_micros, currency)}."


def money(micros: int, currency: str) -> str:
    """Return an amount with two decimals, or as many as it takes to be exact: `0.0123 EUR`."""
    whole, fraction = divmod(micros, 1_000_000)
    return f"{whole:,}.{f'{fraction:06}'.rstrip('0').ljust(2, '0')} {currency}"


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


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
        return _ASKED_WITHOUT_AGENT[story.kind].format(at=day_and_time(story.opened_at))
    if story.undoes:
        asked = "a member of the organisation asked to take back what an earlier run had done"
        return f"On {day_and_time(story.opened_at)} {asked}: “{story.message}”"
    agent = f"the AI agent “{story.agent.title}”" if story.agent else "an AI agent"
    return f"On {day_and_time(story.opened_at)} a member of the organisation wrote to {agent}: “{story.message}”"


def _looked_at(story: Story) -> str:
    read = [d.consequence for d in story.decisions if d.effect is Effect.READ and d.outcome == "done"]
    looked_up = [f"It looked this up: {consequence}" for consequence in read if consequence]
    looked_up += _guarded(story.decisions)
    if not story.sources:
        return " ".join(["It was shown no passages of the organisation's documents.", *looked_up])
    headings = "; ".join(dict.fromkeys(source.heading for source in story.sources))
    count, cited = len(story.sources), sum(source.cited for source in story.sources)
    passages = f"{count} passage{'' if count == 1 else 's'} of the organisation's documents"
    citing = [f"Its answer cites {cited} of them."] if cited else []
    return " ".join([f"It was shown {passages}: {headings}.", *citing, *looked_up])


def _guarded(decisions: Sequence[DecisionTold]) -> Iterator[str]:
    """Tell what guards found in what was read, by the facts of all decisions."""
    places = {place for decision in decisions for place in _names(decision, "injection_in")}
    if places:
        where = ", ".join(words for place, words in _PLACES.items() if place in places)
        yield f"Something looks as if it were written to steer the agent: in {where}. Such a suspicion can be wrong."
    if any(_names(decision, "guards_silent") for decision in decisions if decision.kind in _CHECKED):
        yield "Not all that was read could be checked as it should be, so stricter rules held."


def _names(decision: DecisionTold, fact: str) -> tuple[str, ...]:
    found = decision.facts.get(fact)
    return found if isinstance(found, tuple) else ()


def _decided(same: Sequence[DecisionTold], story: Story) -> str:
    """Tell of one action: what it would do, what the rules said first, and what a person said then."""
    first, last = same[0], same[-1]
    what = first.consequence or f"Calls {first.target}."
    proposed = "This was to be done" if story.undoes else "The agent proposed"
    told = f"{proposed}: {what} {first.verdict}: {first.reason}"
    if last.lane is Lane.NEVER and last is not first:
        return f"{told} {_person(first.approval)} Then the rules forbade it: {last.reason}"
    return " ".join(part for part in (told, _person(last.approval)) if part)


def _person(approval: ApprovalTold | None) -> str:
    if approval is None:
        return ""
    at = day_and_time(approval.decided_at) if approval.decided_at else ""
    why = f" and gave this reason: “{approval.reason}”" if approval.reason else ""
    before = [
        f"A person with the right to decide approved it on {day_and_time(one.at)} and gave this reason: “{one.reason}”."
        for one in approval.given
    ]
    who = f"{'Another' if before else 'A'} person with the right to decide"
    return " ".join([*before, _last_word(approval, who, at, why)])


def _last_word(approval: ApprovalTold, who: str, at: str, why: str) -> str:
    match approval.status:
        case "approved":
            return f"{who} approved it on {at}{why}."
        case "denied":
            return f"{who} said no on {at}{why}."
        case "expired":
            return f"{_nobody(approval)} decided by {day_and_time(approval.expires_at)}, so it was not done."
        case "superseded":
            return f"It ended before {'that was' if approval.given else 'anybody'} decided, so it was not done."
        case "pending":
            until = day_and_time(approval.expires_at)
            return f"{_nobody(approval)} has decided yet; there is time until {until}."


def _nobody(approval: ApprovalTold) -> str:
    return f"It takes {approval.approvers} people. Nobody else" if approval.given else "Nobody"


def _nothing_decided(story: Story) -> str:
    refused = [decision for decision in story.decisions if decision.lane is Lane.NEVER]
    if refused:
        return f"The rules stopped it: {refused[-1].reason}"
    if story.agent_name:
        return "The agent proposed to do nothing beyond answering, so there was nothing to decide."
    reasons = dict.fromkeys(decision.reason for decision in story.decisions)
    return f"The rules allow it: {' '.join(reasons)}" if reasons else "There was nothing to decide."


def _done(actions: Sequence[Sequence[DecisionTold]]) -> list[str]:
    return [sentence for same in actions if same[-1].effect is not Effect.READ and (sentence := _outcome(same[-1]))]


def _nothing_done(story: Story) -> str:
    if any(d.kind is ActionKind.INGEST and d.outcome == "done" for d in story.decisions):
        return "The document was taken in, so that searches find it."
    return "Nothing was changed and nothing was sent."


def _not_done(story: Story, actions: Sequence[Sequence[DecisionTold]]) -> Iterator[str]:
    """Tell what was proposed and did not happen, and why."""
    for decision in story.decisions:
        if decision.lane is Lane.NEVER and decision.kind in _REFUSED:
            yield f"{_REFUSED[decision.kind]}: {decision.reason}"
    for same in actions:
        if same[-1].outcome in ("none", "failed") and (why := _why_not(same[-1], ended=story.state.ended)):
            what = same[-1].consequence or f"Calls {same[-1].target}."
            yield f"This was not done: {what} {why}"
    for rejected in story.rejected:
        action = "an action" if rejected.tool == "unknown" else f"the action “{rejected.tool.replace('_', ' ')}”"
        yield f"The agent proposed {action}, which was not done, since {rejected.why}."


def _why_not(decision: DecisionTold, *, ended: bool) -> str:
    if decision.outcome == "failed":
        return "It was tried, and failed."
    if decision.lane is Lane.NEVER:
        return f"The rules forbid it: {decision.reason}"
    status = decision.approval.status if decision.approval else "approved"
    match status:
        case "denied":
            return "A person with the right to decide said no."
        case "expired":
            return "Nobody decided in time."
        case "superseded":
            return "It ended before anybody decided."
        case "pending" | "approved":
            return "It ended before this was done." if ended else ""


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
