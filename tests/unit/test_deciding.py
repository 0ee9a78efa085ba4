"""How people decide is counted as it is described: time from being asked, and approvals that came at once."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from clocks import MovableClock
from core import (
    Actor,
    ApprovalId,
    Content,
    ContentClass,
    Effect,
    PrincipalId,
    PrincipalKind,
    RunId,
    TenantId,
    new_id,
    timestamp,
)
from data import ApprovalSummary, Page, Row
from data.run_views import ApprovalState, Given, body_of
from interaction.deciding import FEWEST, DecidingReport, deciding_report

START = datetime(2026, 11, 23, 9, tzinfo=UTC)
ARGUMENTS = Content.new(b"{}", kind=ContentClass.ARGUMENTS, owner=PrincipalId("prn_a")).ref


def asked(
    by: str = "",
    *,
    after: float = 60,
    at: float = 0,
    verdict: ApprovalState = "approved",
    tool: str = "issue_refund",
    given: Sequence[tuple[str, float]] = (),
    escalated: bool = False,
) -> ApprovalSummary:
    """Return what was asked `at` seconds, and decided `after` that by `by`."""
    begun = START + timedelta(seconds=at)
    decided = timestamp(begun + timedelta(seconds=after)) if by else ""
    return ApprovalSummary(
        approval=ApprovalId(new_id("apr")),
        run=RunId(new_id("run")),
        step=1,
        call=0,
        tool=tool,
        effect=Effect.WRITE,
        arguments=ARGUMENTS,
        requester="prn_asker",
        agent="support",
        policy_version="1",
        requested_at=timestamp(begun),
        expires_at=timestamp(begun + timedelta(hours=72)),
        given=tuple(Given(by=who, at=timestamp(begun + timedelta(seconds=late))) for who, late in given),
        verdict=verdict,
        approver=Actor(kind=PrincipalKind.USER, id=by) if by else None,
        decided_at=decided,
        resolved_at=decided,
        escalated=escalated,
    )


class Inbox:
    """A view with these lines."""

    def __init__(self, lines: Sequence[ApprovalSummary]) -> None:
        self._lines = lines

    async def list(self, view: str, **_: object) -> Page[Row]:
        rows = [
            Row(
                tenant=TenantId("ten_a"),
                key=line.approval,
                sort=f"{line.requested_at} {line.approval}",
                owner=line.requester,
                state=line.verdict,
                run=line.run,
                seq=1,
                body=body_of(line),
            )
            for line in self._lines
        ]
        return Page(rows, None)


async def report(*lines: ApprovalSummary) -> DecidingReport:
    async def name(person: str) -> str | None:
        return person.upper()

    return await deciding_report(Inbox(lines), name, MovableClock(START), days=30)  # pyright: ignore[reportArgumentType] - what is asked of a view here


async def test_the_time_is_that_from_being_asked_to_the_decision() -> None:
    found = await report(asked("a", after=60), asked("a", at=1000, after=100), asked("a", at=2000, after=4000))
    (one,) = found.people
    assert (one.name, one.approved, one.median_seconds, one.longest_seconds) == ("A", 3, 100, 4000)


@pytest.mark.parametrize(
    ("lines", "quick"),
    [
        ([asked("a", after=9)], 1),
        ([asked("a", after=10)], 0),
        ([asked("a", after=9, verdict="denied")], 0),
        ([asked("a", after=100), asked("a", after=105)], 1),
        ([asked("a", after=100), asked("b", after=105)], 0),
        ([asked("a", after=100, verdict="denied"), asked("a", after=105)], 1),
    ],
    ids=["at once", "after a while", "a no", "one after the other", "of two people", "after a no"],
)
async def test_quick_is_what_comes_at_once_after_being_asked_or_after_ones_decision_before(
    lines: list[ApprovalSummary], quick: int
) -> None:
    found = await report(*lines)
    assert sum(one.quick for one in found.people) == quick
    assert sum(one.quick for one in found.tools) == quick


async def test_of_several_who_approve_each_is_counted_and_the_request_once() -> None:
    found = await report(asked("b", after=200, given=[("a", 100)]))
    assert {one.person: (one.approved, one.median_seconds) for one in found.people} == {"a": (1, 100), "b": (1, 200)}
    (tool,) = found.tools
    assert (tool.asked, tool.approved) == (1, 2)


async def test_what_nobody_decided_is_told_of_the_tool_and_of_nobody() -> None:
    found = await report(asked(verdict="expired", escalated=True), asked(verdict="pending"))
    assert found.people == []
    (tool,) = found.tools
    assert (tool.asked, tool.expired, tool.escalated, tool.median_seconds) == (2, 1, 1, None)


@pytest.mark.parametrize(
    ("count", "quickly", "no", "told"),
    [(FEWEST, FEWEST, False, True), (FEWEST - 1, FEWEST - 1, False, False), (FEWEST, 5, False, False),
     (FEWEST, FEWEST, True, False)],
    ids=["always and quickly", "too few to say", "with time", "also a no"],
)  # fmt: skip
async def test_a_habit_is_told_only_of_who_always_says_yes_mostly_at_once_and_often(
    count: int, quickly: int, no: bool, told: bool
) -> None:
    lines = [asked("a", at=1000.0 * n, after=5 if n < quickly else 500) for n in range(count)]
    lines += [asked("a", at=10**6, verdict="denied")] if no else []
    (one,) = (await report(*lines)).people
    assert one.always_quickly is told
