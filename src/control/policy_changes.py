"""How decisions would change under other policies, as it is told."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from core import ActionKind, Decision, Lane

MOST_SAMPLES = 50

Change = Literal["same", "reason", "tightened", "loosened", "undecided"]
"""`reason`: other policies for the same lane. `undecided`: facts are missing that the candidate needs."""


def approvers_of(decision: Decision) -> int:
    """Return how many people had to approve; one in decisions from before that was written down."""
    return max(1, decision.approvers) if decision.lane is Lane.APPROVAL else 0


class Answered(BaseModel):
    """What policies said, and how many people they would have approve."""

    model_config = ConfigDict(frozen=True)

    lane: Lane
    policies: tuple[str, ...]
    reason: str
    approvers: int = 0

    @classmethod
    def of(cls, decision: Decision) -> "Answered":
        approvers = approvers_of(decision)
        return cls(lane=decision.lane, policies=decision.policies, reason=decision.reason, approvers=approvers)


class Changed(BaseModel):
    """One recorded decision that would be another, or that cannot be made again.

    Attributes:
        after: None where it cannot be made again.
        missing: facts that the candidate needs and the record has never had.
        erased: facts that it needs and that were erased.
    """

    model_config = ConfigDict(frozen=True)

    change: Change
    tenant: str
    run: str
    seq: int
    at: str
    kind: ActionKind
    target: str
    before: Answered
    after: Answered | None
    missing: tuple[str, ...] = ()
    erased: tuple[str, ...] = ()


class ChangedGroup(BaseModel):
    """How many decisions would change in the same way; `run` and `seq` name the first of them."""

    model_config = ConfigDict(frozen=True)

    change: Change
    kind: ActionKind
    target: str
    before: Lane
    after: Lane | None
    policies: tuple[str, ...]
    missing: tuple[str, ...]
    erased: tuple[str, ...]
    count: int
    tenant: str
    run: str
    seq: int


class Replayed(BaseModel):
    """What would change.

    Attributes:
        complete: whether all that was asked for was looked at; otherwise the earliest were left out.
        groups: what would change, the most frequent first.
        samples: `MOST_SAMPLES` of them at most.
    """

    model_config = ConfigDict(frozen=True)

    decisions: int
    same: int
    reason: int
    tightened: int
    loosened: int
    undecided: int
    complete: bool
    groups: tuple[ChangedGroup, ...]
    samples: tuple[Changed, ...]


def change_of(before: Decision, after: Decision | None, *, whole: bool = True) -> Change:
    """Return what is different; where not the `whole` answer is known but its lane, that alone is compared."""
    if after is None:
        return "undecided"
    then, was = _strictness(after), _strictness(before)
    if then != was and (whole or then[0] != was[0]):
        return "tightened" if then > was else "loosened"
    return "same" if after.policies == before.policies or not whole else "reason"


def _strictness(decision: Decision) -> tuple[int, int]:
    return decision.lane.strictness, approvers_of(decision)
