"""What a turn asks of Cosmos DB: requests by operation and bytes, as the emulator counts them.

What they cost in request units only an account in Azure can say. What the product asks when it is idle is measured
first and taken off; the writing of views is a part of the turn that caused it.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from mandate.bench.figures import Figures
from mandate.bench.load import Kind, Level, measure
from mandate.bench.turns import TURNS, Turns, sign_in
from mandate.demo.host import Host
from mandate.local.seeding import seed
from mandate.local.stack import Stack, free_port, running
from mandate.local.world import load_companies
from mandate.services import Services
from mandate.settings import ROOT

IDLE_SECONDS = 15.0
SETTLE_SECONDS = 3.0
"""Until views have been written."""


@dataclass(frozen=True, slots=True)
class _Count:
    at: float
    requests: Counter[str]
    bytes: Counter[str]

    def since(self, before: "_Count") -> "_Count":
        """Return what was counted between two moments; `at` is how many seconds lie between them."""
        return _Count(self.at - before.at, self.requests - before.requests, self.bytes - before.bytes)


async def asked(folder: Path, turns: int) -> Figures:
    """Set up a product on Cosmos DB, take `turns` turns of each kind, and return what one asks on average."""
    stack, companies = Stack(folder, free_port(), store="cosmos"), load_companies(ROOT)
    async with running(stack), aiohttp.ClientSession() as session:
        await seed(stack, Services.load(ROOT / "environments"), companies, _quietly)
        made = Turns(stack.url, await sign_in(session, stack.url, companies))
        await measure(session, [Kind(name, made.maker(name), {}) for name in TURNS], Level(1, 1, 1))
        await asyncio.sleep(SETTLE_SECONDS)
        host = Host(stack, session)
        idle = await _between(host, lambda: asyncio.sleep(IDLE_SECONDS))
        found: Figures = {}
        for name in TURNS:
            kind = Kind(name, made.maker(name), {})

            async def take(kind: Kind = kind) -> None:
                await measure(
                    session, [kind], Level(1, 1, turns // 2)
                )  # after as many that warm up, and count here too
                await asyncio.sleep(SETTLE_SECONDS)

            found[name] = _each(await _between(host, take), idle, turns // 2 * 2)
        return found


def _quietly(*_: object) -> None:
    pass


async def _between(host: Host, work: Callable[[], Awaitable[None]]) -> _Count:
    before = await _count(host)
    await work()
    return (await _count(host)).since(before)


async def _count(host: Host) -> _Count:
    return _Count(time.monotonic(), await host.asked_of_cosmos("counts"), await host.asked_of_cosmos("bytes"))


def _each(during: _Count, idle: _Count, turns: int) -> Figures:
    """Return what one turn asked, without what would have been asked anyway."""
    share = during.at / idle.at
    operations = {
        name: round(max(0.0, times - idle.requests[name] * share) / turns, 1)
        for name, times in during.requests.most_common()
    }
    bytes_ = sum(during.bytes.values()) - sum(idle.bytes.values()) * share
    return {
        "operations": {name: times for name, times in operations.items() if times},
        "requests": round(sum(operations.values()), 1),
        "kilobytes": round(max(0.0, bytes_) / turns / 1000, 1),
    }
