"""Trying policies before they are in force: on what a tenant's agents did lately, or on a question given by hand."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta

from pydantic import BaseModel, ConfigDict

from control.policy import Question, Ruleset
from control.policy_changes import Answered, Change, Replayed, change_of
from control.policy_facts import facts_of
from control.policy_replay import Candidate, Recorded, Replay, recorded_in
from core import ActionKind, Clock, Fact, Facts, PrincipalKind, TenantContext, timestamp
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
    facts: Facts = {**_ordinary(asked, context), **asked.facts}
    principal = (PrincipalKind.AGENT, asked.agent) if asked.agent else (PrincipalKind.USER, context.principal.id)
    question = Question(principal, asked.kind, asked.target, facts)
    before, after = now.decide(question), then.decide(question)
    return AnsweredByHand(
        change=change_of(before, after),
        now=Answered.of(before),
        then=Answered.of(after),
        facts=dict(facts),
    )


def _ordinary(asked: AskedByHand, context: TenantContext) -> Facts:
    """Return the facts of an ordinary day, as many as the action has."""
    day: Mapping[str, Fact] = {
        **_PLENTY,
        "plan": context.plan,
        "on_behalf_of_user": bool(asked.agent),
        "on_behalf_of": context.principal.id if asked.agent else "",
        "agent": asked.agent,
        "agent_tools": (asked.target,),
        "agent_collections": (asked.target,),
        "collections": (asked.target,),
        "collection": asked.target,
        "tool": asked.target,
    }
    moved: Facts = dict.fromkeys(("moved_by_user_cents", "moved_by_tenant_cents"), 0)
    schema = facts_of(asked.kind)
    wanted = {name: day[name] for name, type_ in schema.items() if type_.required}
    return {**wanted, **moved} if "amount_cents" in asked.facts else wanted


_PLENTY: Facts = {
    "environment": "prod",
    "entitled": True,
    "budget_left_micros": 100_000_000,
    "same_tenant": True,
    "user_roles": ("user",),
    "user_groups": (),
    "principal_kind": "user",
    "context_integrity": "trusted",
    "context_confidentiality": "internal",
    "confidentiality_rank": 1,
    "switched_off": (),
    "change_freeze": False,
    "weekday": "monday",
    "hour": 10,
    "seconds_in_run": 1,
    "seconds_limit": 600,
    "step": 1,
    "step_limit": 10,
    "tokens_in_run": 1000,
    "token_limit": 1_000_000,
    "cost_in_run_micros": 1000,
    "cost_limit_micros": 1_000_000,
    "confidentiality_ceiling": 2,
    "effect": "read",
    "reversible": True,
    "egress": False,
    "choice_integrity": "trusted",
    "untrusted_arguments": (),
    "untrusted_prose": (),
    "arguments_rank": 1,
    "tool_ceiling": 2,
    "calls_in_run": 0,
    "calls_limit": 20,
    "calls_in_hour": 10,
    "collection_integrity": "untrusted",
    "by_admin": False,
}
"""What holds where nothing is said: an ordinary member, in time and within all limits."""
