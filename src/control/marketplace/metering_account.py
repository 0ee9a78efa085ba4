"""What is owed of metered use, and which events ask for it: pure functions of the account.

An account is a sum, not a queue: units used beyond what is included, less what the marketplace has accepted, may still
accept, or never will. So a unit that becomes known late, an event that was refused, a remainder that another event left
no room for: each is simply still owed, and goes into the next hour that is free. Nothing can be forgotten or billed
twice, as long as every event stands in the account before it is sent.

The rules: https://learn.microsoft.com/partner-center/marketplace-offers/marketplace-metering-service-apis
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from itertools import accumulate
from typing import Literal

from control.marketplace.metering_records import Emission, MeterRecord, Resource, Term
from core import TenantId, parse_timestamp, timestamp

WINDOW = timedelta(hours=24)
"""How old an hour may be, from its beginning, to be asked for."""

HOUR = timedelta(hours=1)
MOMENT = timedelta(milliseconds=1)
"""The shortest time that there is in the log: what happens at a time is before a moment later."""

_IN_TIME = timedelta(minutes=10)
"""No event is planned that has less time than this."""

_UNSETTLED = timedelta(hours=26)
"""For so long hours are counted anew at each look, and events stay in the account."""

REPORTED_BY = timedelta(hours=48)
"""What the marketplace's report does not have by then, it never took."""

_CLOSES = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class Billed:
    """A resource that is billed, as it is now.

    Attributes:
        plan: the marketplace's id, which events name.
        included: units that the price of a term includes, by unit; what is not here is not billed.
        exactly: those of `included` that the publisher laid down for this customer.
        status: only of what is active, or has ended within a day, use is accepted.
        ended_at: when that was seen.
    """

    resource: Resource
    tenant: TenantId
    plan: str
    included: Mapping[str, int]
    exactly: frozenset[str]
    status: Literal["active", "suspended", "ended"]
    term_start: datetime
    term_end: datetime | None = None
    ended_at: datetime | None = None


def hour_of(moment: datetime) -> str:
    return timestamp(moment.replace(minute=0, second=0, microsecond=0))


def with_terms(record: MeterRecord, billed: Billed) -> MeterRecord:
    """Return the account with the term that the resource is in now."""
    included, start, terms = billed.included[record.unit], billed.term_start, record.terms
    if not terms or start > parse_timestamp(terms[-1].start):
        before = tuple(_until(term, start) for term in terms)
        new = Term(start=timestamp(start), included=included, counted=hour_of(start))
        return record.model_copy(update={"terms": (*before, new)})
    last = terms[-1]
    if billed.status == "ended":  # what was laid down for it may be erased by now
        return record
    least = included if record.unit in billed.exactly else max(last.included, included)
    return record.model_copy(update={"terms": (*terms[:-1], last.model_copy(update={"included": least}))})


def _until(term: Term, start: datetime) -> Term:
    return term if term.until else term.model_copy(update={"until": timestamp(start)})


def counted_until(term: Term, billed: Billed, before: datetime) -> datetime:
    """Return before when units are the term's, and by `before`. If it ends at midnight, that day is part of it."""
    ends = [before]
    if billed.ended_at:
        ends.append(billed.ended_at + MOMENT)
    if term.until:
        ends.append(parse_timestamp(term.until))
    elif billed.term_end and not billed.ended_at:
        end = billed.term_end
        ends.append(end + timedelta(days=1) if end.time() == time() else end)
    return min(ends)


def recounted(term: Term, used: int, hours: Counter[str], now: datetime) -> Term:
    """Return the term with `used` units before `term.counted` and, by hour, those after; older hours become final."""
    final = max(term.counted, hour_of(now - _UNSETTLED))
    older = sum(count for hour, count in hours.items() if hour < final)
    recent = {hour: hours[hour] for hour in sorted(hours) if hour >= final}
    return term.model_copy(update={"counted": final, "used": used + older, "recent": recent})


def planned(record: MeterRecord, billed: Billed, now: datetime, *, before: datetime) -> MeterRecord:
    """Return the account with an event for each hour that something is owed in, of those that begin before `before`.

    An hour is asked for what was used in it and for what was left over earlier, if its place is free and its time not
    up; what finds no place waits for the next hour. An event is of one term.
    """
    if not _is_taken(billed, now):
        return record
    hours, new = _hours(billed, now, before), dict[str, Emission]()
    balance = sum(record.owed(term) for term in record.terms)
    for term in record.terms:
        due = min(record.owed(term), balance)
        free = [hour for hour in hours if hour not in record.events and hour not in new]
        if due <= 0 or not free:
            continue
        for hour, quantity in _shares(record, term, due, hours, free, is_last=billed.status == "ended"):
            new[hour] = Emission(
                hour=hour, term=term.start, quantity=quantity, plan=billed.plan, planned_at=timestamp(now)
            )
        balance -= due
    return record.model_copy(update={"events": {**record.events, **new}}) if new else record


def _is_taken(billed: Billed, now: datetime) -> bool:
    return billed.status == "active" or (billed.ended_at is not None and now - billed.ended_at < WINDOW)


def _hours(billed: Billed, now: datetime, before: datetime) -> list[str]:
    """Return the hours that can be asked for, in order."""
    end = min(before, billed.ended_at) if billed.ended_at else before
    begin, hours = parse_timestamp(hour_of(now)), list[str]()
    while now - begin < WINDOW - _IN_TIME:
        if begin < end:
            hours.append(timestamp(begin))
        begin -= HOUR
    return hours[::-1]


