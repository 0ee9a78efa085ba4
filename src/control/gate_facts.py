"""What the gate knows of an action, as facts for the policies: who asks, in which situation, what is switched off."""

from dataclasses import dataclass
from datetime import datetime

from control.asking import ActionRequest, AgentFacts, Situation
from control.policy import Question
from control.policy_facts import WEEKDAYS
from control.principals import IdentityState, state_of
from control.register import SEARCH, WHOLE_AGENT, stopped_by
from control.switches import Thrown, capabilities
from core import ActionKind, Fact, PrincipalKind, Role
from core.errors import Defect
from data import RunWriter


@dataclass(frozen=True, slots=True)
class Asked:
    """By whom and when the gate is asked, and what was switched off then; `agent` is within its sponsor's scope."""

    run: RunWriter
    agent: AgentFacts
    situation: Situation
    thrown: Thrown
    at: datetime
    environment: str


def question(asked: Asked, request: ActionRequest) -> Question:
    """Return what the policies are asked: what the request states, and all that only the gate may state.

    Raises:
        Defect: the request states a fact that only the gate may state.
    """
    context, agent = asked.run.data.context, asked.agent
    known = _who(asked) | _situation(asked) | _what(asked, request) | _available(asked, request)
    if clash := known.keys() & request.facts.keys():
        raise Defect(f"An action stated what only the gate may state: {', '.join(sorted(clash))}.")
    name = agent.name if agent.kind is PrincipalKind.AGENT else context.principal.id
    return Question(
        principal=(agent.kind, name), kind=request.kind, target=request.target, facts={**known, **request.facts}
    )


def _who(asked: Asked) -> dict[str, Fact]:
    run, agent = asked.run, asked.agent
    context = run.data.context
    for_user = context.principal.kind is PrincipalKind.USER and agent.kind is not PrincipalKind.USER
    return {
        "environment": asked.environment,
        "user_roles": tuple(sorted(context.principal.roles)),
        "user_groups": tuple(sorted(context.principal.groups)),
        "principal_kind": context.principal.kind.value,
        "on_behalf_of_user": for_user,
        "on_behalf_of": context.principal.id if for_user else "",
        "agent": agent.name,
        "agent_tools": tuple(sorted(agent.tools)),
        "agent_id": agent.id,
        "agent_purpose": agent.purpose,
        "same_tenant": all(stored.event.tenant == context.tenant for stored in run.events[:1]),
    }


def _identity(asked: Asked) -> IdentityState:
    if asked.agent.kind is not PrincipalKind.AGENT:
        return IdentityState.NONE
    return state_of(asked.agent, asked.thrown.agents.get(asked.agent.name), asked.at)


def _situation(asked: Asked) -> dict[str, Fact]:
    situation, used = asked.situation, asked.situation.used
    return {
        "context_integrity": situation.label.integrity.value,
        "context_confidentiality": situation.label.confidentiality.value,
        "confidentiality_rank": situation.label.confidentiality.rank,
        "budget_left_micros": situation.budget_left_micros,
        "plan": situation.entitled.plan,
        "weekday": WEEKDAYS[asked.at.weekday()],
        "hour": asked.at.hour,
        "agent_identity": _identity(asked).value,
        "seconds_in_run": used.seconds,
        "seconds_limit": used.limits.seconds,
    }


def _available(asked: Asked, request: ActionRequest) -> dict[str, Fact]:
    """Return what the tenant's plan has to say to the action, and what was switched off of it."""
    needed = capabilities(request.kind, request.facts)
    tool = request.target if request.kind is ActionKind.CALL_TOOL else ""
    stopping = asked.thrown.stopping(agent=asked.agent.name, tool=tool, capabilities=needed)
    if not stopped_by(asked.agent.claims, asked.thrown.everywhere, asked.at.date()).isdisjoint(_claimed_of(request)):
        stopping = tuple(sorted({*stopping, "claim"}))
    entitled = asked.situation.entitled.includes(request.kind, request.target, needed)
    return {"entitled": entitled, "switched_off": stopping, "change_freeze": asked.thrown.change_freeze}


def _claimed_of(request: ActionRequest) -> tuple[str, ...]:
    """Return what claims must hold for, for the action to go ahead."""
    match request.kind:
        case ActionKind.CALL_TOOL:
            return WHOLE_AGENT, f"tool/{request.target}"
        case ActionKind.RETRIEVE:
            return WHOLE_AGENT, SEARCH
        case ActionKind.CALL_MODEL | ActionKind.INGEST | ActionKind.SHOW:
            return (WHOLE_AGENT,)


def _what(asked: Asked, request: ActionRequest) -> dict[str, Fact]:
    used, agent = asked.situation.used, asked.agent
    match request.kind:
        case ActionKind.CALL_MODEL:
            return {
                **_checked(asked),
                "step": request.step,
                "step_limit": used.limits.steps,
                "tokens_in_run": used.tokens,
                "token_limit": used.limits.tokens,
                "cost_in_run_micros": used.cost_micros,
                "cost_limit_micros": used.limits.cost_micros,
            }
        case ActionKind.RETRIEVE:
            return {
                "agent_collections": tuple(sorted(agent.collections)),
                "confidentiality_ceiling": agent.confidentiality_ceiling.rank,
            }
        case ActionKind.CALL_TOOL:
            return {
                **_checked(asked),
                "tool": request.target,
                "agent_effects": tuple(sorted(agent.effects)),
                "calls_in_run": used.tool_calls,
                "calls_limit": used.limits.tool_calls,
                "calls_in_hour": asked.situation.calls_in_hour,
            }
        case ActionKind.INGEST:
            by_admin = asked.run.data.context.has(Role.OWNER, Role.ADMIN)
            return {"collection": request.target, "by_admin": by_admin}
        case ActionKind.SHOW:
            return _checked(asked)


def _checked(asked: Asked) -> dict[str, Fact]:
    found = asked.situation.checked
    return {
        "injection_in": found.injection_in,
        "secrets_read": found.secrets,
        "personal_data_read": found.personal_data,
        "guards": found.guards,
        "guards_silent": found.silent,
    }
