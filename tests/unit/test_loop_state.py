"""What comes next in a run, whatever has happened in it and wherever the process died."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import assert_never

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import (
    GENESIS,
    ActionKind,
    Actor,
    ApprovalId,
    ContentClass,
    ContentId,
    ContentRef,
    Decision,
    Effect,
    Lane,
    PrincipalKind,
    RunId,
    TenantId,
    timestamp,
)
from core.bodies import (
    AnswerGiven,
    ApprovalRequested,
    ApprovalResolved,
    Body,
    CancelRequested,
    DecisionMade,
    ModelFinished,
    PassagesRetrieved,
    ProposalRejected,
    RunEnded,
    RunOpened,
    RunParked,
    RunResumed,
    ToolFinished,
)
from core.errors import Defect
from core.events import Event, Stored
from core.parts import Limits, Proposal, RunKind, RunState, Usage, Versions
from orchestration import Progress, ProposalState, fold
from orchestration.next_step import Act, CallModel, End, Next, Reply, Retrieve, Unknown, Wait, next_step
from orchestration.state import MAX_INTERRUPTIONS

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
CONTENT = ContentRef(id=ContentId("cnt_1"), commitment="c", kind=ContentClass.ARGUMENTS)
APPROVAL, LATER_APPROVAL = ApprovalId("apr_1"), ApprovalId("apr_2")
LIMITS = Limits(steps=3, tool_calls=4, tokens=1000, output_tokens=100, cost_micros=500, seconds=60)
EFFECTS = {
    "look": Effect.READ,
    "write": Effect.WRITE,
    "send": Effect.EXTERNAL,
    "delete": Effect.IRREVERSIBLE,
}


def opened(*, use_knowledge: bool = False, limits: Limits = LIMITS) -> RunOpened:
    return RunOpened(
        kind=RunKind.TURN, message=CONTENT, use_knowledge=use_knowledge, versions=Versions(code="1"), limits=limits
    )


def decided(
    kind: ActionKind, target: str, lane: Lane = Lane.AUTOMATIC, *, call: int = 0, approval: ApprovalId | None = None
) -> DecisionMade:
    decision = Decision(lane=lane, policies=("p",), reason="r", policy_version="v", facts={})
    return DecisionMade(
        step=1, call=call, kind=kind, target=target, arguments=CONTENT, decision=decision, approval=approval
    )


def tool_decided(
    tool: str, lane: Lane = Lane.AUTOMATIC, *, call: int = 0, approval: ApprovalId | None = None
) -> DecisionMade:
    return decided(ActionKind.CALL_TOOL, tool, lane, call=call, approval=approval)


def answered(*tools: str, step: int = 1, usage: Usage | None = None) -> ModelFinished:
    return ModelFinished(
        step=step,
        outcome="answered",
        logical="chat",
        message=CONTENT,
        proposals=tuple(Proposal(call=number, tool=tool) for number, tool in enumerate(tools)),
        usage=usage or Usage(input_tokens=10, output_tokens=5, cost_micros=1, model_calls=1),
    )


def finished(tool: str, outcome: str = "ok", *, call: int = 0) -> ToolFinished:
    return ToolFinished.model_validate(
        {
            "step": 1,
            "call": call,
            "tool": tool,
            "effect": EFFECTS.get(tool, Effect.WRITE),
            "outcome": outcome,
            "idempotency_key": "idem_1",
        }
    )


def asked(tool: str, approval: ApprovalId = APPROVAL) -> list[Body]:
    """Return the append that parks a run: decision, request and parking are one."""
    until = timestamp(START + timedelta(days=3))
    requested = ApprovalRequested(
        approval=approval,
        step=1,
        call=0,
        tool=tool,
        effect=EFFECTS[tool],
        arguments=CONTENT,
        policy_version="v",
        expires_at=until,
    )
    return [tool_decided(tool, Lane.APPROVAL), requested, RunParked(cause="approval", until=until)]


def resolved(verdict: str) -> list[Body]:
    given = ApprovalResolved.model_validate({"approval": APPROVAL, "step": 1, "call": 0, "verdict": verdict})
    return [given, RunResumed(cause="approval")]


INTERRUPTED = ModelFinished(step=1, outcome="interrupted", logical="chat", error="run.restarted")
FAILED = ModelFinished(step=1, outcome="failed", logical="chat", error="model.refused")
MODEL_DECIDED = decided(ActionKind.CALL_MODEL, "chat")
CRASHED: list[Body | int] = [MODEL_DECIDED, 1000, RunResumed(cause="restart"), INTERRUPTED]
RETRIEVAL_DECIDED: list[Body] = [
    decided(ActionKind.CALL_MODEL, "embed"),
    decided(ActionKind.RETRIEVE, "knowledge"),
]
RETRIEVED = PassagesRetrieved(step=0, passages=(), content=CONTENT, duration_ms=1)
CALLED = [opened(), MODEL_DECIDED, answered("write")]


def stored(bodies: Sequence[Body | int]) -> list[Stored]:
    """Return a run's log. A number among the bodies lets as many seconds pass."""
    at, log = START, list[Stored]()
    for body in bodies:
        if isinstance(body, int):
            at += timedelta(seconds=body)
            continue
        event = Event(
            tenant=TenantId("ten_1"),
            run=RunId("run_1"),
            seq=len(log) + 1,
            at=timestamp(at),
            actor=Actor(kind=PrincipalKind.USER, id="usr_1"),
            prev=log[-1].hash if log else GENESIS,
            body=body,
        )
        log.append(Stored.seal(event))
    return log


