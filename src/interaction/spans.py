"""The pieces that a run's time is cut into, as they are told."""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from core import Effect, Lane
from core.parts import Usage
from interaction.answers import Told


class SpanKind(StrEnum):
    """What a run was doing.

    `decision` is preparing and deciding; `waiting` is for a person; `restart` is nobody at work, until the run was
    taken up again.
    """

    DECISION = "decision"
    RETRIEVAL = "retrieval"
    MODEL = "model_call"
    TOOL = "tool_call"
    INDEXING = "indexing"
    WAITING = "waiting"
    RESTART = "restart"
    OTHER = "other"


SpanOutcome = Literal[
    "open",
    "done",
    "failed",
    "interrupted",
    "timeout",
    "unknown",
    "allowed",
    "asked",
    "refused",
    "approved",
    "denied",
    "expired",
    "superseded",
]


class Span(Told):
    """One thing that a run did, or waited for.

    Attributes:
        end: null while it goes on; then `duration_ms` is what has passed of it.
        offset_ms: from the run's beginning.
        step: of the model call that it belongs to; 0 before the first.
        target: the model, tool or collection; of a search `knowledge`.
        effect: what a tool does to the world.
        outcome: `open` goes on. `allowed`, `asked` (a person) and `refused` are of decisions, the verdicts of people of
            waiting; the others of calls.
        lane: of the decision, or of the one that allowed the call; `policies` and `reason` are its own too.
        events: numbers of the events that it is made of, in order.
    """

    kind: SpanKind
    start: str
    end: str | None
    offset_ms: int
    duration_ms: int
    step: int = 0
    call: int = 0
    target: str = ""
    effect: Effect | None = None
    outcome: SpanOutcome = "done"
    error: str = ""
    usage: Usage = Usage()
    attempts: int = 0
    first_token_ms: int = 0
    lane: Lane | None = None
    policies: list[str] = Field(default_factory=list[str])
    reason: str = ""
    events: list[int]
