"""Who may read a run, and which run a request is about."""

import pytest
from interaction_samples import ANNA, BEN, Tale, answered, asked, member, parked, resolved

from core import Role, TenantContext
from core.bodies import RunEnded
from core.errors import BadRequest, Forbidden, RateLimited
from core.parts import RunState
from data import Page
from interaction import PlanRates, Rate, RateLimits, may_read_run
from interaction.paging import chosen_page, newest_first

CARL = member("carl", Role.APPROVER)


def test_the_requester_reads_their_run_and_a_colleague_does_not() -> None:
    events = answered(asked()).events
    assert may_read_run(ANNA, events)
    assert not may_read_run(member("dora", Role.USER), events)


@pytest.mark.parametrize(("role", "may"), [(Role.OWNER, True), (Role.ADMIN, True), (Role.AUDITOR, True)])
def test_who_oversees_the_tenant_reads_every_run(role: Role, may: bool) -> None:
    assert may_read_run(member("eve", role), answered(asked()).events) is may


@pytest.mark.parametrize(
    ("tale", "reader", "may"),
    [
        (answered(asked()), BEN, False),
        (parked(asked()), BEN, True),
        (parked(asked()), member("dora", Role.USER), False),
        (answered(resolved(parked(asked()), BEN)), BEN, True),
        (answered(resolved(parked(asked()), BEN)), CARL, False),
        (parked(asked()).tell(RunEnded(state=RunState.CANCELLED)), BEN, False),
    ],
    ids=["nothing to decide", "waiting", "no approver", "decided it", "a colleague decided it", "never decided"],
)
def test_an_approver_reads_a_run_while_they_can_decide_in_it_and_once_they_have(
    tale: Tale, reader: TenantContext, may: bool
) -> None:
    assert may_read_run(reader, tale.events) is may


def test_who_asks_too_fast_is_told_when_to_come_back_and_takes_nothing_from_colleagues() -> None:
    limits = RateLimits({"team": PlanRates(Rate(1, 2), Rate(1, 3))}, monotonic=lambda: 0.0)
    for _ in range(2):
        limits.take(ANNA)
    with pytest.raises(RateLimited) as told:
        limits.take(ANNA)
    assert told.value.retry_after == 1
    limits.take(BEN)
    with pytest.raises(RateLimited, match="organisation"):
        limits.take(BEN)


def test_a_plan_that_nobody_configured_is_refused() -> None:
    with pytest.raises(Forbidden) as told:
        RateLimits({}).take(ANNA)
    assert told.value.code == "access.plan"


async def test_a_page_is_filled_from_several_and_goes_on_where_it_stopped() -> None:
    numbers = list(range(20))

    async def read(cursor: str | None, count: int) -> Page[int]:
        start = int(cursor or 0)
        end = start + count
        return Page(numbers[start:end], str(end) if end < len(numbers) else None)

    async def even(number: int) -> int | None:
        return number if number % 2 == 0 else None

    found: list[int] = []
    cursor: str | None = None
    for _ in range(20):
        page = await chosen_page(read, even, cursor=cursor, limit=3)
        assert len(page.items) <= 3
        found += page.items
        cursor = page.cursor
        if cursor is None:
            break
    assert found == numbers[::2]


def test_a_list_from_a_record_pages_from_the_newest_and_knows_its_own_cursors_only() -> None:
    first = newest_first(("a", "b", "c"), cursor=None, limit=2)
    assert (list(first.items), first.cursor) == (["c", "b"], "b")
    last = newest_first(("a", "b", "c"), cursor="b", limit=2)
    assert (list(last.items), last.cursor) == (["a"], None)
    with pytest.raises(BadRequest):
        newest_first(("a",), cursor="z", limit=2)
