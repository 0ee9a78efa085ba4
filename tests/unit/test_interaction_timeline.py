"""A run's waterfall: every millisecond of it belongs to one span, and it says what was done, waited for and paid."""

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from interaction_samples import APPROVAL, START, Tale, answered, asked, parked, proposed, resolved

from core import ActionKind, ContentClass, ContentId, ContentRef, Decision, DocumentId, Effect, Lane
from core.bodies import (
    AccessRefused,
    AnswerGiven,
    ApprovalRequested,
    ApprovalResolved,
    Body,
    CancelRequested,
    DecisionMade,
    ModelFinished,
    PassagesIndexed,
    PassagesRetrieved,
    RunEnded,
    RunOpened,
    RunParked,
    RunResumed,
    ToolFinished,
)
from core.parts import Proposal, RunKind, RunState, Usage, Versions
from interaction.spans import SpanKind
from interaction.timeline import Timeline, timeline_of
from orchestration import fold

REF = ContentRef(id=ContentId("cnt_1"), commitment="c", kind=ContentClass.ARGUMENTS)
OPENED = RunOpened(kind=RunKind.TURN, agent="helper", message=REF, versions=Versions(code="1"))
ANSWERED = ModelFinished(
    step=1,
    outcome="answered",
    logical="chat",
    target="big",
    usage=Usage(input_tokens=10, output_tokens=5, cost_micros=7, model_calls=1),
    first_token_ms=200,
    duration_ms=900,
    proposals=(Proposal(call=0, tool="pay_back"),),
)
ENDED = RunEnded(state=RunState.COMPLETED)


def decided(kind: ActionKind, target: str, lane: Lane = Lane.AUTOMATIC, *, step: int = 1) -> DecisionMade:
    decision = Decision(lane=lane, policies=("publisher/x",), reason="So it is.", policy_version="p", facts={})
    return DecisionMade(step=step, kind=kind, target=target, decision=decision)


MODEL = decided(ActionKind.CALL_MODEL, "chat")
TOOL = decided(ActionKind.CALL_TOOL, "pay_back")
PAID = ToolFinished(
    step=1, call=0, tool="pay_back", effect=Effect.WRITE, outcome="ok", idempotency_key="k", duration_ms=100
)
EMBED = decided(ActionKind.CALL_MODEL, "embed", step=0)
SEARCH = decided(ActionKind.RETRIEVE, "knowledge", step=0)
FOUND = PassagesRetrieved(step=0, passages=(), content=REF, usage=Usage(input_tokens=4), duration_ms=80)
REQUESTED = ApprovalRequested(
    approval=APPROVAL,
    step=1,
    call=0,
    tool="pay_back",
    effect=Effect.WRITE,
    arguments=REF,
    policy_version="p",
    expires_at="2026-11-26T14:05:00.000Z",
)
PARKED = RunParked(cause="approval", until="2026-11-26T14:05:00.000Z")

TO_MODEL: list[tuple[int, Body]] = [(0, OPENED), (10, MODEL), (900, ANSWERED)]


def run(*told: tuple[int, Body]) -> Tale:
    """Return a run whose events come so many milliseconds after the one before."""
    tale = Tale()
    for gap, body in told:
        tale.at = tale.at + timedelta(milliseconds=gap) if tale.events else START
        at = tale.at
        tale.tell(body)
        tale.at = at
    return tale


def line(tale: Tale, *, later: int = 0) -> Timeline:
    """Return the timeline as it is so many milliseconds after the last event."""
    return timeline_of(tale.events, now=tale.at + timedelta(milliseconds=later), currency="EUR")


def spans(timeline: Timeline) -> list[tuple[str, str, int, str, list[int]]]:
    return [(s.kind.value, s.target, s.duration_ms, s.outcome, s.events) for s in timeline.spans]


