"""Requests made, answers timed, CPU time attributed."""

import asyncio
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import aiohttp

from mandate.bench.figures import Figures, at, spread
from mandate.bench.programs import cpu_seconds

SETTLE_SECONDS = 0.1
"""After each batch, so that what a turn leaves to do (views, say) is counted with it and not with the next."""

ENOUGH = 64_000
"""Bytes at the end of an answer that are kept, to see how it ended."""

_TIMEOUT = aiohttp.ClientTimeout(total=60)


@dataclass(frozen=True, slots=True)
class Request:
    """One POST; `problem` says from the last bytes of the answer what was wrong with it, if anything."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    problem: Callable[[bytes], str]


@dataclass(frozen=True, slots=True)
class Kind:
    """What is measured under one name.

    Attributes:
        request: makes the next request, no two alike.
        meters: the process whose CPU time is told under a name.
        slow: a quarter of the turns will do.
    """

    name: str
    request: Callable[[], Request]
    meters: Mapping[str, int]
    slow: bool = False


@dataclass(frozen=True, slots=True)
class Level:
    """How many at once, how many turns in a batch, how many batches of each kind."""

    concurrency: int
    batches: int
    turns: int

    def turns_of(self, kind: Kind) -> int:
        return max(self.concurrency, self.turns // 4) if kind.slow else self.turns


@dataclass(slots=True)
class Samples:
    """What came of one kind at one level. Times are in seconds, CPU per turn and batch."""

    latencies: list[float] = field(default_factory=list[float])
    first_events: list[float] = field(default_factory=list[float])
    failures: int = 0
    turns: int = 0
    seconds: float = 0.0
    cpu: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def figures(self) -> Figures:
        return {
            "latency_ms": spread(self.latencies, scale=1000),
            "time_to_first_event_ms": spread(self.first_events, scale=1000),
            "turns_per_second": round(self.turns / self.seconds, 1),
            **{name: spread(samples, scale=1000) for name, samples in self.cpu.items()},
            "turns": self.turns,
            "failures": self.failures,
        }


async def measure(session: aiohttp.ClientSession, kinds: list[Kind], level: Level) -> dict[str, Figures]:
    """Run all kinds in alternation, after a batch of each that does not count, and return figures by kind."""
    found = {kind.name: Samples() for kind in kinds}
    for kind in kinds:
        await _batch(session, kind, level, Samples())
    for _ in range(level.batches):
        for kind in kinds:
            await _batch(session, kind, level, found[kind.name])
    return {name: samples.figures() for name, samples in found.items()}


def compare(figures: Figures, reference: Figures) -> Figures:
    """Return how many times the reference's latency, throughput and CPU the medians of `figures` are."""
    return {
        "latency": round(at(figures, "latency_ms", "median") / at(reference, "latency_ms", "median"), 2),
        "turns_per_second": round(at(figures, "turns_per_second") / at(reference, "turns_per_second"), 3),
        "serving_cpu": round(at(figures, "serving_cpu_ms", "median") / at(reference, "serving_cpu_ms", "median"), 2),
    }


async def _batch(session: aiohttp.ClientSession, kind: Kind, level: Level, samples: Samples) -> None:
    before = {name: cpu_seconds(pid) for name, pid in kind.meters.items()}
    turns = level.turns_of(kind)
    tickets = iter(range(turns))
    began = time.perf_counter()
    async with asyncio.TaskGroup() as clients:
        for _ in range(level.concurrency):
            clients.create_task(_client(session, kind, tickets, samples))
    samples.seconds += time.perf_counter() - began
    samples.turns += turns
    await asyncio.sleep(SETTLE_SECONDS)
    for name, pid in kind.meters.items():
        used = cpu_seconds(pid) - before[name]
        samples.cpu.setdefault(name, []).append(used / turns)


async def _client(session: aiohttp.ClientSession, kind: Kind, tickets: Iterator[int], samples: Samples) -> None:
    for _ in tickets:
        request = kind.request()
        began = time.perf_counter()
        first, tail = await _answer(session, request)
        if problem := request.problem(tail):
            samples.failures += 1
            print(f"A {kind.name} failed: {problem}", file=sys.stderr)
        else:
            samples.latencies.append(time.perf_counter() - began)
            samples.first_events.append(first - began)


async def _answer(session: aiohttp.ClientSession, request: Request) -> tuple[float, bytes]:
    """Return when the first bytes of the body came, and its last bytes; nothing at all if it broke off."""
    first, tail = 0.0, b""
    try:
        async with session.post(request.url, data=request.body, headers=request.headers, timeout=_TIMEOUT) as response:
            async for chunk in response.content.iter_any():
                first = first or time.perf_counter()
                tail = (tail + chunk)[-ENOUGH:]
    except (aiohttp.ClientError, TimeoutError):
        return 0.0, b""
    return first, tail


def failures(found: Figures) -> int:
    """Return how many turns failed in all that was measured."""
    below = sum(failures(part) for part in found.values() if isinstance(part, dict))
    own = found.get("failures", 0)
    return below + (own if isinstance(own, int) else 0)