def following(log: Sequence[Body | int], *, now: datetime | None = None) -> str:
    seconds = sum(item for item in log if isinstance(item, int))
    return told(next_step(fold(stored(log)), now or START + timedelta(seconds=seconds), EFFECTS.get))


def told(step: Next) -> str:  # noqa: PLR0911 - one answer for each
    match step:
        case Retrieve():
            return "retrieve"
        case CallModel(number):
            return f"model {number}"
        case Act(proposal):
            return f"act {proposal.step}.{proposal.call}"
        case Wait(_, proposal):
            return f"wait {proposal.step}.{proposal.call}"
        case Unknown(proposal):
            return f"unknown {proposal.step}.{proposal.call}"
        case Reply(model):
            return f"reply {model.step}"
        case End(state, code):
            return f"end {state} {code}".strip()
        case _:
            assert_never(step)


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        pytest.param([opened()], "model 1", id="opened"),
        pytest.param([opened(use_knowledge=True)], "retrieve", id="opened, with knowledge"),
        pytest.param([opened(use_knowledge=True), RETRIEVED], "model 1", id="retrieved"),
        pytest.param([*CALLED[:2], answered()], "reply 1", id="answered"),
        pytest.param([*CALLED[:2], FAILED], "end failed model.refused", id="model failed"),
        pytest.param(CALLED, "act 1.0", id="proposed"),
        pytest.param([opened(), MODEL_DECIDED, answered("a", "b")], "act 1.0", id="proposed two"),
        pytest.param(
            [*CALLED, ProposalRejected(step=1, call=0, tool="write", cause="malformed")], "model 2", id="rejected"
        ),
        pytest.param([*CALLED, tool_decided("write", Lane.NEVER)], "model 2", id="refused"),
        pytest.param([*CALLED, tool_decided("write"), finished("write")], "model 2", id="done"),
        pytest.param([*CALLED, tool_decided("write"), finished("write", "failed")], "model 2", id="tool failed"),
        pytest.param(
            [opened(), MODEL_DECIDED, answered("write", "look"), tool_decided("write"), finished("write")],
            "act 1.1",
            id="one of two done",
        ),
        pytest.param(
            [*CALLED, tool_decided("write"), finished("write", "unknown")],
            "end outcome_unknown tool.outcome_unknown",
            id="outcome unknown",
        ),
        pytest.param([*CALLED, *asked("write")], "wait 1.0", id="parked"),
        pytest.param([*CALLED, *asked("write"), *resolved("approved")], "act 1.0", id="approved"),
        pytest.param([*CALLED, *asked("write"), *resolved("denied")], "model 2", id="denied"),
        pytest.param([*CALLED, *asked("write"), *resolved("expired")], "model 2", id="expired"),
        pytest.param(
            [*CALLED, *asked("write"), *resolved("approved"), *asked("write", LATER_APPROVAL)],
            "wait 1.0",
            id="approved under policies that have changed since",
        ),
        pytest.param(
            [*CALLED, *asked("write"), CancelRequested()], "end cancelled run.cancelled", id="cancelled while parked"
        ),
        pytest.param(
            [*CALLED, CancelRequested(), RunEnded(state=RunState.CANCELLED, code="run.cancelled")],
            "end cancelled run.cancelled",
            id="ended",
        ),
    ],
)
def test_after_each_event_comes(log: list[Body], expected: str) -> None:
    assert following(log) == expected


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        pytest.param([opened(use_knowledge=True), *RETRIEVAL_DECIDED], "retrieve", id="in a retrieval"),
        pytest.param([opened(), MODEL_DECIDED], "model 1", id="in a model call"),
        pytest.param([opened(), MODEL_DECIDED, INTERRUPTED], "model 1", id="in a model call, written off"),
        pytest.param([opened(), MODEL_DECIDED, answered("look"), tool_decided("look")], "act 1.0", id="in a read"),
        pytest.param([*CALLED, tool_decided("write")], "unknown 1.0", id="in a write"),
        pytest.param([opened(), MODEL_DECIDED, answered("send"), tool_decided("send")], "unknown 1.0", id="in a send"),
        pytest.param(
            [opened(), MODEL_DECIDED, answered("delete"), tool_decided("delete")], "unknown 1.0", id="in a deletion"
        ),
        pytest.param(
            [opened(), MODEL_DECIDED, answered("gone"), tool_decided("gone")], "unknown 1.0", id="in a tool now gone"
        ),
        pytest.param(
            [
                *CALLED,
                *asked("write"),
                *resolved("approved"),
                tool_decided("write", Lane.APPROVAL, approval=APPROVAL),
            ],
            "unknown 1.0",
            id="in an approved write",
        ),
        pytest.param([*CALLED, tool_decided("write"), CancelRequested()], "unknown 1.0", id="in a write, cancelled"),
        pytest.param([*CALLED, tool_decided("write"), 3600], "unknown 1.0", id="in a write, long ago"),
        pytest.param([opened(), MODEL_DECIDED, answered(), AnswerGiven(message=CONTENT)], "reply 1", id="in the end"),
    ],
)
def test_a_process_that_died(log: list[Body | int], expected: str) -> None:
    assert following(log) == expected
    assert following([*log, RunResumed(cause="restart")]) == expected


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        pytest.param([*CALLED[:2], *[INTERRUPTED] * MAX_INTERRUPTIONS], "model 1", id="interrupted often"),
        pytest.param(
            [*CALLED[:2], *[INTERRUPTED] * (MAX_INTERRUPTIONS + 1)], "end failed run.restarted", id="too often"
        ),
        pytest.param(
            [opened(), *[answered("x", step=n) for n in (1, 2, 3)]], "act 1.0", id="the last step's actions are done"
        ),
        pytest.param(
            [
                opened(),
                *[
                    body
                    for n in (1, 2, 3)
                    for body in (
                        answered("x", step=n),
                        ProposalRejected(step=n, call=0, tool="x", cause="unknown_tool"),
                    )
                ],
            ],
            "model 4",
            id="steps are for the gate to count",
        ),
        pytest.param(
            [opened(), answered("x", usage=Usage(input_tokens=600, output_tokens=400)), tool_decided("x", Lane.NEVER)],
            "model 2",
            id="tokens too",
        ),
        pytest.param(
            [opened(), answered("x", usage=Usage(cost_micros=500)), tool_decided("x", Lane.NEVER)],
            "model 2",
            id="and money",
        ),
        pytest.param([opened(), 59], "model 1", id="time left"),
        pytest.param([opened(), 60], "end limit_reached limit.seconds", id="seconds"),
        pytest.param([*CALLED, 60], "end limit_reached limit.seconds", id="seconds, before an action"),
        pytest.param([*CALLED, 30, *asked("write"), 250_000], "wait 1.0", id="waiting takes no time"),
        pytest.param([*CALLED, 30, *asked("write"), 250_000, *resolved("approved"), 29], "act 1.0", id="nor did it"),
        pytest.param(
            [*CALLED, 30, *asked("write"), 250_000, *resolved("approved"), 30],
            "end limit_reached limit.seconds",
            id="time before and after the wait counts",
        ),
        pytest.param([opened(), 40, *CRASHED, 19], "model 1", id="the time that a process was dead does not count"),
        pytest.param([opened(), 40, *CRASHED, 20], "end limit_reached limit.seconds", id="that before it died does"),
        pytest.param(
            [opened(limits=LIMITS.model_copy(update={"cost_micros": 0})), answered("x"), tool_decided("x", Lane.NEVER)],
            "model 2",
            id="a model that costs nothing",
        ),
    ],
)
def test_a_run_is_bounded(log: list[Body | int], expected: str) -> None:
    assert following(log) == expected