def _shares(
    record: MeterRecord, term: Term, due: int, hours: list[str], free: list[str], *, is_last: bool
) -> Iterator[tuple[str, int]]:
    """Yield hours and how many of `due` units each is asked for: what its own and earlier hours left over."""
    need = {hour: _beyond(term, hour) - _asked(record, term, hour) for hour in hours}
    older = due - sum(need.values())
    need[free[-1] if older > 0 else hours[0]] += older
    # What is left over up to an hour counts only as far as no later hour was asked for it already.
    left = list(accumulate(need.values()))
    sure = list(accumulate(reversed(left), min))[::-1]
    given = 0
    for hour, most in zip(hours, sure, strict=True):
        share = most - given if hour in free else 0
        if is_last and hour == free[-1]:  # no later hour will come
            share = due - given
        if share > 0:
            yield hour, share
            given += share


def _beyond(term: Term, hour: str) -> int:
    """Return the units of an hour that are beyond those that are included."""
    before = term.used + sum(count for at, count in term.recent.items() if at < hour)
    after = before + term.recent.get(hour, 0)
    return max(0, after - term.included) - max(0, before - term.included)


def _asked(record: MeterRecord, term: Term, hour: str) -> int:
    event = record.events.get(hour)
    return event.counts if event and event.term == term.start else 0


def settled(record: MeterRecord, sent: Emission, verdict: str, accepted: int) -> MeterRecord:
    """Return the account after the marketplace has said what became of an event; what is settled stays so.

    Args:
        record: as it is now.
        sent: the event as it was sent.
        verdict: the marketplace's word.
        accepted: units that it takes for used in that hour: of a duplicate, those of the event that was there before.
            Where they are ours, an answer was lost; where they are fewer, the rest is owed again.
    """
    known = record.events.get(sent.hour)
    if known is None or known != sent:
        return record
    match verdict:
        case "Accepted" | "Duplicate":
            after = known.model_copy(update={"fate": "accepted", "accepted": accepted})
        case "Expired":  # it may be that an earlier try of ours was taken and its answer lost
            after = known.model_copy(update={"fate": "unknown"})
        case "Error":
            after = known
        case _:
            after = known.model_copy(update={"fate": "refused"})
    return _with(record, after.model_copy(update={"verdict": verdict}))


def expired(record: MeterRecord, now: datetime) -> MeterRecord:
    """Return the account in which what was not answered in time is no longer sent."""
    for event in list(record.events.values()):
        if event.fate == "planned" and now - parse_timestamp(event.hour) >= WINDOW:
            record = _with(record, event.model_copy(update={"fate": "unknown", "verdict": "Expired"}))
    return record


def told(record: MeterRecord, day: str, reported: int, known: int, now: datetime) -> MeterRecord:
    """Return the account after the marketplace has reported `reported` units for a day.

    `known` are the units of that day that it was known to have accepted. What it has beyond them are those of events of
    which we did not know; what it does not have after two days it never took, and that is owed again.
    """
    beyond = max(0, reported - known)
    if any(hour[:10] == day and event.fate == "planned" for hour, event in record.events.items()):
        return record  # it may be among what is reported; its own answer comes first
    for event in [one for hour, one in sorted(record.events.items()) if hour[:10] == day and one.fate == "unknown"]:
        taken = min(event.quantity, beyond)
        if taken == event.quantity or now - parse_timestamp(event.hour) >= REPORTED_BY:
            fate = "accepted" if taken else "refused"
            record = _with(record, event.model_copy(update={"fate": fate, "accepted": taken}))
            beyond -= taken
    return record


def given_up(record: MeterRecord, billed: Billed, now: datetime) -> MeterRecord:
    """Return the account in which what can never be billed any more is written off as lost."""
    if billed.ended_at is None or now - billed.ended_at < WINDOW:
        return record
    if any(event.fate in ("planned", "unknown") for event in record.events.values()):
        return record
    terms = [term.model_copy(update={"lost": term.lost + max(0, record.owed(term))}) for term in record.terms]
    return record.model_copy(update={"terms": tuple(terms)})


def tidied(record: MeterRecord, now: datetime) -> tuple[MeterRecord, list[Emission]]:
    """Return the account without the events that are over, and those; and with terms closed that are."""
    old = hour_of(now - _UNSETTLED)
    over = [one for hour, one in record.events.items() if hour < old and one.fate in ("accepted", "refused")]
    accepted = Counter[str]()
    for event in over:
        accepted[event.term] += event.accepted
    left = {hour: one for hour, one in record.events.items() if one not in over}
    terms = [term.model_copy(update={"accepted": term.accepted + accepted[term.start]}) for term in record.terms]
    record = record.model_copy(update={"terms": tuple(terms), "events": left})
    closed = [term.model_copy(update={"is_over": _is_over(record, term, now)}) for term in record.terms]
    return record.model_copy(update={"terms": tuple(closed)}), over


def _is_over(record: MeterRecord, term: Term, now: datetime) -> bool:
    is_long_ago = bool(term.until) and now - parse_timestamp(term.until) >= _CLOSES
    waits = any(event.term == term.start for event in record.events.values())
    return term.is_over or (is_long_ago and not waits and record.owed(term) == 0)


def _with(record: MeterRecord, event: Emission) -> MeterRecord:
    return record.model_copy(update={"events": {**record.events, event.hour: event}})
