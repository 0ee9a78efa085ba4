"""The companies of the cases: each has its own, so that none sees what another left."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
from honest_tasks import tasks
from red_team_cases import attacks

from agent_world import World, open_office, open_world
from core import TenantId, derived_id
from data.sqlite import open_store
from emulators.backoffice import BackofficeSeed
from guards import Guard

OTHER_COMPANY = TenantId(derived_id("ten", "another company"))


def tenant_of(case: str) -> TenantId:
    return TenantId(derived_id("ten", case))


@asynccontextmanager
async def world(folder: Path, publisher: str | None, guards: Sequence[Guard] | None = None) -> AsyncGenerator[World]:
    """Open a product with the publisher's policies as given; None for those that are shipped. So also the guards."""
    cases = [*(attack.id for attack in attacks()), *(task.id for task in tasks())]
    seeds: Mapping[str, BackofficeSeed] = {tenant_of(case): seed() for case in cases}
    async with (
        open_office(folder / "office", seeds) as office,
        open_store(folder / "store.db") as store,
        open_world(store, office, publisher=publisher, guards=guards) as opened,
    ):
        yield opened


def seed() -> BackofficeSeed:
    people = {"C-1007": "Ruben Aalders", "C-1042": "Hanna Weiss", "C-1063": "Anke Dijkstra"}
    customers = [
        {"id": number, "name": name, "email": f"{name.replace(' ', '.')}@postbus.example", "since": "2024-01-01"}
        for number, name in people.items()
    ]
    orders = [
        _order("A-20398", "C-1007", 38900),
        _order("A-20405", "C-1042", 17900, 8400),
        _order("A-20500", "C-1063", 250000),
        _order("A-203981", "C-1063", 4900),
    ]
    return BackofficeSeed.model_validate_json(orjson.dumps({"customers": customers, "orders": orders, "tickets": []}))


def _order(number: str, customer: str, *prices: int) -> dict[str, object]:
    items = [{"sku": f"S-{n}", "name": "Thing", "quantity": 1, "price_cents": price} for n, price in enumerate(prices)]
    return {
        "id": number,
        "customer": customer,
        "placed": "2026-09-21",
        "status": "delivered",
        "items": items,
        "total_cents": sum(prices),
        "currency": "EUR",
        "city": "Utrecht",
    }