def test_a_turn_shows_where_its_time_tokens_and_money_went() -> None:
    tale = run((0, OPENED), (20, EMBED), (0, SEARCH), (95, FOUND), (5, MODEL), (930, ANSWERED), (8, TOOL), (103, PAID))
    timeline = line(tale.tell(ENDED))
    assert spans(timeline) == [
        ("decision", "embed", 20, "allowed", [2]),
        ("decision", "knowledge", 0, "allowed", [3]),
        ("other", "", 15, "done", [4]),
        ("retrieval", "knowledge", 80, "done", [2, 3, 4]),
        ("decision", "chat", 5, "allowed", [5]),
        ("other", "", 30, "done", [6]),
        ("model_call", "big", 900, "done", [5, 6]),
        ("decision", "pay_back", 8, "allowed", [7]),
        ("other", "", 3, "done", [8]),
        ("tool_call", "pay_back", 100, "done", [7, 8]),
    ]
    model = timeline.spans[6]
    assert (model.usage, model.first_token_ms, model.offset_ms) == (ANSWERED.usage, 200, 150)
    assert (model.lane, model.policies, model.reason) == (Lane.AUTOMATIC, ["publisher/x"], "So it is.")
    assert timeline.spans[9].effect is Effect.WRITE
    assert (timeline.total_ms, timeline.active_ms, timeline.waiting_ms) == (1161, 1161, 0)
    assert timeline.by_kind[SpanKind.OTHER] == 48
    assert timeline.usage == Usage(input_tokens=14, output_tokens=5, cost_micros=7, model_calls=1, tool_calls=1)
    assert timeline.currency == "EUR"
    assert timeline.ended_at == tale.events[-1].event.at


def test_a_model_call_is_cut_where_it_was_decided_whether_its_words_may_be_shown() -> None:
    shows = decided(ActionKind.SHOW, "chat")
    timeline = line(run((0, OPENED), (10, MODEL), (400, shows), (500, ANSWERED), (0, ENDED)))
    assert spans(timeline)[1:4] == [
        ("model_call", "chat", 400, "done", [2]),
        ("decision", "chat", 0, "allowed", [3]),
        ("model_call", "big", 500, "done", [2, 4]),
    ]
    assert timeline.by_kind[SpanKind.MODEL] == 900


def test_waiting_for_a_person_is_a_span_of_its_own_and_no_work() -> None:
    wants = decided(ActionKind.CALL_TOOL, "pay_back", Lane.APPROVAL)
    verdict = ApprovalResolved(approval=APPROVAL, step=1, call=0, verdict="denied")
    timeline = line(
        run(
            (0, OPENED),
            (10, MODEL),
            (900, ANSWERED),
            (5, wants),
            (0, REQUESTED),
            (0, PARKED),
            (86_400_000, verdict),
            (0, RunResumed(cause="approval")),
            (15, AnswerGiven(message=REF)),
            (0, ENDED),
        )
    )
    assert spans(timeline)[2:] == [
        ("decision", "pay_back", 5, "asked", [4]),
        ("waiting", "pay_back", 86_400_000, "denied", [5, 6, 7, 8]),
        ("other", "", 15, "done", [9]),
    ]
    assert (timeline.waiting_ms, timeline.active_ms) == (86_400_000, 930)


def test_a_parked_run_waits_until_now() -> None:
    timeline = line(parked(asked()), later=0)
    assert timeline.ended_at is None
    last = timeline.spans[-1]
    assert (last.kind, last.end, last.outcome, last.target) == (SpanKind.WAITING, None, "open", "pay_back")
    assert line(parked(asked()), later=5000).waiting_ms == timeline.waiting_ms + 5000


def test_a_run_that_was_cancelled_while_it_waited_did_nothing_meanwhile() -> None:
    timeline = line(run(*TO_MODEL, (0, REQUESTED), (0, PARKED), (700, CancelRequested()), (0, ENDED)))
    assert spans(timeline)[-1] == ("waiting", "pay_back", 700, "superseded", [4, 5, 6, 7])
    assert (timeline.waiting_ms, timeline.active_ms) == (700, 910)


def test_a_call_that_goes_on_is_open_and_lasts_until_now() -> None:
    timeline = line(run((0, OPENED), (10, MODEL)), later=250)
    assert spans(timeline)[-1] == ("model_call", "chat", 250, "open", [2])
    assert timeline.spans[-1].end is None
    assert (timeline.state, timeline.ended_at, timeline.total_ms) == (RunState.RUNNING, None, 260)
    timeline = line(run((0, OPENED)), later=30)
    assert spans(timeline) == [("other", "", 30, "open", [])]


