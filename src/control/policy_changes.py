"""How decisions would change under other policies, as it is told."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from core import ActionKind, Decision, Lane

MOST_SAMPLES = 50

Change = Literal["same", "reason", "tightened", "loosened", "undecided"]
"""`reason`: other policies for the same lane. `undecided`: facts are missing that the candidate needs."""


class Answered(BaseModel):
    """What policies said."""

    model_config = ConfigDict(frozen=True)

    lane: Lane
    policies: tuple[str, ...]
    reason: str

    @classmethod
    def of(cls, decision: Decision) -> "Answered":
        return cls(lane=decision.lane, policies=decision.policies, reason=decision.reason)


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
    if after.lane.strictness != before.lane.strictness:
        return "tightened" if after.lane.strictness > before.lane.strictness else "loosened"
    return "same" if after.policies == before.policies or not whole else "reason"
