"""The one gate. Every effect is decided here, and the decision is on disk before its permit exists."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from control.asking import ActionRequest, AgentFacts, Approval, Situation
from control.gate_facts import Asked, question
from control.policy_store import Policies
from control.switches import Switches, read_switches
from core import (
    ActionKind,
    ApprovalId,
    Clock,
    Decision,
    Lane,
    Permit,
    PrincipalKind,
    action_digest,
    canonical,
)
from core.bodies import Body, DecisionMade
from core.errors import PreconditionFailed, Unavailable
from data import RunWriter, TenantData

_ATTEMPTS = 20


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

    async def minds(self, data: TenantData, kind: ActionKind, facts: Collection[str]) -> bool:
        """Return whether the policies in force for the tenant speak of any of `facts`, of such an action."""
        return (await self._policies.ruleset(data)).speak_of(kind, facts)

    async def authorize(
        self,
        run: RunWriter,
        agent: AgentFacts,
        requests: Sequence[ActionRequest],
        *,
        situation: Situation,
        following: Callable[[Sequence[Ruling]], Sequence[Body]] = lambda _: (),
    ) -> list[Verdict]:
        """Decide all requests, and write down, in one append, what is staged, one decision each, then `following`.

        A switch that was thrown since it was last read counts: then all is decided once more, and nothing else is
        written. `following` is asked each time.

        Args:
            run: whose context says who asks.
            agent: who acts, with all that it was given; its sponsor may let it do less.
            requests: in the order in which their verdicts are returned.
            situation: what holds for all of them.
            following: given all rulings, returns what the decisions cause in the run, such as that it is parked.

        Raises:
            Conflict: somebody else writes the run; nothing is allowed.
            Defect: a request states a fact that only the gate may state.
            Unavailable: switches are thrown faster than can be decided; nothing is allowed.
            Unprocessable: the tenant's stored policies cannot be read.
        """
        for _ in range(_ATTEMPTS):
            asked = await self._asked(run, agent, situation)
            rulings = await self._ruled(asked, requests, run.seq + 1)
            bodies = [*(ruling.event() for ruling in rulings), *following(rulings)]
            try:
                await run.append(bodies, resting_on=asked.thrown.read)
            except PreconditionFailed:
                self._switches.forget(run.data)
            else:
                return [_verdict(run, asked.agent, ruling) for ruling in rulings]
        raise Unavailable("What is switched off changes all the time; try again in a moment.", retry_after=1)

    async def _asked(self, run: RunWriter, agent: AgentFacts, situation: Situation) -> Asked:
        thrown = await self._switches.known(run.data)
        sponsored = thrown.agents.get(agent.name)
        agent = agent.within(sponsored.scope) if sponsored else agent
        return Asked(run, agent, situation, thrown, self._clock.now(), self._environment)

    async def _ruled(self, asked: Asked, requests: Sequence[ActionRequest], first: int) -> list[Ruling]:
        rules, data = await self._policies.ruleset(asked.run.data), asked.run.data
        rulings: list[Ruling] = []
        for seq, request in enumerate(requests, start=first):
            decision = rules.decide(question(asked, request))
            approval = await _approved(data, request, decision)
            rulings.append(Ruling(request, seq, decision, approval, rules.ends(decision)))
        return rulings


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
