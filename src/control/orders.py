"""Hybrid: the publisher's control plane over a stamp that a customer hosts, with the customer's data and execution.

The stamp asks, outwards, and is told what it may do: its plan, whether it is paid for, what holds for it alone, what
is switched off. It writes that into its own records, by which its own gate decides; nothing of the customer's goes out.
What was told holds for a day. A stamp that has heard nothing for longer lets people read and export, and nobody ask.
"""

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from control import contexts
from control.access import AccessLog
from control.directory import Directory
from control.entitlements import Entitlements, OverrideRecord
from control.records import TenantRecord
from control.switch_records import SwitchesRecord
from control.switches import EVERYTHING, Switches
from core import Clock, ContentRef, TenantId, parse_timestamp, timestamp
from core.admin_bodies import ChangeCause
from core.errors import Conflict, NotFound, PreconditionFailed
from data import Record, Store

HOLDS = timedelta(days=1)

_KEY = "orders"
_log = logging.getLogger(__name__)


class Orders(BaseModel):
    """What holds for one stamp. A word that a version does not know is not obeyed in part, but not at all.

    Attributes:
        plan: one of ours.
        status: as in `TenantRecord`.
        entitlements: what the publisher laid down for this one alone.
        off: what the publisher has switched off, and why.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    plan: str
    status: Literal["active", "suspended", "closed"]
    entitlements: OverrideRecord
    off: dict[str, str]


class OrdersRecord(Record):
    """What a stamp was told last. Key: `orders`.

    Attributes:
        heard_at: when that was; at first, since when the stamp has been asking.
    """

    kind: ClassVar[str] = "orders"
    model_config = ConfigDict(frozen=True, extra="forbid")

    heard_at: str


async def orders_for(
    tenant: TenantId, *, store: Store, directory: Directory, entitlements: Entitlements, switches: Switches
) -> Orders:
    """Return what the publisher says of a tenant that is hosted elsewhere, and write down that it asks.

    Raises:
        NotFound: there is no such tenant.
    """
    await directory.leads(tenant)
    record, own = await directory.tenant(tenant), await entitlements.laid_down(tenant)
    thrown = await switches.everywhere(store.tenant(contexts.publisher("orders")))
    return Orders(
        plan=record.plan,
        status=record.status,
        entitlements=own.value if own else OverrideRecord(),
        off={name: one.reason or "" for one in thrown if (name := _there(one.name, tenant))},
    )


def _there(name: str, tenant: TenantId) -> str:
    """Return what a switch is called in the stamp of one tenant: empty if it is of another."""
    if name == f"tenant/{tenant}":
        return EVERYTHING
    return "" if name.startswith("tenant/") else name


class Follower:
    """Brings the records of a stamp to what it was told; again, or from several processes at once, changes nothing."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        directory: Directory,
        entitlements: Entitlements,
        switches: Switches,
        access: AccessLog,
    ) -> None:
        self._clock = clock
        self._directory = directory
        self._entitlements = entitlements
        self._switches = switches
        self._access = access
        self._context = contexts.publisher("orders")
        self._data = store.tenant(self._context)

    async def obey(self, orders: Orders) -> None:
        """Make what was told so, durable on return: first what is to stop at once."""
        await self._switch(orders.off)
        async for tenant in self._tenants():
            await self._allow(tenant, orders.plan, orders.status, "ordered")
            laid_down = await self._entitlements.laid_down(tenant.id)
            if (laid_down.value if laid_down else OverrideRecord()) != orders.entitlements:
                await self._entitlements.lay_down(tenant.id, orders.entitlements)
                await self._told(OverrideRecord.kind, tenant.id, "laid_down", "ordered")
        await self._know(OrdersRecord(heard_at=timestamp(self._clock.now())))

    async def unheard(self) -> None:
        """Take note that the publisher did not answer: after a day what it said last does not hold any more."""
        known = await self._known()
        if self._clock.now() - parse_timestamp(known.heard_at) < HOLDS:
            return
        async for tenant in self._tenants():
            if tenant.status == "active":
                await self._allow(tenant, tenant.plan, "suspended", "unheard")

    async def _allow(
        self, tenant: TenantRecord, plan: str, status: Literal["active", "suspended", "closed"], cause: ChangeCause
    ) -> None:
        if (tenant.plan, tenant.status) != (plan, status):
            await self._directory.update(tenant.id, plan=plan, status=status)
            await self._told(tenant.kind, tenant.id, status, cause)

    async def _switch(self, off: Mapping[str, str]) -> None:
        """Have off what is to be, and nothing else: in a stamp nobody but the publisher switches for the publisher."""
        thrown = (await self._switches.thrown(self._data)).own
        for name in off.keys() - thrown.keys():
            try:
                reason = await self._switches.switch_off(self._context, name, off[name])
            except NotFound:
                _log.warning("orders.nothing_of_that_name")  # another version has it
            except Conflict:
                pass  # another process was faster
            else:
                await self._told(SwitchesRecord.kind, name, "off", "ordered", reason)
        for name in thrown.keys() - off.keys():
            with suppress(NotFound):
                await self._switches.switch_on(self._context, name)
                await self._told(SwitchesRecord.kind, name, "on", "ordered")

    async def _tenants(self) -> AsyncIterator[TenantRecord]:
        cursor = None
        while True:
            page = await self._directory.tenants(cursor)
            for found in page.items:
                yield found.value
            if (cursor := page.cursor) is None:
                return

    async def _told(
        self, kind: str, key: str, version: str, cause: ChangeCause, reason: ContentRef | None = None
    ) -> None:
        await self._access.admin(self._context, kind, key, version, cause=cause, reason=reason)

    async def _known(self) -> OrdersRecord:
        if found := await self._data.records.get(OrdersRecord, _KEY):
            return found.value
        first = OrdersRecord(heard_at=timestamp(self._clock.now()))
        await self._know(first)
        return first

    async def _know(self, record: OrdersRecord) -> None:
        found = await self._data.records.get(OrdersRecord, _KEY)
        with suppress(PreconditionFailed):  # another process heard the same at this moment
            await self._data.records.put(_KEY, record, etag=found.etag if found else None)
