"""What is billed by use: figures, the reconciliation with the marketplace, and the runs behind each unit."""

import csv
import io
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, ConfigDict, StringConstraints

from control.callers import publisher, publisher_reader
from control.marketplace import DayFigures, MeterFigures, figures, reconciliation, runs_of
from control.routes.marketplace import Sold
from core import ID_PATTERN, RunId, TenantContext, TenantId
from core.errors import Unprocessable
from web import problem_responses

router = APIRouter(prefix="/v1/metering", tags=["metering"])

LONGEST_DAYS = 92

Publisher = Annotated[TenantContext, Depends(publisher)]
Reader = Annotated[TenantContext, Depends(publisher_reader)]
_Hour = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:00:00\.000Z$")]
_Resource = Annotated[str, StringConstraints(pattern=r"^[0-9a-z-]{1,64}$")]
_Unit = Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,50}$")]
_Tenant = Annotated[TenantId, StringConstraints(pattern=rf"^{ID_PATTERN}$")]


class Figures(BaseModel):
    items: list[MeterFigures]


class Reconciliation(BaseModel):
    items: list[DayFigures]


class Look(BaseModel):
    """`now_too`: bill what was used in this hour at once, rather than when it is over."""

    model_config = ConfigDict(extra="forbid", strict=True)

    now_too: bool = False


class Looked(BaseModel):
    """How many usage events the marketplace has taken."""

    taken: int


class BilledRun(BaseModel):
    run: RunId
    agent: str
    ended_at: str


class BilledRuns(BaseModel):
    """The runs that a usage event is for, one for each unit."""

    items: list[BilledRun]


class _Period:
    """The days that are asked for, both included."""

    def __init__(self, first: date, last: date) -> None:
        """Dependency.

        Raises:
            Unprocessable: it ends before it begins, or is too long (`request.period`).
        """
        if not timedelta() <= last - first < timedelta(days=LONGEST_DAYS) or last == date.max:
            raise Unprocessable(
                f"Ask for a period of 1 to {LONGEST_DAYS} days that begins with `first`.", code="request.period"
            )
        self.first, self.last = first, last


Period = Annotated[_Period, Depends()]


@router.get("", responses=problem_responses(401, 403, 404, 422, 503))
async def read_metering(
    _: Reader,
    period: Period,
    sold: Sold,
    # mandate: allow[tenant-from-request] - the publisher reads what it bills, of whom it likes
    tenant: Annotated[_Tenant | None, Query()] = None,
) -> Figures:
    """Return used, included, emitted and accepted units by tenant, unit, term and hour. Publisher only."""
    since, until = _midnight(period.first), _midnight(period.last) + timedelta(days=1)
    return Figures(items=await figures(sold.metering, since, until, tenant=tenant))


@router.get(
    "/reconciliation",
    response_model=Reconciliation,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}
    | problem_responses(401, 403, 404, 422, 503),
)
async def read_reconciliation(
    _: Reader,
    period: Period,
    sold: Sold,
    # mandate: allow[tenant-from-request] - the publisher reads what it bills, of whom it likes
    tenant: Annotated[_Tenant | None, Query()] = None,
    form: Annotated[Literal["json", "csv"], Query()] = "json",
) -> Response:
    """Return the ledger, what was accepted and the marketplace's own report, by day. Publisher only."""
    items = await reconciliation(sold.metering, period.first, period.last, tenant=tenant)
    if form == "csv":
        return Response(_csv(items), media_type="text/csv")
    return Response(Reconciliation(items=items).model_dump_json(), media_type="application/json")


@router.get("/runs", responses=problem_responses(401, 403, 404, 422, 503))
async def read_billed_runs(
    _: Reader,
    sold: Sold,
    resource: Annotated[_Resource, Query()],
    unit: Annotated[_Unit, Query()],
    hour: Annotated[_Hour, Query()],
) -> BilledRuns:
    """Return the runs that one usage event is for: each unit is one of them. Publisher only."""
    runs = await runs_of(sold.metering, resource, unit, hour)
    return BilledRuns(items=[BilledRun(run=run.run, agent=run.agent, ended_at=run.ended_at) for run in runs])


@router.post("/look", responses=problem_responses(401, 403, 404, 413, 415, 422, 503))
async def look(_: Publisher, asked: Look, sold: Sold) -> Looked:
    """Bring all accounts up to date and send what they owe, as happens by itself. Publisher only."""
    return Looked(taken=await sold.metering.look(now_too=asked.now_too))


def _csv(items: list[DayFigures]) -> str:
    written = io.StringIO()
    writer = csv.DictWriter(written, list(DayFigures.model_fields))
    writer.writeheader()
    writer.writerows(item.model_dump() for item in items)
    return written.getvalue()


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
