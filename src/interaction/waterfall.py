"""A run's time cut into spans, by its events alone.

A run does one thing at a time, so spans follow one another without gap or overlap: each stretch between two events
belongs to what the later one says. A call is given its measured duration, counted back from its end; what is left of
the stretch is `other`: writing to the store, setting money aside, reading what was said before.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from core import ActionKind, Lane, parse_timestamp, timestamp
from core.bodies import (
    ApprovalRequested,
    ApprovalResolved,
    DecisionMade,
    ModelFinished,
    PassagesIndexed,
    PassagesRetrieved,
    RunEnded,
    RunParked,
    RunResumed,
    ToolFinished,
)
from core.events import Event, Stored
from core.parts import RunState, Usage
from interaction.spans import Span, SpanKind, SpanOutcome

Outcome = ModelFinished | PassagesRetrieved | PassagesIndexed | ToolFinished
"""What says how a call ended."""

_KINDS = {
    ActionKind.CALL_MODEL: SpanKind.MODEL,
    ActionKind.RETRIEVE: SpanKind.RETRIEVAL,
    ActionKind.CALL_TOOL: SpanKind.TOOL,
    ActionKind.INGEST: SpanKind.INDEXING,
    ActionKind.SHOW: SpanKind.MODEL,
}
_OUTCOMES: dict[str, SpanOutcome] = {
    "answered": "done",
    "interrupted": "interrupted",
    "ok": "done",
    "failed": "failed",
    "timeout": "timeout",
    "unknown": "unknown",
}


class Waterfall:
    """The way along a run's events.

    Attributes:
        at: up to when its time is told. It never goes back, even where a clock did.
        state: of the run by then.
    """

    def __init__(self, opened: datetime) -> None:
        self.at = opened
        self.state = RunState.RUNNING
        self.spans: list[Span] = []
        self._opened = opened
        self._allowed: list[tuple[int, DecisionMade]] = []  # whose actions have no outcome yet
        self._asked: tuple[int, ApprovalRequested] | None = None  # the last time that a person was

    def take(self, event: Event) -> None:
        """Tell of the time up to `event`, by what it says."""
        at = max(self.at, parse_timestamp(event.at))
        match event.body:
            case DecisionMade(kind=ActionKind.SHOW) as body if self._allowed:
                self._shown(event.seq, body, at)
            case DecisionMade() as body:
                self._decided(event.seq, body, at)
            case ModelFinished() | PassagesRetrieved() | PassagesIndexed() | ToolFinished() as body:
                self._called(event.seq, body, at)
            case RunResumed(cause="restart") if self.state is RunState.RUNNING:
                self._add(SpanKind.RESTART, at, events=[event.seq])
            case ApprovalRequested() as body:
                self._rest(event.seq, at)
                self._asked = event.seq, body
            case RunParked():
                self._rest(event.seq, at)
                self._park(event.seq)
            case _ if self.state is RunState.PARKED:
                self._waited(event, at)
            case _:
                self._rest(event.seq, at)
        self.state = _after(self.state, event)

    def close(self, now: datetime) -> None:
        """Cut a run that goes on: its last span is open."""
        now = max(self.at, now)
        if self.state is RunState.PARKED:
            self._lengthen(now)
        elif self._allowed:
            _, made = self._allowed[-1]
            self._add(_KINDS[made.kind], now, events=[seq for seq, _ in self._allowed], outcome="open", **_by(made))
        else:
            self._add(SpanKind.OTHER, now, events=[], outcome="open")
        self.spans[-1] = self.spans[-1].model_copy(update={"end": None})

    def _decided(self, seq: int, made: DecisionMade, at: datetime) -> None:
        allowed = made.decision.lane is Lane.AUTOMATIC or made.approval is not None
        asked: SpanOutcome = "asked" if made.decision.lane is Lane.APPROVAL else "refused"
        self._add(SpanKind.DECISION, at, events=[seq], outcome="allowed" if allowed else asked, **_by(made))
        # After a restart an action is decided again, and the first decision never leads to anything.
        others = [(other, before) for other, before in self._allowed if _action(before) != _action(made)]
        self._allowed = [*others, (seq, made)] if allowed else others

    def _shown(self, seq: int, made: DecisionMade, at: datetime) -> None:
        """Cut a model call in two where it was decided whether people may be shown what it writes."""
        asked, call = self._allowed[-1]
        self._add(SpanKind.MODEL, at, events=[asked], **_by(call))
        allowed = made.decision.lane is Lane.AUTOMATIC
        self._add(SpanKind.DECISION, at, events=[seq], outcome="allowed" if allowed else "refused", **_by(made))

    def _called(self, seq: int, body: Outcome, at: datetime) -> None:
        measured = _measured(body)
        if measured is not None:
            self._rest(seq, max(self.at, at - timedelta(milliseconds=measured)))
        about = {**_by(self._allowed[-1][1]), **_about(body)} if self._allowed else _about(body)
        self._add(_kind(body), at, events=[*(allowed for allowed, _ in self._allowed), seq], **about)
        self._allowed = []

    def _park(self, seq: int) -> None:
        if self._asked is None:
            self._add(SpanKind.WAITING, self.at, events=[seq], outcome="open")
            return
        asked, body = self._asked
        about = {"step": body.step, "call": body.call, "target": body.tool, "effect": body.effect}
        self._add(SpanKind.WAITING, self.at, events=[asked, seq], outcome="open", **about)

    def _waited(self, event: Event, at: datetime) -> None:
        outcome = self.spans[-1].outcome
        match event.body:
            case ApprovalResolved(verdict=verdict):
                outcome = verdict
            case RunEnded() if outcome == "open":
                outcome = "superseded"
            case _:
                pass
        self._lengthen(at)
        changes = {"outcome": outcome, "events": [*self.spans[-1].events, event.seq]}
        self.spans[-1] = self.spans[-1].model_copy(update=changes)

    def _lengthen(self, at: datetime) -> None:
        """Let the last span last until `at`."""
        last, more = self.spans[-1], _ms(at - self.at)
        self.spans[-1] = last.model_copy(update={"end": timestamp(at), "duration_ms": last.duration_ms + more})
        self.at = at

    def _rest(self, seq: int, at: datetime) -> None:
        """Give the time until `at`, if there is any, to what has no name."""
        if at > self.at:
            self._add(SpanKind.OTHER, at, events=[seq])

    def _add(self, kind: SpanKind, at: datetime, *, events: list[int], **about: object) -> None:
        span = {
            "kind": kind,
            "start": timestamp(self.at),
            "end": timestamp(at),
            "offset_ms": _ms(self.at - self._opened),
            "duration_ms": _ms(at - self.at),
            "events": events,
            **about,
        }
        self.spans.append(Span.model_validate(span))
        self.at = at


def waterfall_of(events: Sequence[Stored], now: datetime) -> Waterfall:
    """Return a run's spans; `now` is where one that goes on is cut."""
    walk = Waterfall(parse_timestamp(events[0].event.at))
    for stored in events:
        walk.take(stored.event)
    if not walk.state.ended:
        walk.close(now)
    return walk


