"""Trying policies before they are in force: on what a tenant's agents did lately, or on a question given by hand."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

from pydantic import BaseModel, ConfigDict

from control.ordinary_day import ordinary_facts
from control.policy import Question, Ruleset
from control.policy_changes import Answered, Change, Replayed, change_of
from control.policy_facts import facts_of
from control.policy_replay import Candidate, Recorded, Replay, recorded_in
from core import ActionKind, Clock, Facts, PrincipalKind, TenantContext, timestamp
from core.errors import Unprocessable
from core.parts import RunKind
from data import RUNS, RunSummary, TenantData, read_run

MOST_DECISIONS = 2000
SECONDS = 15.0
"""How long one try may look at what was recorded."""

_NO_DECISIONS = (RunKind.ACCESS, RunKind.ADMIN)


class AskedByHand(BaseModel):
    """A question for the policies.

    Attributes:
        target: name of the tool, the model or the collection.
        agent: who acts; empty for a person who does it themselves.
        facts: those that are not as on an ordinary day, by their names in the schema.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ActionKind
    target: str
    agent: str = ""
    facts: dict[str, bool | int | str | tuple[str, ...]] = {}


class AnsweredByHand(BaseModel):
    """What is said now, and what would be; `facts` are all that were decided on."""

    model_config = ConfigDict(frozen=True)

    change: Change
    now: Answered
    then: Answered
    facts: dict[str, bool | int | str | tuple[str, ...]]


async def replay_recent(data: TenantData, rules: Ruleset, clock: Clock, *, days: int) -> Replayed:
    """Decide again what was decided within `days`, the latest runs first, as far as the bounds allow."""
    since = timestamp(clock.now() - timedelta(days=days))
    candidate, replay = Candidate(rules), Replay()
    try:
        async with asyncio.timeout(SECONDS):
            async for recorded in _recent(data, since):
                await asyncio.to_thread(replay.add, candidate, recorded)
                if replay.decisions >= MOST_DECISIONS:
                    return replay.result(complete=False)
    except TimeoutError:
        return replay.result(complete=False)
    return replay.result()


async def _recent(data: TenantData, since: str) -> AsyncIterator[list[Recorded]]:
    cursor: str | None = None
    while True:
        page = await data.views.list(RUNS.view, since=since, cursor=cursor)
        for row in page.items:
            if RunSummary.model_validate_json(row.body).kind not in _NO_DECISIONS:
                yield recorded_in(await read_run(data, row.run))
        cursor = page.cursor
        if cursor is None:
            return


def ask_by_hand(asked: AskedByHand, now: Ruleset, then: Ruleset, context: TenantContext) -> AnsweredByHand:
    """Ask both.

    Raises:
        Unprocessable: there is no such fact of this action (`policy.fact`).
    """
    if unknown := asked.facts.keys() - facts_of(asked.kind):
        raise Unprocessable(
            f"There is no fact {', '.join(sorted(unknown))} of {asked.kind}; docs/policies.md lists them.",
            code="policy.fact",
        )
    facts = ordinary_facts(asked.kind, _own_facts(asked, context))
    principal = (PrincipalKind.AGENT, asked.agent) if asked.agent else (PrincipalKind.USER, context.principal.id)
    question = Question(principal, asked.kind, asked.target, facts)
    before, after = now.decide(question), then.decide(question)
    return AnsweredByHand(
        change=change_of(before, after),
        now=Answered.of(before),
        then=Answered.of(after),
        facts=dict(facts),
    )


def _own_facts(asked: AskedByHand, context: TenantContext) -> Facts:
    """Return what the question says of itself, where its facts do not say otherwise."""
    return {
        "plan": context.plan,
        "on_behalf_of_user": bool(asked.agent),
        "on_behalf_of": context.principal.id if asked.agent else "",
        "agent": asked.agent,
        **({} if asked.agent else {"agent_identity": "none", "agent_id": "", "agent_purpose": ""}),
        **dict.fromkeys(("agent_tools", "agent_collections", "collections"), (asked.target,)),
        **dict.fromkeys(("collection", "tool"), asked.target),
        **asked.facts,
    }
