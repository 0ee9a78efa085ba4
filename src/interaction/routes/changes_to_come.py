"""What will change for an organisation and when, and when it lets changes come."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import Field

from control import (
    MOST_FREEZES,
    MOST_WINDOWS,
    ChangeSchedule,
    ChangeState,
    ChangeWindow,
    ChangeWindowsRecord,
    Day,
    OpenHours,
    TimeOfDay,
)
from core import TenantContext, timestamp
from interaction.answers import Given, Moment, Told, answer, described
from interaction.authority import Admin, Me
from interaction.dependencies import Deps, InteractionDependencies
from web import WHOLE

router = APIRouter(prefix="/v1/changes", tags=["changes"])


class NewWindow(Given):
    """Each week from a time of a day, in UTC, for so many hours."""

    day: Day
    start: TimeOfDay = Field(examples=["22:00"])
    hours: Annotated[OpenHours, WHOLE]


class NewFreeze(Given):
    """No change comes from one time until before another."""

    since: Moment = Field(examples=["2026-12-20T00:00:00Z"])
    until: Moment = Field(examples=["2027-01-04T00:00:00Z"])


class NewWindows(Given):
    """When changes may come from now on. Without windows they come at any time."""

    windows: Annotated[list[NewWindow], Field(max_length=MOST_WINDOWS)]
    freezes: Annotated[list[NewFreeze], Field(max_length=MOST_FREEZES)]


class WindowView(Told):
    day: Day
    start: str
    hours: int


class FreezeView(Told):
    since: str
    until: str


class BoundsView(Told):
    """What the publisher lets organisations choose.

    Attributes:
        least_hours_a_week: so long windows must be open in a week.
        most_wait_days: a change comes at the latest so long after it was announced for.
        longest_freeze_days: of one freeze.
    """

    least_hours_a_week: int
    most_wait_days: int
    longest_freeze_days: int


class WindowsView(Told):
    """When changes may come; `since` is when that was saved, empty if it never was."""

    since: str
    windows: list[WindowView]
    freezes: list[FreezeView]


class ChangeView(Told):
    """Something that changes.

    Attributes:
        feature: what it is called.
        description: what it is, in the publisher's words.
        state: `announced`; `waiting`, for a window to open or a freeze to end; or `here`.
        urgent: it does not wait for windows, as a repair of a weakness would not.
        announced: for when; null where it came at once.
        at: when it comes, or came; null where that is not known.
    """

    feature: str
    description: str
    state: ChangeState
    urgent: bool
    announced: str | None
    at: str | None


class ChangesView(Told):
    items: list[ChangeView]
    windows: WindowsView
    bounds: BoundsView


@router.get("", responses=described(ChangesView))
async def read_changes(me: Me, deps: Deps) -> Response:
    """List what will change for your organisation and when, and when it lets changes come."""
    return answer(await changes_of(me, deps))


@router.put("/windows", responses=described(WindowsView, 412, 413, 415, 422))
async def put_windows(body: NewWindows, me: Admin, deps: Deps) -> Response:
    """Say when changes may come to your organisation from now on. Roles: admin, owner.

    What has come already stays. The publisher sets bounds, which `GET /v1/changes` tells; urgent changes do not wait.
    """
    windows = [ChangeWindow(day=one.day, start=one.start, hours=one.hours) for one in body.windows]
    return answer(await windows_saved(me, deps, windows, [(one.since, one.until) for one in body.freezes]))


async def changes_of(me: TenantContext, deps: InteractionDependencies) -> ChangesView:
    data = deps.store.tenant(me)
    items = [
        ChangeView(
            feature=one.feature,
            description=one.description,
            state=one.state,
            urgent=one.urgent,
            announced=_told(one.announced),
            at=_told(one.at),
        )
        for one in await deps.features.changes(data)
    ]
    bounds = BoundsView(**deps.features.bounds().model_dump())
    return ChangesView(items=items, windows=_view(await deps.features.schedule(data)), bounds=bounds)


async def windows_saved(
    me: TenantContext,
    deps: InteractionDependencies,
    windows: list[ChangeWindow],
    freezes: list[tuple[datetime, datetime]],
) -> WindowsView:
    """Save when changes may come, and write down that somebody did; raises as `Features.save`."""
    data = deps.store.tenant(me)
    etag = await deps.features.save(data, windows, freezes)
    await deps.access.admin(me, ChangeWindowsRecord.kind, "current", etag)
    return _view(await deps.features.schedule(data))


def _view(schedule: ChangeSchedule) -> WindowsView:
    return WindowsView.model_validate(schedule.model_dump())


def _told(moment: datetime | None) -> str | None:
    return timestamp(moment) if moment else None