def test_what_was_spent_is_added_up() -> None:
    log = [
        opened(),
        MODEL_DECIDED,
        INTERRUPTED,
        MODEL_DECIDED,
        answered("look"),
        tool_decided("look"),
        finished("look"),
    ]
    assert fold(stored(log)).usage == Usage(
        input_tokens=10, output_tokens=5, cost_micros=1, model_calls=1, tool_calls=1
    )


@pytest.mark.parametrize("log", [[MODEL_DECIDED], [answered()]], ids=["nothing opened", "nobody asked"])
def test_a_log_without_its_opening_is_refused(log: list[Body]) -> None:
    with pytest.raises(Defect, match="opening"):
        following(log)


def test_an_outcome_of_what_nobody_proposed_is_refused() -> None:
    with pytest.raises(Defect, match="no model made"):
        fold(stored([*CALLED, finished("write", call=7)]))


def outcomes(progress: Progress, step: Next) -> list[list[Body]]:  # noqa: PLR0911 - one answer for each
    """Return all that may come of a step, each as the events that the loop writes for it."""
    match step:
        case Retrieve():
            return [[*RETRIEVAL_DECIDED, RETRIEVED]]
        case CallModel(number):
            said = [answered(), answered("look"), answered("write", "unknown", "look"), INTERRUPTED, FAILED]
            return [[MODEL_DECIDED, model.model_copy(update={"step": number})] for model in said]
        case Act(proposal):
            tool = proposal.tool
            rejected = ProposalRejected(step=1, call=0, tool=tool, cause="invalid_arguments")
            decisions = [tool_decided(tool), tool_decided(tool, Lane.NEVER)]
            done = [[decisions[0], finished(tool, outcome)] for outcome in ("ok", "timeout", "unknown")]
            return [_of(proposal, bodies) for bodies in ([rejected], decisions[1:], *done, asked("write"))]
        case Wait(_, proposal):
            ways = [*(resolved(verdict) for verdict in ("approved", "denied", "expired")), [CancelRequested()]]
            return [_of(proposal, bodies) for bodies in ways]
        case Unknown(proposal):
            return [_of(proposal, [finished(proposal.tool, "unknown")])]
        case Reply():
            return [[AnswerGiven(message=CONTENT), RunEnded(state=RunState.COMPLETED)]]
        case End(state, code):
            return [[RunEnded(state=state, code=code, usage=progress.usage)]]
        case _:
            assert_never(step)


