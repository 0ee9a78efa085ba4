"""Which features an organisation has, what will change for it and when, and when it lets changes come."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from control.cache import Cache
from control.change_windows import (
    MOST_FREEZES,
    MOST_WINDOWS,
    WINDOWS_KEY,
    ChangeBounds,
    ChangeFreeze,
    ChangeSchedule,
    ChangeWindow,
    ChangeWindowsRecord,
    hours_a_week,
    takes_effect,
)
from control.directory import Directory
from control.flags import Flag, Flags
from core import Clock, TenantId, parse_timestamp, timestamp
from core.errors import Unprocessable
from data import TenantData

ChangeState = Literal["announced", "waiting", "here"]


@dataclass(frozen=True, slots=True)
class Change:
    """Something that changes for an organisation.

    `state` is `waiting` between the time that it is announced for and when the windows let it come. `at` is None where
    it was not announced: it came at once.
    """

    feature: str
    description: str
    state: ChangeState
    urgent: bool
    announced: datetime | None
    at: datetime | None


class Features:
    """What flags mean for a tenant, now. What another process changes is seen within five seconds.

    Args:
        directory: knows a tenant's ring.
        clock: says what has come.
        flags: as they are now, and `bounds` likewise.
    """

    def __init__(
        self, directory: Directory, clock: Clock, flags: Callable[[], Flags], bounds: Callable[[], ChangeBounds]
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._flags = flags
        self.bounds = bounds
        self._schedules: Cache[TenantId, tuple[ChangeSchedule, ...]] = Cache(clock)

    async def on(self, data: TenantData) -> frozenset[str]:
        """Return the features that the tenant has now. Without flags nothing is asked."""
        flags, tenant = self._flags(), data.context.tenant
        if not flags.all:
            return frozenset()
        schedules, now, bounds = await self._known(data), self._clock.now(), self.bounds()

        def has_come(announced: datetime, urgent: bool) -> bool:
            return takes_effect(announced, schedules, bounds, urgent=urgent) <= now

        return flags.on(tenant, await self._directory.ring(tenant), has_come)

    async def changes(self, data: TenantData) -> list[Change]:
        """Return what changes, or has changed, for the tenant: what comes next first."""
        flags, tenant = self._flags(), data.context.tenant
        schedules = await self._schedules_of(data)
        ring = await self._directory.ring(tenant)
        meant = flags.on(tenant, ring, _always)
        found = [self._change(flags.all[name], ring, schedules) for name in meant]
        now = self._clock.now()
        return sorted(found, key=lambda one: (one.state == "here", abs((one.at or now) - now), one.feature))

    async def schedule(self, data: TenantData) -> ChangeSchedule:
        """Return when the tenant lets changes come now; freezes that are over are left out."""
        schedules, now = await self._schedules_of(data), timestamp(self._clock.now())
        last = schedules[-1] if schedules else ChangeSchedule(since="")
        return last.model_copy(update={"freezes": tuple(one for one in last.freezes if one.until > now)})

    async def save(
        self, data: TenantData, windows: Sequence[ChangeWindow], freezes: Sequence[tuple[datetime, datetime]]
    ) -> str:
        """Save when changes may come from now on; returns the record's ETag. What has come stays.

        Raises:
            Unprocessable: it is not within the publisher's bounds (`rollout.windows`, `rollout.freezes`).
            PreconditionFailed: somebody else saves at this moment.
        """
        now, bounds = self._clock.now(), self.bounds()
        _check(windows, freezes, bounds, now)
        frozen = tuple(ChangeFreeze(since=timestamp(since), until=timestamp(until)) for since, until in freezes)
        new = ChangeSchedule(since=timestamp(now), windows=tuple(windows), freezes=frozen)
        found = await data.records.get(ChangeWindowsRecord, WINDOWS_KEY)
        before = found.value.schedules if found else ()
        record = ChangeWindowsRecord(schedules=(*_still_needed(before, now, bounds), new))
        etag = await data.records.put(WINDOWS_KEY, record, etag=found.etag if found else None)
        self._schedules.forget(data.context.tenant)
        return etag

    def _change(self, flag: Flag, ring: str, schedules: Sequence[ChangeSchedule]) -> Change:
        given, now = flag.announced, self._clock.now()
        if given is None:
            return Change(flag.id, flag.description, "here", urgent=False, announced=None, at=None)
        announced = given.since[ring]
        at = takes_effect(announced, schedules, self.bounds(), urgent=given.urgent)
        state: ChangeState = "here" if at <= now else "waiting" if announced <= now else "announced"
        return Change(flag.id, flag.description, state, given.urgent, announced, at)

    async def _known(self, data: TenantData) -> tuple[ChangeSchedule, ...]:
        async def load(_: tuple[ChangeSchedule, ...] | None) -> tuple[ChangeSchedule, ...]:
            return await self._schedules_of(data)

        return await self._schedules.get(data.context.tenant, load)

    async def _schedules_of(self, data: TenantData) -> tuple[ChangeSchedule, ...]:
        found = await data.records.get(ChangeWindowsRecord, WINDOWS_KEY)
        return found.value.schedules if found else ()


def _always(_announced: datetime, _urgent: bool) -> bool:
    return True


def _still_needed(
    schedules: tuple[ChangeSchedule, ...], now: datetime, bounds: ChangeBounds
) -> tuple[ChangeSchedule, ...]:
    """Return those that can still say when something came: what is older has come in any case."""
    oldest = now - timedelta(days=bounds.most_wait_days)
    ended = [place for place, one in enumerate(schedules) if parse_timestamp(one.since) <= oldest]
    return schedules[ended[-1] :] if ended else schedules


def _check(
    windows: Sequence[ChangeWindow],
    freezes: Sequence[tuple[datetime, datetime]],
    bounds: ChangeBounds,
    now: datetime,
) -> None:
    if len(windows) > MOST_WINDOWS or hours_a_week(windows) < bounds.least_hours_a_week:
        raise Unprocessable(
            f"Windows must be open for {bounds.least_hours_a_week} hours a week at least, in {MOST_WINDOWS} pieces at "
            "most. Without any, changes come at any time.",
            code="rollout.windows",
        )
    longest = timedelta(days=bounds.longest_freeze_days)
    if len(freezes) > MOST_FREEZES or not all(
        since < until and until > now and until - since <= longest for since, until in freezes
    ):
        raise Unprocessable(
            f"A freeze ends in the future, after it has begun, and lasts {bounds.longest_freeze_days} days at most; "
            f"there may be {MOST_FREEZES}.",
            code="rollout.freezes",
        )
