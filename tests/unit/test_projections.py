"""The folds of the two views: what lists show of a run's events."""

from itertools import pairwise

import orjson
from hypothesis import given
from hypothesis import strategies as st

from core import (
    GENESIS,
    Actor,
    ApprovalId,
    ContentClass,
    ContentId,
    ContentRef,
    ConversationId,
    DocumentId,
    Effect,
    FlagId,
    Label,
    PrincipalKind,
    RunId,
    TenantId,
)
from core.bodies import (
    AccessRefused,
    AnswerFlagged,
    AnswerGiven,
    ApprovalRequested,
    ApprovalResolved,
    Body,
    FlagResolved,
    ModelFinished,
    PassagesRetrieved,
    RunEnded,
    RunOpened,
    RunParked,
    RunResumed,
    ToolFinished,
)
from core.events import Event, Stored
from core.parts import Citation, FlagKind, PassageUse, RunKind, RunState, Usage, Versions
from data import (
    APPROVALS,
    FLAGS,
    RUNS,
    USES,
    ApprovalSummary,
    FlagSummary,
    Row,
    RunSummary,
    UseSummary,
)
from data.projections import Key, events_by_key, fold_page

TENANT, RUN = TenantId("ten_a"), RunId("run_a")
REQUESTER = Actor(kind=PrincipalKind.USER, id="usr_requester")
AGENT = Actor(kind=PrincipalKind.AGENT, id="agt_support")
APPROVER = Actor(kind=PrincipalKind.USER, id="usr_approver")
ARGUMENTS = ContentRef(id=ContentId("cnt_1"), commitment="c", kind=ContentClass.ARGUMENTS)
REASON = ContentRef(id=ContentId("cnt_2"), commitment="c", kind=ContentClass.REASON)

OPENED = RunOpened(
    kind=RunKind.TURN,
    agent="support",
    conversation=ConversationId("cnv_1"),
    versions=Versions(code="1"),
    deadline="2026-01-01T00:02:00.000Z",
)
ANSWERED = ModelFinished(
    step=1,
    outcome="answered",
    logical="chat",
    usage=Usage(input_tokens=10, output_tokens=5, cost_micros=7, model_calls=1),
    duration_ms=1,
)
PARKED = RunParked(cause="approval", until="2026-01-04T00:00:00.000Z")
TOOL = ToolFinished(step=1, call=0, tool="issue_refund", effect=Effect.WRITE, outcome="ok", idempotency_key="k")


def requested(approval: str) -> ApprovalRequested:
    return ApprovalRequested(
        approval=ApprovalId(approval),
        step=1,
        call=0,
        tool="issue_refund",
        effect=Effect.WRITE,
        arguments=ARGUMENTS,
        policy_version="p1",
        expires_at="2026-01-04T00:00:00.000Z",
    )


def resolved(approval: str) -> ApprovalResolved:
    return ApprovalResolved(
        approval=ApprovalId(approval), step=1, call=0, verdict="approved", approver=APPROVER, reason=REASON
    )


def feed(*bodies: Body, run: RunId = RUN) -> list[Stored]:
    """Return a feed of one run: opened by the requester, everything else done by the agent, a second apart."""
    return [
        Stored.seal(
            Event(
                tenant=TENANT,
                run=run,
                seq=seq,
                at=f"2026-01-01T00:00:{seq:02}.000Z",
                actor=REQUESTER if seq == 1 else AGENT,
                prev=GENESIS,
                body=body,
            )
        )
        for seq, body in enumerate(bodies, start=1)
    ]


def views(*pages: list[Stored]) -> tuple[dict[Key, Row], dict[Key, Row]]:
    runs: dict[Key, Row] = {}
    approvals: dict[Key, Row] = {}
    for page in pages:
        fold_page(RUNS, runs, events_by_key(RUNS, page, runs), runs)
        fold_page(APPROVALS, approvals, events_by_key(APPROVALS, page, runs), runs)
    return runs, approvals


def run_row(*bodies: Body) -> tuple[Row, RunSummary]:
    row = views(feed(*bodies))[0][TENANT, RUN]
    return row, RunSummary.model_validate_json(row.body)


def approval_row(approval: str, *bodies: Body) -> tuple[Row, ApprovalSummary]:
    row = views(feed(*bodies))[1][TENANT, approval]
    return row, ApprovalSummary.model_validate_json(row.body)


