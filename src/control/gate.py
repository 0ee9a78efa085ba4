"""The one gate. Every effect is decided here, and the decision is on disk before its permit exists."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from control.asking import ActionRequest, AgentFacts, Approval, Situation
from control.policy import Question
from control.policy_facts import WEEKDAYS
from control.policy_store import Policies
from control.principals import IdentityState, state_of
from control.register import SEARCH, WHOLE_AGENT, stopped_by
from control.switches import Switches, Thrown, capabilities, read_switches
from core import (
    ActionKind,
    ApprovalId,
    Clock,
    Content,
    Decision,
    Fact,
    Lane,
    Permit,
    PrincipalKind,
    Role,
    action_digest,
    canonical,
)
from core.bodies import Body, DecisionMade
from core.errors import Defect
from data import RunWriter, TenantData


@dataclass(frozen=True, slots=True)
class Granted:
    """`agent` is who acts, within what its sponsor lets it do at this moment."""

    seq: int
    decision: Decision
    permit: Permit
    agent: AgentFacts


@dataclass(frozen=True, slots=True)
class ApprovalNeeded:
    seq: int
    decision: Decision


@dataclass(frozen=True, slots=True)
class Refused:
    """`ends` is the code with which the run ends, if the policies that refused say that it does."""

    seq: int
    decision: Decision
    ends: str = ""


Verdict: TypeAlias = Granted | ApprovalNeeded | Refused


@dataclass(frozen=True, slots=True)
class Ruling:
    """What was decided about a request, and the number that its event gets; nothing is allowed by it yet.

    Attributes:
        approval: the approval that lets it go ahead.
        ends: as in `Refused`.
    """

    request: ActionRequest
    seq: int
    decision: Decision
    approval: ApprovalId | None
    ends: str = ""

    @property
    def lane(self) -> Lane:
        """`approval` means that one is still missing."""
        return Lane.AUTOMATIC if self.approval else self.decision.lane

    def event(self) -> DecisionMade:
        return DecisionMade(
            step=self.request.step,
            call=self.request.call,
            kind=self.request.kind,
            target=self.request.target,
            arguments=self.request.stored_arguments,
            argument_labels=dict(self.request.argument_labels),
            argument_origins=dict(self.request.argument_origins),
            decision=self.decision,
            approval=self.approval,
        )


@dataclass(frozen=True, slots=True)
class _Asked:
    """By whom and when the gate is asked, and what was switched off then; `agent` is within its sponsor's scope."""

    run: RunWriter
    agent: AgentFacts
    situation: Situation
    thrown: Thrown
    at: datetime


