"""`/usage`: runs, tokens and cost over time, and by agent, user, model or state."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from fastapi.responses import HTMLResponse
from pydantic import BeforeValidator, Field

from core import TenantContext
from interaction.answers import problems
from interaction.authority import Me, oversees
from interaction.console.charts import TimeChart, time_chart
from interaction.console.navigation import Entry
from interaction.console.rendering import PageView
from interaction.console.texts import t
from interaction.dependencies import Deps, InteractionDependencies
from interaction.parameters import Day, digits
from interaction.people import names_in
from interaction.routes.runs import lag
from interaction.usage import LONGEST_DAYS, Asked, Dimension, UsageLine, UsageReport, asked_period, usage_report

router = APIRouter(prefix="/usage", tags=["console"], default_response_class=HTMLResponse)

ENTRY = Entry(name="usage", path="/usage", icon="chart", position=50)

PERIODS = (1, 7, 30, 90)
_MOST_BARS = 8


@dataclass(frozen=True, slots=True)
class Group:
    """A line of the report under the name that people know; `share` of the largest, by measure, from 0 to 100."""

    name: str
    line: UsageLine
    share: Mapping[str, int]


@router.get("", responses=problems(422))
async def usage_page(
    me: Me,
    deps: Deps,
    page: PageView,
    *,
    first: Annotated[Day | None, Query(alias="from", description="First day (UTC).")] = None,
    last: Annotated[Day | None, Query(alias="to", description="Last day (UTC), included; else today.")] = None,
    days: Annotated[
        Annotated[int, Field(ge=1, le=LONGEST_DAYS), BeforeValidator(digits)] | None,
        Query(description="Instead: so many days until today."),
    ] = None,
    by: Dimension = "day",
) -> Response:
    """Show what was used. Any member, their own; owners, admins and auditors, everybody's."""
    today = deps.clock.now().date()
    if days:
        first, last = today - timedelta(days=days - 1), today
    begin, end = asked_period(first, last, today)
    behind = await lag(deps)

    async def report(*dimensions: Dimension) -> UsageReport:
        owner = None if oversees(me) else me.principal.id
        asked = Asked(begin, end, dimensions, owner)
        return await usage_report(deps.store.tenant(me).views, asked, currency=deps.currency, lag=behind)

    daily = await report("day")
    grouped = daily if by == "day" else await report(by)
    return await page.show(
        "usage.html",
        report=grouped,
        daily=daily,
        groups=await _groups(me, deps, by, grouped.items),
        most=_MOST_BARS,
        shapes=_charts(daily),
        by=by,
        dimensions=_dimensions(me),
        periods=PERIODS,
        chosen=(end - begin).days + 1 if end == today else 0,
        everybody=oversees(me),
    )


def _dimensions(me: TenantContext) -> list[Dimension]:
    """Return what somebody can group by: one's own usage has one user only."""
    return ["day", "agent", "user", "model", "state"] if oversees(me) else ["day", "agent", "model", "state"]


def _charts(daily: UsageReport) -> dict[str, TimeChart | None]:
    """Return a chart of each measure, with a place for the days without anything too."""
    days = [daily.first + timedelta(days=number) for number in range((daily.last - daily.first).days + 1)]
    lines = {date.fromisoformat(line.day): line for line in daily.items if line.day}

    def values(measure: Literal["runs", "input_tokens", "output_tokens", "cost_micros"]) -> list[int]:
        return [int(getattr(lines[day], measure)) if day in lines else 0 for day in days]

    return {
        "runs": time_chart("columns", days, [values("runs")]),
        "tokens": time_chart("columns", days, [values("input_tokens"), values("output_tokens")]),
        "cost": time_chart("line", days, [values("cost_micros")]),
    }


async def _groups(
    me: TenantContext, deps: InteractionDependencies, by: Dimension, lines: Sequence[UsageLine]
) -> list[Group]:
    """Return the groups, the largest first; days in their order."""
    measures = [_measures(line) for line in lines]
    largest = {name: max((found[name] for found in measures), default=0) for name in ("runs", "tokens", "cost")}
    names = names_in(deps.store.tenant(me))
    groups = [
        Group(
            name=line.day or (await names(line.user) if line.user else None) or _name(deps, by, line),
            line=line,
            share={name: round(100 * found[name] / (largest[name] or 1)) for name in largest},
        )
        for line, found in zip(lines, measures, strict=True)
    ]
    return groups if by == "day" else sorted(groups, key=lambda group: -group.line.runs)


def _measures(line: UsageLine) -> dict[str, int]:
    return {"runs": line.runs, "tokens": line.input_tokens + line.output_tokens, "cost": line.cost_micros}


def _name(deps: InteractionDependencies, by: Dimension, line: UsageLine) -> str:
    match by:
        case "agent":
            agent = deps.agents.get(line.agent or "")
            return agent.title if agent else line.agent or t("usage.agent.none")
        case "model":
            return line.model or t("usage.model.none")
        case "state":
            return t(f"badge.state.{line.state}")
        case _:
            return line.user or ""
