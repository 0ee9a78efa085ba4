"""Usage: what was used, by day, agent, user, model or state."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import StringConstraints

from interaction.answers import answer, described, download
from interaction.authority import Me, oversees
from interaction.dependencies import Deps
from interaction.parameters import Day
from interaction.relay import wants
from interaction.routes.runs import lag
from interaction.usage import DIMENSIONS, Asked, Dimension, UsageReport, asked_period, usage_csv, usage_report

router = APIRouter(prefix="/v1/usage", tags=["usage"])

CSV = "text/csv"

_ONE = "|".join(DIMENSIONS)
_BY = Query(
    description="One or two of `day`, `agent`, `user`, `model` and `state`, such as `day,agent`.",
    examples=["day,agent"],
)
By = Annotated[Annotated[str, StringConstraints(pattern=rf"^({_ONE})(,({_ONE}))?$")], _BY]

_ANSWERS = described(UsageReport, 406, 422, headers={"Content-Disposition": "Of CSV: a name for the file."})
_ANSWERS[200]["content"] = {CSV: {"schema": {"type": "string"}}}


@router.get("", responses=_ANSWERS)
async def read_usage(
    me: Me,
    deps: Deps,
    *,
    request: Request,
    first: Annotated[Day | None, Query(alias="from", description="First day (UTC); else 30 days until `to`.")] = None,
    last: Annotated[Day | None, Query(alias="to", description="Last day (UTC), included; else today.")] = None,
    by: By = "day",
    form: Annotated[Literal["json", "csv"] | None, Query(alias="format", description="Else as `Accept` says.")] = None,
) -> Response:
    """Read what was used in at most 92 days. Any member, their own; owners, admins and auditors, everybody's.

    A run counts on the day on which it was opened. Costs are in millionths of `currency`. As CSV, one line for each
    group.
    """
    as_csv = form == "csv" if form else wants(CSV, request.headers)
    begin, end = asked_period(first, last, deps.clock.now().date())
    groups: list[Dimension] = [DIMENSIONS[name] for name in by.split(",")]
    owner = None if oversees(me) else me.principal.id
    report = await usage_report(
        deps.store.tenant(me).views,
        Asked(begin, end, tuple(dict.fromkeys(groups)), owner),
        currency=deps.currency,
        lag=await lag(deps),
    )
    if as_csv:
        return download(usage_csv(report), CSV, f"usage-{begin}-{end}.csv")
    return answer(report)
