"""What was used, what is included, what was sent, what the marketplace took: for people, and for reconciling bills."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, date, datetime, time, timedelta

from pydantic import BaseModel, ConfigDict

from control.marketplace.metering import Metering, units_of
from control.marketplace.metering_records import Emission, EmissionRecord, Fate, MeterRecord, Resource, Term, meter_key
from core import TenantId, parse_timestamp
from core.errors import NotFound
from data import CompletedRun


class _View(BaseModel):
    model_config = ConfigDict(frozen=True)


class TermFigures(_View):
    """A term.

    Attributes:
        until: empty while it goes on.
        over: units beyond those that are included; those are billed.
        accepted: units that the marketplace has taken; `waiting` those it was asked for and has not answered.
        owed: units that it will be asked for.
        lost: units that can never be billed, since the marketplace took them neither in time nor later.
    """

    start: str
    until: str
    included: int
    used: int
    over: int
    accepted: int
    waiting: int
    owed: int
    lost: int


class HourFigures(_View):
    """An hour: what was used in it, and what the event of that hour asked for; `fate` is empty where there is none."""

    hour: str
    used: int
    emitted: int = 0
    accepted: int = 0
    fate: Fate | None = None
    verdict: str = ""
    plan: str = ""


class MeterFigures(_View):
    """All about one resource and unit: `resource` is as it is called in keys, `uri` that of a managed application."""

    resource: str
    uri: str
    tenant: TenantId
    unit: str
    terms: tuple[TermFigures, ...]
    hours: tuple[HourFigures, ...]


class DayFigures(_View):
    """One line of the reconciliation.

    Attributes:
        used: units in the ledger, of runs that ended on that day (UTC).
        emitted: units that events for that day asked for; what was left over earlier is among them.
        accepted: those that the marketplace took, as it told us; `refused` the others that it has answered.
        reported: what its own report says now; None where it was not asked.
        agrees: whether `accepted` and `reported` are the same. The report comes up to a day later.
    """

    resource: str
    tenant: TenantId
    unit: str
    day: str
    used: int
    emitted: int
    accepted: int
    refused: int
    reported: int | None
    agrees: bool | None


async def figures(
    metering: Metering, since: datetime, until: datetime, *, tenant: TenantId | None = None
) -> list[MeterFigures]:
    """Return what was used and billed from `since` to before `until`: of one tenant, or of all.

    Terms are as they were at the last look of `Metering`; hours are counted now.
    """
    found: list[MeterFigures] = []
    async for record in _accounts(metering, tenant):
        used = await metering.ledger.hours(record.tenant, record.unit, since, until)
        events = {hour: one for hour, one in (await _events(metering, record)).items() if _within(hour, since, until)}
        hours = tuple(_hour(hour, used[hour], events.get(hour)) for hour in sorted({*used, *events}))
        terms = tuple(_term(record, term) for term in record.terms)
        found.append(
            MeterFigures(
                resource=record.resource.key,
                uri=record.resource.uri,
                tenant=record.tenant,
                unit=record.unit,
                terms=terms,
                hours=hours,
            )
        )
    return found


async def reconciliation(
    metering: Metering, first: date, last: date, *, tenant: TenantId | None = None, reported: bool = True
) -> list[DayFigures]:
    """Return the ledger, what was accepted, and the marketplace's own report side by side, day by day.

    Raises:
        Unavailable: the marketplace does not answer.
    """
    lines = await metering.reported(first.isoformat()) if reported else None
    since, until = _midnight(first), _midnight(last + timedelta(days=1))
    found: list[DayFigures] = []
    for meter in await figures(metering, since, until, tenant=tenant):
        # mandate: equal[key] - what is asked of it is by which names a line of the report is its own
        account = MeterRecord(resource=_resource(meter), tenant=meter.tenant, unit=meter.unit)
        days = {hour.hour[:10] for hour in meter.hours}
        days |= {line.day[:10] for line in lines or () if line.is_of(*_names(account))}
        for day in sorted(day for day in days if first.isoformat() <= day <= last.isoformat()):
            told = None if lines is None else units_of(lines, account, day)
            found.append(_day(meter, day, told))
    return found


async def runs_of(metering: Metering, resource: str, unit: str, hour: str) -> list[CompletedRun]:
    """Return the runs that a usage event is for, in the order in which they ended.

    Of a term's runs, the first ones are those that are included; each further one is billed, in that order, by the
    events of the term in theirs. So each unit that was billed is one run, and no run is two.

    Raises:
        NotFound: there is no such event, or the marketplace took nothing of it.
    """
    found = await metering.records.get(MeterRecord, f"{resource}/{unit}")
    events = await _events(metering, found.value) if found else dict[str, Emission]()
    event = events.get(hour)
    if found is None or event is None or event.accepted == 0:
        raise NotFound("No use was billed for this hour.")
    term = next(one for one in found.value.terms if one.start == event.term)
    own = [one for _, one in sorted(events.items()) if one.term == term.start]
    billed = sum(one.accepted for one in own)
    earlier = sum(one.accepted for one in own if one.hour < hour)
    until = parse_timestamp(term.until) if term.until else metering.now
    runs = [run async for run in metering.ledger.runs(found.value.tenant, unit, parse_timestamp(term.start), until)]
    first = max(0, min(term.included, len(runs) - billed)) + earlier
    return runs[::-1][first : first + event.accepted]


async def _accounts(metering: Metering, tenant: TenantId | None) -> AsyncIterator[MeterRecord]:
    cursor = None
    while True:
        page = await metering.records.list(MeterRecord, cursor=cursor)
        for found in page.items:
            if tenant in (None, found.value.tenant):
                yield found.value
        if (cursor := page.cursor) is None:
            return


async def _events(metering: Metering, record: MeterRecord) -> Mapping[str, Emission]:
    """Return all events of an account by hour: those that are over, and those that stand in it."""
    events: dict[str, Emission] = {}
    cursor = None
    while True:
        prefix = f"{meter_key(record.resource, record.unit)}/"
        page = await metering.records.list(EmissionRecord, prefix=prefix, cursor=cursor, limit=500)
        events |= {found.value.event.hour: found.value.event for found in page.items}
        if (cursor := page.cursor) is None:
            return {**events, **record.events}


def _within(hour: str, since: datetime, until: datetime) -> bool:
    return since <= parse_timestamp(hour) < until


def _hour(hour: str, used: int, event: Emission | None) -> HourFigures:
    if event is None:
        return HourFigures(hour=hour, used=used)
    told = event.model_dump(include={"accepted", "fate", "verdict", "plan"})
    return HourFigures(hour=hour, used=used, emitted=event.quantity, **told)


def _term(record: MeterRecord, term: Term) -> TermFigures:
    own = [event for event in record.events.values() if event.term == term.start]
    return TermFigures(
        start=term.start,
        until=term.until,
        included=term.included,
        used=term.total,
        over=term.over,
        accepted=term.accepted + sum(event.accepted for event in own),
        waiting=sum(event.quantity for event in own if event.fate in ("planned", "unknown")),
        owed=record.owed(term),
        lost=term.lost,
    )


def _day(meter: MeterFigures, day: str, reported: int | None) -> DayFigures:
    hours = [hour for hour in meter.hours if hour.hour.startswith(day)]
    accepted = sum(hour.accepted for hour in hours)
    return DayFigures(
        resource=meter.resource,
        tenant=meter.tenant,
        unit=meter.unit,
        day=day,
        used=sum(hour.used for hour in hours),
        emitted=sum(hour.emitted for hour in hours),
        accepted=accepted,
        refused=sum(hour.emitted for hour in hours if hour.fate == "refused"),
        reported=reported,
        agrees=None if reported is None else reported == accepted,
    )


def _resource(meter: MeterFigures) -> Resource:
    return Resource(uri=meter.uri) if meter.uri else Resource(id=meter.resource)


def _names(account: MeterRecord) -> tuple[str, str, str]:
    return account.resource.id, account.resource.uri, account.unit


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
