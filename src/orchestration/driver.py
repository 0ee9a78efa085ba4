"""The alarm clock: at start and on a timer it looks for runs that somebody must carry on. The log is the truth."""

import asyncio
import logging

import orjson

from control import Directory, contexts
from core import parse_timestamp
from core.errors import MandateError
from core.events import RunState
from data import RUNS, Platform, Projector, Row
from orchestration.runs import Runs
from orchestration.turn import Services
from telemetry import log

INTERVAL_SECONDS = 5.0


class Driver:
    """The store itself, scanned. In Azure the Durable Task Scheduler takes this place."""

    def __init__(self, services: Services, runs: Runs, directory: Directory, projector: Projector) -> None:
        self._services = services
        self._platform: Platform = services.store.platform
        self._runs = runs
        self._directory = directory
        self._projector = projector

    async def start_up(self) -> int:
        """Take up every run that has not ended, and return how many there were."""
        await self._projector.catch_up()
        rows = await self._under_way()
        for row in rows:
            await self._take_up(row)
        return len(rows)

    async def keep_time(self) -> None:
        """Wake parked runs whose time is up, and runs that were let go of, until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            try:
                for row in await self._under_way():
                    if self._is_due(row):
                        await self._take_up(row)
            except MandateError as error:
                log(logging.WARNING, "The driver could not look", code=error.code)

    async def _under_way(self) -> list[Row]:
        """Return the rows of all runs that have not ended, oldest first."""
        rows = [row async for row in self._platform.due(RUNS.view, states=[RunState.RUNNING, RunState.PARKED])]
        return sorted(rows, key=lambda row: row.sort)

    def _is_due(self, row: Row) -> bool:
        body: dict[str, str] = orjson.loads(row.body)
        due = body["parked_until"] if row.state == RunState.PARKED else body["deadline"]
        return bool(due) and self._services.clock.now() >= parse_timestamp(due)

    async def _take_up(self, row: Row) -> None:
        try:
            tenant = await self._directory.tenant(row.tenant)
            await self._runs.resume(row.tenant, row.run, contexts.platform(tenant, "driver"))
        except MandateError as error:
            log(logging.WARNING, "A run was left behind", tenant=row.tenant, code=error.code, run=row.run)