class Gate:
    def __init__(self, *, policies: Policies, switches: Switches, environment: str, clock: Clock) -> None:
        self._policies = policies
        self._switches = switches
        self._environment = environment
        self._clock = clock

    async def policy_version(self, data: TenantData) -> str:
        """Return the version of the policies in force for the tenant, by which a decision now would be made."""
        return (await self._policies.ruleset(data)).version

    async def scoped(self, data: TenantData, agent: AgentFacts) -> AgentFacts:
        """Return an agent within what its sponsor lets it do now, for what is prepared before it is decided."""
        found = await read_switches(data)
        sponsorship = found.value.agents.get(agent.name) if found else None
        return agent.within(sponsorship.scope) if sponsorship else agent

    async def authorize(
        self,
        run: RunWriter,
        agent: AgentFacts,
        requests: Sequence[ActionRequest],
        *,
        situation: Situation,
        preceding: Sequence[Body] = (),
        content: Sequence[Content] = (),
        following: Callable[[Sequence[Ruling]], Sequence[Body]] = lambda _: (),
    ) -> list[Verdict]:
        """Decide all requests, and write down, in one append, `preceding`, one decision each, then `following`.

        Args:
            run: whose context says who asks.
            agent: who acts, with all that it was given; its sponsor may let it do less.
            requests: in the order in which their verdicts are returned.
            situation: what holds for all of them.
            preceding: the outcome of the step before.
            content: what the bodies refer to.
            following: given all rulings, returns what the decisions cause in the run, such as that it is parked.

        Raises:
            Conflict: somebody else writes the run; nothing is allowed.
            Defect: a request states a fact that only the gate may state.
            Unprocessable: the tenant's stored policies cannot be read.
        """
        rules = await self._policies.ruleset(run.data)
        thrown = await self._switches.thrown(run.data)
        sponsored = thrown.agents.get(agent.name)
        agent = agent.within(sponsored.scope) if sponsored else agent
        asked = _Asked(run, agent, situation, thrown, self._clock.now())
        first = run.seq + len(preceding) + 1
        rulings: list[Ruling] = []
        for seq, request in enumerate(requests, start=first):
            decision = rules.decide(self._question(asked, request))
            approval = await _approved(run.data, request, decision)
            rulings.append(Ruling(request, seq, decision, approval, rules.ends(decision)))
        decided = [ruling.event() for ruling in rulings]
        await run.append([*preceding, *decided, *following(rulings)], content)
        return [_verdict(run, agent, ruling) for ruling in rulings]

    def _question(self, asked: _Asked, request: ActionRequest) -> Question:
        context, agent = asked.run.data.context, asked.agent
        known = self._who(asked.run, agent) | _situation(asked) | _what(asked, request) | _switched(asked, request)
        if clash := known.keys() & request.facts.keys():
            raise Defect(f"An action stated what only the gate may state: {', '.join(sorted(clash))}.")
        name = agent.name if agent.kind is PrincipalKind.AGENT else context.principal.id
        return Question(
            principal=(agent.kind, name), kind=request.kind, target=request.target, facts={**known, **request.facts}
        )

    def _who(self, run: RunWriter, agent: AgentFacts) -> dict[str, Fact]:
        context = run.data.context
        for_user = context.principal.kind is PrincipalKind.USER and agent.kind is not PrincipalKind.USER
        return {
            "environment": self._environment,
            "plan": context.plan,
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


def _identity(asked: _Asked) -> IdentityState:
    if asked.agent.kind is not PrincipalKind.AGENT:
        return IdentityState.NONE
    return state_of(asked.agent, asked.thrown.agents.get(asked.agent.name), asked.at)


def _situation(asked: _Asked) -> dict[str, Fact]:
    situation, used = asked.situation, asked.situation.used
    return {
        "context_integrity": situation.label.integrity.value,
        "context_confidentiality": situation.label.confidentiality.value,
        "confidentiality_rank": situation.label.confidentiality.rank,
        "budget_left_micros": situation.budget_left_micros,
        "entitled": situation.entitled,
        "weekday": WEEKDAYS[asked.at.weekday()],
        "hour": asked.at.hour,
        "agent_identity": _identity(asked).value,
        "seconds_in_run": used.seconds,
        "seconds_limit": used.limits.seconds,
    }


def _switched(asked: _Asked, request: ActionRequest) -> dict[str, Fact]:
    needed = capabilities(request.kind, request.facts)
    tool = request.target if request.kind is ActionKind.CALL_TOOL else ""
    stopping = asked.thrown.stopping(agent=asked.agent.name, tool=tool, capabilities=needed)
    if not stopped_by(asked.agent.claims, asked.thrown.everywhere, asked.at.date()).isdisjoint(_claimed_of(request)):
        stopping = tuple(sorted({*stopping, "claim"}))
    return {"switched_off": stopping, "change_freeze": asked.thrown.change_freeze}


def _claimed_of(request: ActionRequest) -> tuple[str, ...]:
    """Return what claims must hold for, for the action to go ahead."""
    match request.kind:
        case ActionKind.CALL_TOOL:
            return WHOLE_AGENT, f"tool/{request.target}"
        case ActionKind.RETRIEVE:
            return WHOLE_AGENT, SEARCH
        case ActionKind.CALL_MODEL | ActionKind.INGEST | ActionKind.SHOW:
            return (WHOLE_AGENT,)


def _what(asked: _Asked, request: ActionRequest) -> dict[str, Fact]:
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


def _checked(asked: _Asked) -> dict[str, Fact]:
    found = asked.situation.checked
    return {
        "injection_in": found.injection_in,
        "secrets_read": found.secrets,
        "personal_data_read": found.personal_data,
        "guards": found.guards,
        "guards_silent": found.silent,
    }


async def _approved(data: TenantData, request: ActionRequest, decision: Decision) -> ApprovalId | None:
    """Return the approval if it is for exactly this, tool, arguments, policies and requester, by enough people."""
    approval, arguments = request.approval, request.stored_arguments
    if decision.lane is not Lane.APPROVAL or approval is None or arguments is None:
        return None
    asked = (request.target, arguments.commitment, decision.policy_version, data.context.principal.id)
    given = (approval.tool, approval.arguments_commitment, approval.policy_version, approval.requester)
    # What the approver read must be what the permit will be bound to.
    same = asked == given and await data.content.matches(arguments, canonical(request.arguments))
    return approval.id if same and _others(approval) >= decision.approvers else None


def _others(approval: Approval) -> int:
    """Return how many different people approved, without whoever asked: an agent never counts."""
    people = {by.id for by in approval.approvers if by.kind is PrincipalKind.USER}
    return len(people - {approval.requester})


def _verdict(run: RunWriter, agent: AgentFacts, ruling: Ruling) -> Verdict:
    match ruling.lane:
        case Lane.AUTOMATIC:
            return Granted(ruling.seq, ruling.decision, _permit(run, ruling.request, ruling.seq), agent)
        case Lane.APPROVAL:
            return ApprovalNeeded(ruling.seq, ruling.decision)
        case Lane.NEVER:
            return Refused(ruling.seq, ruling.decision, ruling.ends)


def _permit(run: RunWriter, request: ActionRequest, seq: int) -> Permit:
    tenant = run.data.context.tenant
    bound = action_digest(tenant, run.run, request.kind, request.target, request.arguments)
    return Permit(tenant=tenant, run=run.run, decision_seq=seq, digest=bound)
