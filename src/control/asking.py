"""What the gate is asked: who wants what to happen, and what holds meanwhile."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from control.entitlements import Entitlement
from control.register import Claim
from control.switch_records import AgentScope
from core import (
    ActionKind,
    Actor,
    ApprovalId,
    Confidentiality,
    ContentRef,
    Effect,
    Facts,
    Json,
    Label,
    Origin,
    PrincipalId,
    PrincipalKind,
)
from core.parts import Limits

_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class AgentFacts:
    """Who acts, and with what they were equipped. A person who acts themselves has no name here, and no tools.

    Attributes:
        id: pseudonym of the agent's version in the tenant: its own identity, which is nobody else's.
        purpose: the manifest's one word for what it is for.
        claims: what the publisher claims of it.
        valid_until: when this version ends, whoever sponsors it.
        takes_back: of `tools` those that undo what another did, and which: where that is allowed, so are they.
    """

    name: str = ""
    kind: PrincipalKind = PrincipalKind.AGENT
    id: str = ""
    purpose: str = ""
    valid_until: datetime = _NEVER
    tools: frozenset[str] = frozenset()
    effects: frozenset[Effect] = frozenset()
    collections: frozenset[str] = frozenset()
    confidentiality_ceiling: Confidentiality = Confidentiality.RESTRICTED
    claims: tuple[Claim, ...] = ()
    takes_back: Mapping[str, str] = field(default_factory=dict[str, str])

    def within(self, scope: AgentScope) -> "AgentFacts":
        """Return the same agent with no more than both it and `scope` have."""
        return replace(
            self,
            tools=frozenset(tool for tool in self.tools if self.takes_back.get(tool, tool) in scope.tools),
            effects=self.effects & scope.effects,
            collections=self.collections & scope.collections,
            confidentiality_ceiling=min(
                self.confidentiality_ceiling, scope.confidentiality_ceiling, key=lambda level: level.rank
            ),
        )


UNLIMITED = Limits(
    **dict.fromkeys(("steps", "tool_calls", "tokens", "output_tokens", "cost_micros", "seconds"), 10**15)
)
"""Of what a person does themselves: what bounds it is what they ask for."""


@dataclass(frozen=True, slots=True)
class Used:
    """How far a run has come, and how far it may go. `seconds` are those in which it was at work."""

    limits: Limits = UNLIMITED
    tokens: int = 0
    cost_micros: int = 0
    tool_calls: int = 0
    seconds: int = 0


@dataclass(frozen=True, slots=True)
class Checked:
    """What guards found in all that the model has read; kinds and places, never what stood there.

    Attributes:
        injection_in: places where something looks as if written to steer the agent.
        secrets: kinds of secrets that were read.
        personal_data: kinds of personal data that were read.
        guards: those that looked at all of it.
        silent: those that should have, and gave no answer.
    """

    injection_in: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    personal_data: tuple[str, ...] = ()
    guards: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()


NOT_CHECKED = Checked(silent=("local",))
"""Nobody looked, which is as if a guard had not answered: whoever forgets to ask gets the stricter rules."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What holds for all actions of one step.

    Attributes:
        label: the join of all that is in the context: who could have written it, who may read it.
        entitled: what the tenant has bought, as it is at this moment.
        used: by the run.
        calls_in_hour: how many tools the tenant's agents have called within an hour.
        checked: what guards found in the context.
    """

    label: Label
    budget_left_micros: int
    entitled: Entitlement
    used: Used = Used()
    calls_in_hour: int = 0
    checked: Checked = NOT_CHECKED


@dataclass(frozen=True, slots=True)
class Approval:
    """Colleagues' yes that this run has consumed, whose it is, and what exactly they said yes to."""

    id: ApprovalId
    tool: str
    arguments_commitment: str
    policy_version: str
    requester: PrincipalId
    approvers: tuple[Actor, ...]


@dataclass(frozen=True, slots=True)
class ActionRequest:
    """One action that somebody wants to happen.

    Attributes:
        arguments: what the permit is bound to.
        facts: the action's own facts, by the names in the schema; what the gate knows itself may not be among them.
        stored_arguments: `canonical(arguments)` as content, which an approval is bound to.
    """

    kind: ActionKind
    target: str
    step: int
    arguments: Json
    facts: Facts
    call: int = 0
    stored_arguments: ContentRef | None = None
    argument_labels: Mapping[str, Label] = field(default_factory=dict[str, Label])
    argument_origins: Mapping[str, Origin] = field(default_factory=dict[str, Origin])
    approval: Approval | None = None
