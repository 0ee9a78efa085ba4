"""What an organisation used, added up from a real store: in any grouping, only one's own, and quickly."""

import asyncio
import csv
import io
import time
from datetime import UTC, date, datetime, timedelta

import pytest
from store_samples import member, run_id

from core import ActionKind, Decision, Effect, Lane, PrincipalId, TenantContext, canonical
from core.bodies import Body, DecisionMade, ModelFinished, RunEnded, RunOpened, ToolFinished
from core.errors import Unprocessable
from core.parts import RunKind, RunState, Usage, Versions
from data import USAGE, Projector, Row, RunUsage, RunWriter, Store
from interaction.usage import Asked, Dimension, UsageReport, asked_period, usage_csv, usage_report

TODAY = date(2026, 11, 24)


class Fixed:
    def __init__(self, day: date) -> None:
        self.day = day

    def now(self) -> datetime:
        return datetime(self.day.year, self.day.month, self.day.day, 12, tzinfo=UTC)


async def ran(
    store: Store, context: TenantContext, *, agent: str = "support", day: date = TODAY, ended: bool = True
) -> None:
    """A run that called a big model once, and a tool."""
    decision = Decision(lane=Lane.NEVER, policies=(), reason="No.", policy_version="p", facts={})
    bodies: list[Body] = [
        RunOpened(kind=RunKind.TURN, agent=agent, versions=Versions(code="1", models={"embed": "small@1"})),
        ModelFinished(
            step=1,
            outcome="answered",
            logical="chat",
            target="big",
            usage=Usage(input_tokens=10, output_tokens=5, cost_micros=7, model_calls=1),
        ),
        ToolFinished(step=1, call=0, tool="t", effect=Effect.READ, outcome="ok", idempotency_key="k"),
        DecisionMade(step=1, kind=ActionKind.CALL_TOOL, target="t", decision=decision),
        *([RunEnded(state=RunState.COMPLETED)] if ended else []),
    ]
    writer = RunWriter(store.tenant(context), run_id(), actor=context.principal.actor, clock=Fixed(day))
    await writer.append(bodies)


async def report(
    store: Store,
    context: TenantContext,
    *by: Dimension,
    first: date = TODAY,
    last: date = TODAY,
    owner: PrincipalId | None = None,
) -> UsageReport:
    asked = Asked(first, last, by or ("day",), owner)
    return await usage_report(store.tenant(context).views, asked, currency="EUR", lag=0)


async def test_usage_is_added_up_by_whatever_is_asked_for(store: Store) -> None:
    anna = member()
    ben = member(anna.tenant)
    yesterday = TODAY - timedelta(days=1)
    await ran(store, anna)
    await ran(store, anna, day=yesterday, agent="helper", ended=False)
    await ran(store, ben)
    await ran(store, member())
    await Projector(store.platform).catch_up()
    found = await report(store, anna, "day", first=yesterday)
    assert [(line.day, line.runs, line.cost_micros) for line in found.items] == [
        ("2026-11-23", 1, 7),
        ("2026-11-24", 2, 14),
    ]
    assert (found.totals.runs, found.totals.input_tokens, found.totals.output_tokens) == (3, 30, 15)
    assert (found.totals.tool_calls, found.totals.refusals, found.totals.model_calls) == (3, 3, 3)
    assert found.totals.states == {RunState.COMPLETED: 2, RunState.RUNNING: 1}
    by_two = await report(store, anna, "agent", "user", first=yesterday)
    assert {(line.agent, line.user): line.runs for line in by_two.items} == {
        ("helper", anna.principal.id): 1,
        ("support", anna.principal.id): 1,
        ("support", ben.principal.id): 1,
    }
    (line,) = (await report(store, anna, "model", first=yesterday)).items
    assert (line.model, line.runs, line.cost_micros, line.tool_calls) == ("big", 3, 21, None)
    assert [line.state for line in (await report(store, anna, "state", first=yesterday)).items] == [
        RunState.COMPLETED,
        RunState.RUNNING,
    ]


