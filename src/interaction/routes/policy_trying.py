"""Policies before they are in force: what is wrong with a text, and what it would change."""

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import Field

from control import AnsweredByHand, AskedByHand, PolicyProblem, Replayed, ask_by_hand, replay_recent
from core import ActionKind, TenantContext
from interaction.answers import Given, Told, answer, described
from interaction.authority import Overseer
from interaction.dependencies import Deps, InteractionDependencies
from interaction.routes.policies import PolicyText
from web import WHOLE

router = APIRouter(prefix="/v1/policies", tags=["policies"])

_Word = Annotated[str, Field(max_length=200)]


class LintedPolicies(Told):
    """All that is wrong, in the order of the text; nothing, if it could be saved."""

    problems: list[PolicyProblem]


class Question(Given):
    """What the policies are asked.

    Attributes:
        target: name of the tool, the model or the collection.
        agent: who acts; empty for a person who does it themselves.
        facts: those that are not as on an ordinary day, by their names in the schema; docs/policies.md lists them.
    """

    kind: Annotated[ActionKind, Field(strict=False)]
    target: _Word = Field(examples=["issue_refund"])
    agent: _Word = Field(default="", examples=["support"])
    facts: Annotated[dict[_Word, bool | Annotated[int, WHOLE] | _Word | list[_Word]], Field(max_length=60)] = Field(
        default={}, examples=[{"amount_cents": 2500}]
    )


class TriedText(PolicyText):
    """Policies, and on what to try them: what was decided within `days`, and a question if there is one."""

    days: Annotated[int, Field(ge=0, le=90), WHOLE] = 7
    question: Question | None = None


class TriedPolicies(Told):
    """What would be otherwise.

    Attributes:
        in_force: version that the whole rule set would have.
        replayed: what would have been decided otherwise; null where `days` is 0.
        answered: the question's answers, if there was one.
    """

    in_force: str
    replayed: Replayed | None
    answered: AnsweredByHand | None


@router.post("/lint", responses=described(LintedPolicies, 413, 415, 422, 504))
async def lint_policies(body: PolicyText, _: Overseer, deps: Deps) -> Response:
    """Find all that is wrong with policies, with line and column. Roles: owner, admin, auditor."""
    return answer(LintedPolicies(problems=await deps.policies.lint(body.text)))


@router.post("/try", responses=described(TriedPolicies, 413, 415, 422, 504))
async def try_policies(body: TriedText, me: Overseer, deps: Deps) -> Response:
    """Try policies on what was decided lately, and on a question of yours. Roles: owner, admin, auditor.

    Nothing is saved. What was decided is compared with what these policies say of the same facts; none is guessed.
    """
    return answer(await tried(me, deps, body))


async def tried(me: TenantContext, deps: InteractionDependencies, body: TriedText) -> TriedPolicies:
    """Try policies for somebody; raises `Unprocessable` as saving them would."""
    data, rules = deps.store.tenant(me), await deps.policies.check(body.text)
    replayed = await replay_recent(data, rules, deps.clock, days=body.days) if body.days else None
    answered = None
    if body.question:
        asked = _completed(body.question, deps)
        answered = ask_by_hand(asked, await deps.policies.ruleset(data), rules, me)
    return TriedPolicies(in_force=rules.version, replayed=replayed, answered=answered)


def _completed(question: Question, deps: InteractionDependencies) -> AskedByHand:
    """Return the question with what is known of its tool."""
    tool = deps.registry.get(question.target) if question.kind is ActionKind.CALL_TOOL else None
    known: dict[str, bool | int | str] = {}
    if tool:
        known = {"effect": tool.effect.value, "reversible": tool.reversible, "tool_ceiling": tool.ceiling.rank}
    given = {name: tuple(fact) if isinstance(fact, list) else fact for name, fact in question.facts.items()}
    facts = {"environment": deps.environment, **known, **given}
    return AskedByHand(kind=question.kind, target=question.target, agent=question.agent, facts=facts)