def test_a_run_belongs_to_whoever_opened_it() -> None:
    row, summary = run_row(OPENED, ANSWERED)
    assert (row.owner, row.state, row.run, row.seq) == ("usr_requester", "running", RUN, 2)
    assert row.sort == f"2026-01-01T00:00:01.000Z {RUN}"
    assert summary == RunSummary(
        run=RUN,
        kind=RunKind.TURN,
        agent="support",
        state=RunState.RUNNING,
        requester="usr_requester",
        conversation=ConversationId("cnv_1"),
        opened_at="2026-01-01T00:00:01.000Z",
        updated_at="2026-01-01T00:00:02.000Z",
        usage=ANSWERED.usage,
        steps=1,
        deadline="2026-01-01T00:02:00.000Z",
    )


def test_a_parked_run_says_until_when_and_for_what() -> None:
    row, summary = run_row(OPENED, ANSWERED, requested("apr_1"), PARKED)
    assert row.state == "parked"
    assert (summary.parked_until, summary.approval) == (PARKED.until, "apr_1")
    row, summary = run_row(OPENED, ANSWERED, requested("apr_1"), PARKED, RunResumed(cause="approval"))
    assert (row.state, summary.parked_until) == ("running", "")


def test_an_ended_run_says_how_and_what_it_used() -> None:
    last = RunEnded(state=RunState.LIMIT_REACHED, code="limit.steps", usage=Usage(input_tokens=99))
    row, summary = run_row(OPENED, ANSWERED, TOOL, last)
    assert (row.state, summary.code, summary.ended_at) == ("limit_reached", "limit.steps", "2026-01-01T00:00:04.000Z")
    assert summary.usage == Usage(input_tokens=99)
    _, summary = run_row(OPENED, ANSWERED, TOOL, ANSWERED, RunEnded(state=RunState.COMPLETED))
    assert (summary.usage.input_tokens, summary.usage.model_calls, summary.usage.tool_calls) == (20, 2, 1)


def test_logs_without_an_end_are_nothing_to_carry_on() -> None:
    for kind in (RunKind.ACCESS, RunKind.ADMIN):
        refused = AccessRefused(code="access.role", operation="GET /v1/runs")
        row, summary = run_row(OPENED.model_copy(update={"kind": kind}), refused, refused)
        assert (row.state, summary.state, row.seq) == ("completed", RunState.COMPLETED, 3)


def test_a_log_without_an_opening_is_no_run() -> None:
    runs, approvals = views(feed(ANSWERED, requested("apr_1")))
    assert (runs, approvals) == ({}, {})


def test_an_approval_waits_in_the_name_of_the_requester() -> None:
    row, summary = approval_row("apr_1", OPENED, ANSWERED, requested("apr_1"), PARKED)
    assert (row.owner, row.state, row.run, row.seq) == ("usr_requester", "pending", RUN, 3)
    assert (summary.requester, summary.agent, summary.arguments) == ("usr_requester", "support", ARGUMENTS)
    assert (summary.requested_at, summary.expires_at) == ("2026-01-01T00:00:03.000Z", "2026-01-04T00:00:00.000Z")


def test_a_resolved_approval_says_by_whom_and_why() -> None:
    row, summary = approval_row(
        "apr_1", OPENED, requested("apr_1"), PARKED, resolved("apr_1"), RunEnded(state=RunState.COMPLETED)
    )
    assert row.state == "approved"
    assert (summary.approver, summary.reason) == (APPROVER, REASON)
    assert summary.resolved_at == "2026-01-01T00:00:04.000Z"


def test_an_approval_that_its_run_did_not_wait_for_is_superseded() -> None:
    row, summary = approval_row("apr_1", OPENED, requested("apr_1"), PARKED, RunEnded(state=RunState.CANCELLED))
    assert (row.state, summary.verdict, summary.resolved_at) == (
        "superseded",
        "superseded",
        "2026-01-01T00:00:04.000Z",
    )


def test_each_approval_of_a_run_has_its_own_row() -> None:
    _, approvals = views(
        feed(
            OPENED,
            requested("apr_1"),
            resolved("apr_1"),
            requested("apr_2"),
            PARKED,
            RunEnded(state=RunState.LIMIT_REACHED),
        )
    )
    assert {key: row.state for (_, key), row in approvals.items()} == {"apr_1": "approved", "apr_2": "superseded"}


def test_rows_are_canonical_and_hold_no_text() -> None:
    row, _ = approval_row("apr_1", OPENED, requested("apr_1"))
    assert row.body == orjson.dumps(orjson.loads(row.body), option=orjson.OPT_SORT_KEYS)


def found(*passages: str) -> PassagesRetrieved:
    uses = (
        PassageUse(
            passage=p, document=DocumentId(p.partition(".")[0]), label=Label(), score=1, rank_vector=1, rank_text=1
        )
        for p in passages
    )
    return PassagesRetrieved(step=0, passages=tuple(uses), content=ARGUMENTS, duration_ms=1)