async def test_a_period_holds_its_last_day_and_nothing_else(store: Store) -> None:
    anna = member()
    for days in range(4):
        await ran(store, anna, day=TODAY - timedelta(days=days))
    await Projector(store.platform).catch_up()
    found = await report(store, anna, first=TODAY - timedelta(days=2), last=TODAY - timedelta(days=1))
    assert [line.day for line in found.items] == ["2026-11-22", "2026-11-23"]


async def test_somebody_s_own_usage_is_theirs_alone(store: Store) -> None:
    anna = member()
    ben = member(anna.tenant)
    for context in (anna, ben, ben):
        await ran(store, context)
    await Projector(store.platform).catch_up()
    found = await report(store, anna, "user", owner=anna.principal.id)
    assert [(line.user, line.runs) for line in found.items] == [(anna.principal.id, 1)]
    assert found.totals.runs == 1


async def test_folding_twice_and_by_two_processes_counts_everything_once(store: Store, neighbour: Store) -> None:
    anna = member()
    projectors = [Projector(store.platform), Projector(neighbour.platform)]
    for _ in range(5):
        await asyncio.gather(*(ran(store, anna) for _ in range(6)), *(projector.catch_up() for projector in projectors))
    await asyncio.gather(*(projector.catch_up() for projector in projectors))
    assert (await report(store, anna)).totals.runs == 30
    rows = {row.key: row async for row in store.platform.scan(USAGE.view)}
    await store.platform.reset(USAGE.view)
    await projectors[1].catch_up()
    assert {row.key: row async for row in store.platform.scan(USAGE.view)} == rows
    found = await report(store, anna)
    assert (found.totals.runs, found.totals.cost_micros) == (30, 210)


async def test_the_table_holds_a_line_for_each_group_and_names_its_columns(store: Store) -> None:
    anna = member()
    await ran(store, anna)
    await Projector(store.platform).catch_up()
    (line,) = csv.DictReader(io.StringIO(usage_csv(await report(store, anna, "day", "model"))))
    assert (line["day"], line["model"], line["runs"], line["completed"]) == ("2026-11-24", "big", "1", "1")
    assert (line["cost_micros"], line["currency"], line["tool_calls"]) == ("7", "EUR", "")


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)  # a time; of the other store there is only an emulator
async def test_ten_thousand_runs_are_added_up_in_well_under_a_second(store: Store) -> None:
    context = member()
    rows = [usage_row(context, number) for number in range(10_000)]
    await store.platform.project({USAGE.view: rows}, name="c", checkpoint="")
    started = time.process_time()  # not that of the clock on the wall, which others on the machine share
    found = await report(store, context, "day", "model", first=TODAY - timedelta(days=91))
    took = time.process_time() - started
    assert found.totals.runs == 10_000
    assert found.totals.cost_micros == sum(range(10_000))
    assert took < 1.5, "the bound is generous: a laptop does it in a third of a second"


def usage_row(context: TenantContext, number: int) -> Row:
    run = run_id()
    at = f"{TODAY - timedelta(days=number % 92)}T10:00:00.000Z"
    usage = RunUsage(
        run=run,
        kind=RunKind.TURN,
        agent="support",
        requester=f"usr_{number % 50}",
        state=RunState.COMPLETED,
        opened_at=at,
        last_at=at,
        planned={"chat": "big", "embed": "small"},
        models={"big": Usage(cost_micros=number, model_calls=1), "small": Usage(input_tokens=10)},
    )
    body = canonical(usage.model_dump(mode="json"))
    return Row(context.tenant, run, f"{at} {run}", usage.requester, "completed", run, 5, body)


def test_a_period_is_by_default_the_last_thirty_days_and_at_most_92() -> None:
    assert asked_period(None, None, TODAY) == (date(2026, 10, 26), TODAY)
    assert asked_period(date(2026, 11, 1), None, TODAY) == (date(2026, 11, 1), TODAY)
    assert asked_period(None, date(1, 1, 3), TODAY) == (date(1, 1, 1), date(1, 1, 3))
    assert asked_period(TODAY - timedelta(days=91), TODAY, TODAY)[1] == TODAY
    for first, last in ((TODAY - timedelta(days=92), TODAY), (TODAY, TODAY - timedelta(days=1))):
        with pytest.raises(Unprocessable) as refused:
            asked_period(first, last, TODAY)
        assert refused.value.code == "request.period"
