"""What the gate is asked, what it answers, and the permit that an answer yields."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from core.canonical import Json, canonical, digest
from core.errors import Defect
from core.ids import RunId, TenantId

Fact = Annotated[StrictInt | StrictBool | StrictStr | tuple[str, ...], Field(union_mode="left_to_right")]
"""A fact in a decision's context: a number, an enum, a pseudonym or a label. Never content."""

Facts = Mapping[str, Fact]


class Lane(StrEnum):
    """The three answers, from the weakest to the strictest."""

    AUTOMATIC = "automatic"
    APPROVAL = "approval"
    NEVER = "never"

    @property
    def strictness(self) -> int:
        return _STRICTNESS[self]


_STRICTNESS = {lane: number for number, lane in enumerate(Lane)}


class ActionKind(StrEnum):
    """Everything that has an effect. Each is an action in the Cedar schema under the same name."""

    CALL_MODEL = "call_model"
    RETRIEVE = "retrieve"
    CALL_TOOL = "call_tool"
    INGEST = "ingest"
    SHOW = "show"
    """That the person is shown what the model writes. Asked where a guard has found something in it."""


class Effect(StrEnum):
    """What a tool does to the world, from harmless to what cannot be undone."""

    READ = "read"
    WRITE = "write"
    EXTERNAL = "external"
    IRREVERSIBLE = "irreversible"


class Action(BaseModel):
    """One thing that is about to happen: `kind` done with `target`, with exactly the arguments that `digest` covers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ActionKind
    target: str
    step: int
    digest: str
    """`action_digest` of the arguments in a permit; the arguments' keyed commitment where it is stored."""


class Decision(BaseModel):
    """The gate's answer, with all that is needed to explain it and to decide it again.

    Attributes:
        lane: what may happen.
        policies: ids of the policies that determined it, such as `publisher/refund-needs-approval`; empty when
            nothing allowed it.
        reason: the sentence that the first determining policy states, or why nothing applied.
        policy_version: digest of the policy set that decided.
        facts: the request's context as it was.
        approvers: how many different people have to approve; 0 where none has to, and in decisions from before it was
            written down, where an approval was one person's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    lane: Lane
    policies: tuple[str, ...]
    reason: str
    policy_version: str
    facts: dict[str, Fact]
    approvers: int = 0


def action_digest(tenant: TenantId, run: RunId, kind: ActionKind, target: str, arguments: Json) -> str:
    """Return the digest that binds a permit to one action of one run, arguments and all."""
    return digest(canonical([tenant, run, kind, target, arguments]))


class Permit:
    """Leave to do one thing once. Only the gate makes one (a lint holds that), after the decision is on disk.

    It lives in memory alone: after a crash the action is decided again.
    """

    __slots__ = ("_digest", "_spent", "decision_seq", "run", "tenant")

    def __init__(self, *, tenant: TenantId, run: RunId, decision_seq: int, digest: str) -> None:
        self.tenant = tenant
        self.run = run
        self.decision_seq = decision_seq
        self._digest = digest
        self._spent = False

    def spend(self, kind: ActionKind, target: str, arguments: Json) -> None:
        """Check that this permit is for exactly this, and use it up. Every adapter with an effect calls it first.

        Raises:
            Defect: the permit is for something else or was spent before; the effect must not happen.
        """
        if self._spent:
            raise Defect("A permit was presented twice; the action was not done.", code="defect.permit_spent")
        if action_digest(self.tenant, self.run, kind, target, arguments) != self._digest:
            raise Defect("A permit was presented for another action; it was not done.", code="defect.permit_mismatch")
        self._spent = True