def _after(state: RunState, event: Event) -> RunState:
    match event.body:
        case RunParked():
            return RunState.PARKED
        case RunResumed():
            return RunState.RUNNING
        case RunEnded(state=ended):
            return ended
        case _:
            return state


def _action(made: DecisionMade) -> tuple[ActionKind, str, int, int]:
    return made.kind, made.target, made.step, made.call


def _by(made: DecisionMade) -> dict[str, object]:
    """Return what a span says of a decision."""
    decision = made.decision
    ruled = {"lane": decision.lane, "policies": list(decision.policies), "reason": decision.reason}
    return {"step": made.step, "call": made.call, "target": made.target, **ruled}


def _about(body: Outcome) -> dict[str, object]:
    """Return what a span says of a call that has ended."""
    match body:
        case ModelFinished():
            timing = {"attempts": body.attempts, "first_token_ms": body.first_token_ms}
            told = {"target": body.target or body.logical, "outcome": _OUTCOMES[body.outcome], "error": body.error}
            return {"step": body.step, "usage": body.usage, **timing, **told}
        case ToolFinished():
            told = {"target": body.tool, "effect": body.effect, "outcome": _OUTCOMES[body.outcome], "error": body.error}
            return {"step": body.step, "call": body.call, "usage": Usage(tool_calls=1), **told}
        case PassagesRetrieved() | PassagesIndexed():
            return {"usage": body.usage}


def _kind(body: Outcome) -> SpanKind:
    match body:
        case ModelFinished():
            return SpanKind.MODEL
        case ToolFinished():
            return SpanKind.TOOL
        case PassagesRetrieved():
            return SpanKind.RETRIEVAL
        case PassagesIndexed():
            return SpanKind.INDEXING


def _measured(body: Outcome) -> int | None:
    """Return how long the call took in milliseconds; None where nobody measured it, and it took the whole stretch."""
    match body:
        case ModelFinished():
            return body.duration_ms if body.outcome == "answered" else None
        case PassagesIndexed():
            return None
        case PassagesRetrieved() | ToolFinished():
            return body.duration_ms


def _ms(span: timedelta) -> int:
    return round(span.total_seconds() * 1000)