def test_a_clock_that_went_back_breaks_nothing() -> None:
    timeline = line(run((0, OPENED), (100, MODEL), (-60, ANSWERED), (10, ENDED)), later=-500)
    assert timeline.total_ms == 100
    assert [span.duration_ms for span in timeline.spans] == [100, 0]


def test_nobody_at_work_until_a_restart_is_neither_work_nor_waiting() -> None:
    restart = RunResumed(cause="restart")
    cut = ModelFinished(
        step=1, outcome="interrupted", logical="chat", usage=Usage(cost_micros=9, model_calls=1), error="run.restarted"
    )
    timeline = line(run((0, OPENED), (10, MODEL), (60_000, restart), (0, cut), (4, MODEL), (905, ANSWERED), (2, ENDED)))
    assert spans(timeline) == [
        ("decision", "chat", 10, "allowed", [2]),
        ("restart", "", 60_000, "done", [3]),
        ("model_call", "chat", 0, "interrupted", [2, 4]),
        ("decision", "chat", 4, "allowed", [5]),
        ("other", "", 5, "done", [6]),
        ("model_call", "big", 900, "done", [5, 6]),
        ("other", "", 2, "done", [7]),
    ]
    assert (timeline.restart_ms, timeline.active_ms, timeline.waiting_ms) == (60_000, 921, 0)
    assert timeline.spans[2].error == "run.restarted"
    assert timeline.usage.cost_micros == 16


@pytest.mark.parametrize("outcome", ["interrupted", "failed"])
def test_a_model_call_without_an_answer_took_all_the_time_since_it_was_allowed(outcome: str) -> None:
    cut = ANSWERED.model_copy(update={"outcome": outcome, "duration_ms": 0, "proposals": (), "target": ""})
    timeline = line(run((0, OPENED), (10, MODEL), (400, cut), (0, ENDED)))
    assert spans(timeline)[-1] == ("model_call", "chat", 400, outcome, [2, 3])


def test_an_effect_of_which_nobody_can_say_whether_it_happened_says_so() -> None:
    unknown = PAID.model_copy(update={"outcome": "unknown", "duration_ms": 0, "error": "run.restarted"})
    timeline = line(
        run(
            (0, OPENED),
            (10, MODEL),
            (900, ANSWERED),
            (5, TOOL),
            (3000, RunResumed(cause="restart")),
            (0, unknown),
            (0, RunEnded(state=RunState.OUTCOME_UNKNOWN)),
        )
    )
    assert spans(timeline)[-2:] == [
        ("restart", "", 3000, "done", [5]),
        ("tool_call", "pay_back", 0, "unknown", [4, 6]),
    ]


def test_an_action_that_is_decided_again_after_a_restart_has_one_call() -> None:
    timeline = line(run(*TO_MODEL, (5, TOOL), (50, RunResumed(cause="restart")), (5, TOOL)), later=70)
    assert spans(timeline)[-1] == ("tool_call", "pay_back", 70, "open", [6])


def test_what_the_rules_refuse_is_a_decision_without_a_call() -> None:
    never = decided(ActionKind.CALL_MODEL, "chat", Lane.NEVER)
    timeline = line(run((0, OPENED), (10, never), (0, RunEnded(state=RunState.REFUSED))))
    assert spans(timeline) == [("decision", "chat", 10, "refused", [2])]
    assert timeline.spans[0].lane is Lane.NEVER


def test_taking_in_a_document_and_a_search_are_waterfalls_too() -> None:
    ingest = decided(ActionKind.INGEST, "inbox", step=0)
    done = PassagesIndexed(document=DocumentId("doc_1"), done=2, total=2, usage=Usage(input_tokens=8, model_calls=1))
    opened = OPENED.model_copy(update={"kind": RunKind.INGESTION, "agent": ""})
    timeline = line(run((0, opened), (10, EMBED), (0, ingest), (70, done), (0, ENDED)))
    assert spans(timeline)[-1] == ("indexing", "inbox", 70, "done", [2, 3, 4])
    opened = OPENED.model_copy(update={"kind": RunKind.SEARCH, "agent": ""})
    timeline = line(run((0, opened), (10, EMBED), (0, SEARCH), (70, FOUND), (0, ENDED)))
    assert spans(timeline)[-1] == ("retrieval", "knowledge", 70, "done", [2, 3, 4])


