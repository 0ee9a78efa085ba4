"""What each run used: folded from its events, each once, however often and by however many it is done."""

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from interaction_samples import APPROVAL, Tale
from test_interaction_timeline import (
    ANSWERED,
    EMBED,
    ENDED,
    FOUND,
    MODEL,
    OPENED,
    PAID,
    PARKED,
    REQUESTED,
    SEARCH,
    TOOL,
    decided,
    histories,
    line,
    run,
)

from core import ActionKind, Lane
from core.bodies import ApprovalResolved, Body, RunEnded, RunResumed
from core.events import Stored
from core.parts import RunKind, RunState, Usage
from data import USAGE, Row, RunUsage
from data.projections import Key, events_by_key, fold_page

PINNED = OPENED.model_copy(
    update={"versions": OPENED.versions.model_copy(update={"models": {"chat": "big@1", "embed": "small@2"}})}
)
APPROVED = ApprovalResolved(approval=APPROVAL, step=1, call=0, verdict="approved")
STORY: list[tuple[int, Body]] = [
    (0, PINNED),
    (10, EMBED),
    (0, SEARCH),
    (90, FOUND),
    (5, MODEL),
    (900, ANSWERED),
    (5, decided(ActionKind.CALL_TOOL, "pay_back", Lane.APPROVAL)),
    (0, REQUESTED),
    (0, PARKED),
    (86_400_000, APPROVED),
    (0, RunResumed(cause="approval")),
    (5, TOOL),
    (120, PAID),
    (5, decided(ActionKind.CALL_MODEL, "chat", Lane.NEVER, step=2)),
    (0, RunEnded(state=RunState.REFUSED)),
]


def folded(*pages: Sequence[Stored]) -> dict[Key, Row]:
    rows: dict[Key, Row] = {}
    for page in pages:
        fold_page(USAGE, rows, events_by_key(USAGE, page, {}), {})
    return rows


def used(*told: tuple[int, Body]) -> RunUsage:
    (row,) = folded(run(*told).events).values()
    return RunUsage.model_validate_json(row.body)


def test_a_run_says_what_it_used_by_the_model_that_was_called() -> None:
    usage = used(*STORY)
    assert usage.models == {"small": FOUND.usage, "big": ANSWERED.usage}
    assert (usage.tool_calls, usage.refusals) == (1, 1)
    assert (usage.approvals_asked, usage.approvals_approved, usage.approvals_denied) == (1, 1, 0)
    assert (usage.state, usage.day, usage.agent) == (RunState.REFUSED, "2026-11-23", "helper")
    assert usage.active_ms == 1140


def test_a_call_without_an_answer_counts_for_the_model_that_was_planned() -> None:
    cut = ANSWERED.model_copy(update={"outcome": "interrupted", "target": "", "proposals": ()})
    assert used((0, PINNED), (5, MODEL), (9, cut)).models == {"big": ANSWERED.usage}
    assert used((0, OPENED), (5, MODEL), (9, cut)).models == {"chat": ANSWERED.usage}


def test_a_denied_approval_is_counted_as_denied() -> None:
    denied = APPROVED.model_copy(update={"verdict": "denied"})
    usage = used(*STORY[:9], (5, denied), (0, RunResumed(cause="approval")), (0, ENDED))
    assert (usage.approvals_asked, usage.approvals_approved, usage.approvals_denied) == (1, 0, 1)


def test_logs_of_a_day_use_nothing() -> None:
    for kind in (RunKind.ACCESS, RunKind.ADMIN):
        assert folded(run((0, OPENED.model_copy(update={"kind": kind})), (5, ENDED)).events) == {}
    assert folded(run((0, MODEL), (5, ANSWERED)).events) == {}


@given(cuts=st.sets(st.integers(1, len(STORY) - 1)), back=st.integers(0, 20))
def test_nothing_is_counted_twice_however_the_feed_is_cut_and_repeated(cuts: set[int], back: int) -> None:
    history = run(*STORY).events
    edges = [0, *sorted(cuts), len(history)]
    assert folded(*(history[max(0, start - back) : end] for start, end in pairwise(edges))) == folded(history)


@given(tale=histories())
def test_usage_and_waterfall_tell_the_same_of_any_run(tale: Tale) -> None:
    (row,) = folded(tale.events).values()
    usage, timeline = RunUsage.model_validate_json(row.body), line(tale)
    total = Usage(tool_calls=usage.tool_calls)
    for of_model in usage.models.values():
        total = total.plus(of_model)
    assert total == timeline.usage
    assert usage.state is timeline.state
    if timeline.ended_at:
        assert usage.active_ms == timeline.active_ms
