"""Dates, numbers and money as the reader writes them: by their browser's language and time zone."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from babel import Locale, UnknownLocaleError
from babel.dates import format_datetime, format_skeleton, format_timedelta
from babel.numbers import format_compact_decimal, format_currency, format_decimal
from babel.units import format_unit
from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup
from starlette.requests import Request

from core import parse_timestamp
from interaction.cookies import ZONE_COOKIE

_TAG = re.compile(r"([A-Za-z]{2,3})(?:-([A-Za-z]{2}))?")
_MOST_TAGS = 10
_MICROS = 1_000_000
_THOUSAND = 1000
_LENGTHS = ((172800, 86400, "day"), (7200, 3600, "hour"), (120, 60, "minute"), (0, 1, "second"))
"""From how many seconds on a duration is told in which unit, of how many seconds."""


@dataclass(frozen=True, slots=True)
class Reader:
    """How somebody reads: the conventions of their language, and what time it is where they are.

    Attributes:
        currency: in which the product counts costs, as an ISO 4217 code.
    """

    locale: Locale
    zone: tzinfo
    now: datetime
    currency: str


def reader_of(request: Request, now: datetime, currency: str) -> Reader:
    """Return the reader of a request; what their browser does not say, or says wrongly, is English and UTC."""
    locale = _locale(request.headers.get("accept-language", ""))
    return Reader(locale, _zone(request.cookies.get(ZONE_COOKIE, "")), now, currency)


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _zone(name: str) -> tzinfo:
    return ZoneInfo(name) if name in _zones() else UTC


def _locale(accepted: str) -> Locale:
    for part in accepted.split(",")[:_MOST_TAGS]:
        match = _TAG.fullmatch(part.partition(";")[0].strip())
        if match and (found := _known_locale(match[1].lower(), (match[2] or "").upper())):
            return found
    return Locale("en")


def _known_locale(language: str, territory: str) -> Locale | None:
    for name in ((language, territory), (language, "")):
        try:
            return Locale(name[0], name[1] or None)
        except UnknownLocaleError:
            continue
    return None


def _reader(context: Context) -> Reader:
    reader = context["reader"]
    assert isinstance(reader, Reader)
    return reader


def _moment(value: datetime | str) -> datetime:
    return parse_timestamp(value) if isinstance(value, str) else value


def _full(moment: datetime, reader: Reader) -> str:
    text = format_datetime(moment, "medium", tzinfo=reader.zone, locale=reader.locale)
    return f"{text} UTC" if reader.zone is UTC else text


@pass_context
def when(context: Context, value: datetime | str) -> Markup:
    """Filter: date and time, in the reader's zone or else marked as UTC."""
    moment = _moment(value)
    shown = _full(moment, _reader(context))
    return Markup('<time datetime="{}">{}</time>').format(moment.astimezone(UTC).isoformat(), shown)


@pass_context
def ago(context: Context, value: datetime | str) -> Markup:
    """Filter: how long ago or ahead. The script keeps it current; hovering shows the date."""
    moment, reader = _moment(value), _reader(context)
    shown = format_timedelta(moment - reader.now, add_direction=True, locale=reader.locale)
    return Markup('<time datetime="{}" title="{}" data-ago>{}</time>').format(
        moment.astimezone(UTC).isoformat(), _full(moment, reader), shown
    )


@pass_context
def number(context: Context, value: float) -> str:
    """Filter: a number with the reader's separators."""
    return format_decimal(value, locale=_reader(context).locale)


@pass_context
def money(context: Context, micros: int, currency: str = "") -> str:
    """Filter: an amount in millionths of the currency; small ones keep enough digits to be more than nothing."""
    reader = _reader(context)
    locale, currency = reader.locale, currency or reader.currency
    if micros and abs(micros) < _MICROS:
        return format_currency(micros / _MICROS, currency, "¤0.00####", locale=locale, currency_digits=False)
    return format_currency(micros / _MICROS, currency, locale=locale)


@pass_context
def short(context: Context, value: int) -> str:
    """Filter: a number for where there is little room, such as 1.5K."""
    return format_compact_decimal(value, locale=_reader(context).locale, fraction_digits=1)


@pass_context
def size(context: Context, count: int) -> str:
    """Filter: a number of bytes."""
    locale, names = _reader(context).locale, ("B", "kB", "MB", "GB")
    power = min(len(names) - 1, (len(str(count)) - 1) // 3)
    return f"{format_decimal(round(count / 1000**power, 1), locale=locale)}\u00a0{names[power]}"


@pass_context
def day(context: Context, value: date | str) -> str:
    """Filter: a day and its month."""
    found = date.fromisoformat(value) if isinstance(value, str) else value
    return format_skeleton("MMMd", found, locale=_reader(context).locale)


@pass_context
def duration(context: Context, milliseconds: int) -> str:
    """Filter: how long something took, in as few digits as tell it."""
    locale, seconds = _reader(context).locale, milliseconds / _THOUSAND
    if milliseconds < _THOUSAND:
        return format_unit(milliseconds, "duration-millisecond", "short", locale=locale)
    length, unit = next((length, unit) for least, length, unit in _LENGTHS if seconds >= least)
    return format_unit(round(seconds / length, 1), f"duration-{unit}", "short", locale=locale)


FILTERS: Mapping[str, object] = {
    "when": when,
    "ago": ago,
    "day": day,
    "number": number,
    "short": short,
    "size": size,
    "money": money,
    "duration": duration,
}