def _of(proposal: ProposalState, bodies: Sequence[Body]) -> list[Body]:
    """Return `bodies` as events of this proposal."""
    about = {"step": proposal.step, "call": proposal.call}
    return [body.model_copy(update=about) if "call" in type(body).model_fields else body for body in bodies]


def cut(data: st.DataObject, bodies: list[Body]) -> list[Body]:
    """Return what is left of `bodies` if the process dies on the way: an approval's request is one append."""
    kept = bodies[: data.draw(st.integers(0, len(bodies)))]
    return [] if any(isinstance(body, RunParked) for body in bodies[len(kept) :]) else kept


@given(data=st.data(), use_knowledge=st.booleans())
def test_every_run_comes_to_an_end_wherever_it_is_cut_short(data: st.DataObject, *, use_knowledge: bool) -> None:
    """A run that goes on from any point of its log, as after a crash there, ends in a named state."""
    log: list[Body] = [opened(use_knowledge=use_knowledge)]
    crashes = data.draw(st.integers(0, 3))
    while not (progress := fold(stored(log))).ended:
        assert len(log) < 200, "the run does not end"
        ways = outcomes(progress, next_step(progress, START, EFFECTS.get))
        bodies = ways[data.draw(st.integers(0, len(ways) - 1))]
        if crashes and data.draw(st.booleans()):
            crashes -= 1
            bodies = cut(data, bodies)
        log += bodies
    assert progress.state.ended
    for length in range(1, len(log) + 1):
        assert following(log[:length])