def test_a_log_of_a_day_has_no_waterfall() -> None:
    opened = OPENED.model_copy(update={"kind": RunKind.ACCESS, "agent": ""})
    refused = AccessRefused(code="access.role", operation="GET /v1/runs")
    timeline = line(run((0, opened), (5000, refused)), later=9)
    assert (timeline.spans, timeline.total_ms, timeline.state) == ([], 0, RunState.COMPLETED)


GAPS = st.integers(-50, 5000)
APPROVED_OR_NOT = [
    ApprovalResolved(approval=APPROVAL, step=1, call=0, verdict="approved"),
    ApprovalResolved(approval=APPROVAL, step=1, call=0, verdict="expired"),
]


@st.composite
def histories(draw: st.DrawFn) -> Tale:
    """A run as the loop writes them, cut off anywhere."""
    told: list[Body] = [OPENED]
    if draw(st.booleans()):
        told += [EMBED, SEARCH, FOUND]
    for step in range(1, draw(st.integers(1, 4))):
        told.append(MODEL.model_copy(update={"step": step}))
        if draw(st.booleans()):
            told += [
                RunResumed(cause="restart"),
                ANSWERED.model_copy(update={"step": step, "outcome": "interrupted", "proposals": ()}),
                MODEL.model_copy(update={"step": step}),
            ]
        told.append(ANSWERED.model_copy(update={"step": step, "duration_ms": draw(st.integers(0, 3000))}))
        about = {"step": step}
        if draw(st.booleans()):
            verdict = draw(st.sampled_from(APPROVED_OR_NOT))
            told += [decided(ActionKind.CALL_TOOL, "pay_back", Lane.APPROVAL, step=step)]
            told += [REQUESTED.model_copy(update=about), PARKED]
            told += [verdict.model_copy(update=about)]
            told += [RunResumed(cause="approval")]
        told += [TOOL.model_copy(update=about), PAID.model_copy(update=about)]
    told.append(ENDED)
    return run(*((draw(GAPS), body) for body in told[: draw(st.integers(1, len(told)))]))


@given(tale=histories(), later=st.integers(-100, 10_000))
def test_the_spans_of_any_run_lie_in_it_one_after_another_and_add_up_to_it(tale: Tale, later: int) -> None:
    timeline = line(tale, later=later)
    assert [a.offset_ms + a.duration_ms for a in timeline.spans[:-1]] == [b.offset_ms for b in timeline.spans[1:]]
    assert all(a.start <= b.start for a, b in pairwise(timeline.spans))
    assert all(span.duration_ms >= 0 for span in timeline.spans)
    assert sum(span.duration_ms for span in timeline.spans) == timeline.total_ms == sum(timeline.by_kind.values())
    assert timeline.active_ms + timeline.waiting_ms + timeline.restart_ms == timeline.total_ms
    if timeline.spans:
        assert (timeline.spans[0].offset_ms, timeline.spans[0].start) == (0, timeline.opened_at)
    if timeline.ended_at:
        assert timeline.ended_at == max(stored.event.at for stored in tale.events)
        assert all(span.end and span.outcome != "open" for span in timeline.spans)
    else:
        assert [span.end is None for span in timeline.spans] == [False] * (len(timeline.spans) - 1) + [True]
    used = Usage()
    for span in timeline.spans:
        used = used.plus(span.usage)
    assert used == timeline.usage == fold(tale.events).usage


def test_the_samples_of_other_tests_are_waterfalls() -> None:
    for tale in (answered(asked()), answered(resolved(parked(asked()))), proposed(asked(), Lane.NEVER, "No.")):
        timeline = line(tale)
        assert sum(span.duration_ms for span in timeline.spans) == timeline.total_ms > 0
        assert {seq for span in timeline.spans for seq in span.events} <= {s.event.seq for s in tale.events}
