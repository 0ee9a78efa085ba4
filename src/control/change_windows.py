"""When changes may come to an organisation: its weekly windows and its freezes, within bounds that the publisher sets.

The moment at which a change takes effect is computed, never stored: from when it was announced, what the windows were
at each moment since, and the bounds. All processes come to the same, and a later change of the windows undoes nothing.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from core import parse_timestamp
from data import Record

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WEEK = timedelta(days=7)
MOST_WINDOWS, MOST_FREEZES = 14, 10


TimeOfDay = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
OpenHours = Annotated[int, Field(ge=1, le=24)]


class ChangeBounds(BaseModel):
    """What the publisher lets organisations choose.

    Attributes:
        least_hours_a_week: so long their windows must be open in a week.
        most_wait_days: a change comes at the latest so long after it was announced for, windows or not.
        longest_freeze_days: of one freeze.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    least_hours_a_week: Annotated[int, Field(ge=1, le=168)]
    most_wait_days: Annotated[int, Field(ge=1, le=90)]
    longest_freeze_days: Annotated[int, Field(ge=0, le=90)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ChangeWindow(_Part):
    """Each week from a time of a day, in UTC, for so many hours."""

    day: Day
    start: TimeOfDay
    hours: OpenHours


class ChangeFreeze(_Part):
    """No change comes from one time until before another."""

    since: str
    until: str


class ChangeSchedule(_Part):
    """What held from a moment on; without windows changes may come at any time."""

    since: str
    windows: tuple[ChangeWindow, ...] = Field(default=(), max_length=MOST_WINDOWS)
    freezes: tuple[ChangeFreeze, ...] = Field(default=(), max_length=MOST_FREEZES)


class ChangeWindowsRecord(Record):
    """When changes may come to a tenant, as it is and as it was, oldest first. Key: `WINDOWS_KEY`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: ClassVar[str] = "change_windows"
    schedules: tuple[ChangeSchedule, ...]


WINDOWS_KEY = "current"


def takes_effect(
    announced: datetime, schedules: Sequence[ChangeSchedule], bounds: ChangeBounds, *, urgent: bool = False
) -> datetime:
    """Return when a change comes that is announced for `announced`.

    An urgent one comes then. Any other comes when the windows that hold at that time let it, and at the latest after
    `most_wait_days`.
    """
    latest = announced + timedelta(days=bounds.most_wait_days)
    if urgent or not schedules or announced < parse_timestamp(schedules[0].since):
        return announced
    for place, schedule in enumerate(schedules):
        begins = max(announced, parse_timestamp(schedule.since))
        ends = parse_timestamp(schedules[place + 1].since) if place + 1 < len(schedules) else latest
        if (opens := _next_open(schedule, begins)) < ends:
            return min(opens, latest)
    return latest


def hours_a_week(windows: Sequence[ChangeWindow]) -> float:
    """Return how many hours of a week are within at least one of the windows; all of them if there is none."""
    if not windows:
        return 168
    covered = {(_offset(window) // 60 + minute) % (7 * 24 * 60) for window in windows for minute in _minutes(window)}
    return len(covered) / 60


def _minutes(window: ChangeWindow) -> range:
    return range(window.hours * 60)


def _offset(window: ChangeWindow) -> int:
    """Return the seconds from the beginning of the week, Monday 0:00 UTC, to that of the window."""
    hour, minute = window.start.split(":")
    return DAYS.index(window.day) * 86_400 + int(hour) * 3_600 + int(minute) * 60


def _next_open(schedule: ChangeSchedule, moment: datetime) -> datetime:
    for _ in range(MOST_FREEZES + 1):
        moment = min((_opening(window, moment) for window in schedule.windows), default=moment)
        frozen = [
            parse_timestamp(one.until)
            for one in schedule.freezes
            if parse_timestamp(one.since) <= moment < parse_timestamp(one.until)
        ]
        if not frozen:
            return moment
        moment = max(frozen)
    return moment


def _opening(window: ChangeWindow, moment: datetime) -> datetime:
    """Return `moment` if it is within the window, else when the window opens next."""
    midnight = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    monday = midnight - timedelta(days=moment.weekday())
    opened = monday + timedelta(seconds=_offset(window))
    if opened > moment:
        opened -= WEEK
    return moment if moment < opened + timedelta(hours=window.hours) else opened + WEEK