def answered(*passages: str) -> AnswerGiven:
    cited = (Citation(marker=1, passage=p, document=DocumentId(p.partition(".")[0])) for p in passages)
    return AnswerGiven(message=ARGUMENTS, citations=tuple(cited))


USED = feed(
    OPENED, found("doc_a.1", "doc_b.0", "doc_a.2"), ANSWERED, answered("doc_a.2"), RunEnded(state=RunState.COMPLETED)
)


def uses(*pages: list[Stored]) -> dict[Key, Row]:
    runs: dict[Key, Row] = {}
    rows: dict[Key, Row] = {}
    for page in pages:
        fold_page(RUNS, runs, events_by_key(RUNS, page, runs), runs)
        fold_page(USES, rows, events_by_key(USES, page, runs), runs)
    return rows


def test_each_document_says_which_run_was_shown_it_and_cites_it() -> None:
    rows = uses(USED)
    assert set(rows) == {(TENANT, f"doc_a/{RUN}"), (TENANT, f"doc_b/{RUN}")}
    row = rows[TENANT, f"doc_a/{RUN}"]
    assert (row.owner, row.state, row.run) == ("usr_requester", "doc_a", RUN)
    summary = UseSummary.model_validate_json(row.body)
    assert (summary.shown, summary.cited) == (("doc_a.1", "doc_a.2"), ("doc_a.2",))
    assert UseSummary.model_validate_json(rows[TENANT, f"doc_b/{RUN}"].body).cited == ()


@given(cuts=st.sets(st.integers(1, len(USED) - 1)), back=st.integers(0, 5))
def test_uses_are_the_same_however_the_feed_is_cut_and_repeated(cuts: set[int], back: int) -> None:
    edges = [0, *sorted(cuts), len(USED)]
    assert uses(*(USED[max(0, start - back) : end] for start, end in pairwise(edges))) == uses(USED)


HISTORY = feed(
    OPENED,
    ANSWERED,
    requested("apr_1"),
    PARKED,
    RunResumed(cause="approval"),
    resolved("apr_1"),
    TOOL,
    ANSWERED,
    requested("apr_2"),
    PARKED,
    RunEnded(state=RunState.CANCELLED, code="run.cancelled"),
)


@given(cuts=st.sets(st.integers(1, len(HISTORY) - 1)), back=st.integers(0, 5))
def test_the_views_are_the_same_however_the_feed_is_cut_and_repeated(cuts: set[int], back: int) -> None:
    edges = [0, *sorted(cuts), len(HISTORY)]
    pages = [HISTORY[max(0, start - back) : end] for start, end in pairwise(edges)]
    assert views(*pages) == views(HISTORY)


@given(known=st.integers(1, len(HISTORY)))
def test_a_view_that_lags_behind_the_runs_view_catches_up_to_the_same(known: int) -> None:
    """As when the process died between writing one view and the other."""
    runs, _ = views(HISTORY)
    _, approvals = views(HISTORY[:known])
    fold_page(APPROVALS, approvals, events_by_key(APPROVALS, HISTORY, runs), runs)
    assert approvals == views(HISTORY)[1]


def test_a_flag_is_listed_until_it_is_resolved_and_moves_nothing_of_the_run() -> None:
    told = [OPENED, ANSWERED, RunEnded(state=RunState.COMPLETED)]
    flagged = AnswerFlagged(flag=FlagId("flg_1"), kind=FlagKind.WRONG, reason=REASON)
    resolution = FlagResolved(flag=FlagId("flg_1"), reason=REASON)
    pages = feed(*told, flagged, resolution)
    runs: dict[Key, Row] = {}
    flags: dict[Key, Row] = {}
    states: list[str] = []
    for page in (pages[:4], pages[4:]):
        fold_page(RUNS, runs, events_by_key(RUNS, page, runs), runs)
        fold_page(FLAGS, flags, events_by_key(FLAGS, page, runs), runs)
        states.append(flags[TENANT, "flg_1"].state)
    assert states == ["open", "resolved"]
    summary = FlagSummary.model_validate_json(flags[TENANT, "flg_1"].body)
    assert (summary.requester, summary.flagged_by, summary.kind) == (REQUESTER.id, AGENT.id, FlagKind.WRONG)
    run = RunSummary.model_validate_json(runs[TENANT, RUN].body)
    assert (run.state, run.updated_at) == (RunState.COMPLETED, "2026-01-01T00:00:03.000Z")
