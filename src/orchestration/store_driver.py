"""The driver that needs nothing but the store: the view of runs is its timetable, records are its bell."""

import asyncio
import logging
from contextlib import suppress
from datetime import datetime

import orjson

from control import contexts
from core import Clock, RunId, TenantId, parse_timestamp
from core.errors import MandateError, NotFound, PreconditionFailed
from core.parts import RunState
from data import RUNS, Projector, Records, Row, Store
from orchestration.carriers import Carriers, every
from orchestration.driver import Look
from orchestration.records import WakeRecord
from telemetry import log

WAKE_SECONDS = 1.0
"""How late a process may learn that it was asked to look at a run."""

SCAN_EVERY = 5
"""So many looks at the bell to one at the timetable."""


class StoreDriver:
    """A `Driver` for each process, over the store that all share."""

    def __init__(self, store: Store, clock: Clock, carriers: Carriers, projector: Projector) -> None:
        self._store = store
        self._clock = clock
        self._carriers = carriers
        self._projector = projector
        self._living = frozenset[str]()

    @property
    def _records(self) -> Records:
        return self._store.tenant(contexts.publisher("driver")).records

    async def schedule(self, tenant: TenantId, run: RunId, at: datetime) -> None:  # noqa: ARG002 - it is in the log
        """The run's last event says `at` too: all there is to do is to have the timetable take it in."""
        self._projector.notify()

    async def wake(self, tenant: TenantId, run: RunId) -> None:
        with suppress(PreconditionFailed):  # somebody else has just rung
            await self._records.put(f"{tenant}/{run}", WakeRecord(tenant=tenant, run=run), etag=None)

    async def start(self, look: Look) -> int:
        await self._projector.catch_up()
        self._living = await self._carriers.living()
        rows = [*await self._rows(RunState.RUNNING), *await self._rows(RunState.PARKED)]
        for row in rows:
            await _try(look, row.tenant, row.run)
        return len(rows)

    async def drive(self, look: Look) -> None:
        turn = 0
        while True:
            await asyncio.sleep(WAKE_SECONDS)
            turn = (turn + 1) % SCAN_EVERY
            try:
                await self.answer(look)
                if turn == 0:
                    await self.scan(look)
            except MandateError as error:
                log(logging.WARNING, "The driver could not look", code=error.code)

    async def answer(self, look: Look) -> None:
        """Look at the runs that somebody rang for; those of other processes are for these."""
        async for found in every(self._records, WakeRecord):
            if await _try(look, found.value.tenant, found.value.run):
                with suppress(PreconditionFailed):
                    await self._records.delete(WakeRecord, found.key, etag=found.etag)

    async def scan(self, look: Look) -> None:
        """Look at runs whose carrier has died or whose time is up.

        A dead process may have written down what a parked run waits for, and not got to telling it: so when one died
        all parked runs are looked at.
        """
        before, self._living = self._living, await self._carriers.living()
        for row in await self._rows(RunState.RUNNING):
            carrier = _said(row, "carrier")
            if carrier not in self._living or (carrier == self._carriers.lease.id and self._is_past(row, "deadline")):
                await _try(look, row.tenant, row.run)
        for row in await self._rows(RunState.PARKED):
            if before - self._living or self._is_past(row, "parked_until") or self._is_past(row, "look_at"):
                await _try(look, row.tenant, row.run)

    async def _rows(self, state: RunState) -> list[Row]:
        """Return the rows of all runs in a state, oldest first."""
        rows = [row async for row in self._store.platform.due(RUNS.view, states=[state])]
        return sorted(rows, key=lambda row: row.sort)

    def _is_past(self, row: Row, name: str) -> bool:
        due = _said(row, name)
        return bool(due) and self._clock.now() >= parse_timestamp(due)


def _said(row: Row, name: str) -> str:
    body: dict[str, str] = orjson.loads(row.body)
    return body.get(name, "")


async def _try(look: Look, tenant: TenantId, run: RunId) -> bool:
    """Return whether nothing is left to do for this process; a run that cannot be looked at does not stop the rest."""
    try:
        return await look(tenant, run)
    except MandateError as error:
        log(logging.WARNING, "A run was left behind", tenant=tenant, code=error.code, run=run)
        return isinstance(error, NotFound)
