"""Two processes of each service over one store: a run is one's at a time, whatever becomes of that one.

A carrier that is frozen is the hard case: it does not know that it was away. Each phase of a run is tried: another
process takes the run over, and the frozen one, when it goes on, finds that out before it has a further effect.
"""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from backoffice import effects, model_fault, slow_down
from looking import store_of
from test_kill import data_of

from chosen_store import STORE
from control import contexts
from core import RunId, parse_timestamp
from core.bodies import CancelRequested, DecisionMade, RunOpened, RunResumed, ToolFinished
from core.events import Stored
from core.parts import RunState
from data import Store, read_run
from mandate.client import Client
from mandate.local.stack import Stack, free_port
from mandate.people import company_of, sign_in
from mandate.turns import ended
from orchestration import fold
from orchestration.records import CarrierRecord
from seeded import seeded

ELIF = "elif@alderfinch.example"
NOOR = "noor@alderfinch.example"
TENANT = company_of(ELIF).tenant
TICKET = "Open a ticket: the zip is lost."
REFUND = "Please refund 0.01 EUR for order A-20398 because the pole was late."

TAKEN_OVER_SECONDS = 20.0
CANCELLED_SECONDS = 2.0
"""The bounds that the architecture states."""

NOISE_SECONDS = 5.0
"""What a busy machine may add to any of them."""

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("replicas"), free_port(), separate=True, replicas=2, store=STORE)
    async with seeded(stack):
        yield stack


@pytest.fixture(scope="module")
async def store(stack: Stack) -> AsyncGenerator[Store]:
    async with store_of(stack) as store:
        yield store


@dataclass(frozen=True)
class World:
    """The product, and what only its host sees."""

    stack: Stack
    store: Store
    session: aiohttp.ClientSession
    elif_: Client

    async def begin(self, message: str) -> RunId:
        """Have Elif ask, and leave once the run is named."""
        headers = {"Authorization": f"Bearer {self.elif_.token}", "Accept": "text/event-stream"}
        body = {"agent": "support", "message": message, "use_knowledge": False}
        async with self.session.post(f"{self.stack.url}/v1/runs", json=body, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            return RunId(answer.headers["Mandate-Run"])

    async def log(self, run: RunId) -> Sequence[Stored]:
        return await read_run(data_of(self.store, TENANT), run)

    async def until(self, run: RunId, is_it: Callable[[Stored], bool], seconds: float = 60) -> Stored:
        """Return the first event of a run that is so, waiting for it."""
        async with asyncio.timeout(seconds):
            while not (found := [stored for stored in await self.log(run) if is_it(stored)]):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.02)
        return found[0]

    async def rest(self, run: RunId) -> RunState:
        """Return the state in which a run has ended."""
        async with asyncio.timeout(90):
            while (end := fold(await self.log(run)).ended) is None:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.1)
        return end.state

    async def carrier(self, run: RunId) -> str:
        """Return which process opened a run."""
        opened = (await self.log(run))[0].event.body
        assert isinstance(opened, RunOpened)
        records = self.store.tenant(contexts.publisher("test")).records
        names = {found.value.lease: found.key for found in (await records.list(CarrierRecord)).items}
        return f"orchestration-{names[opened.carrier]}"

    async def tickets(self, run: RunId) -> int:
        counted = await effects(self.stack, self.session, TENANT)
        return sum(effect.run == run for effect in counted)

    @asynccontextmanager
    async def frozen(self, part: str) -> AsyncGenerator[None]:
        process = self.stack.processes[part]
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    async def anew(self, part: str) -> None:
        await self.stack.kill(part)
        await self.stack.start_part(part)


@pytest.fixture
async def world(stack: Stack, store: Store, session: aiohttp.ClientSession) -> World:
    return World(stack, store, session, await sign_in(session, stack.url, ELIF))


def asks_for_ticket(stored: Stored) -> bool:
    body = stored.event.body
    return isinstance(body, DecisionMade) and body.target == "create_ticket"


def calls_model(stored: Stored) -> bool:
    body = stored.event.body
    return isinstance(body, DecisionMade) and body.target == "chat"


def is_resumed(stored: Stored) -> bool:
    return isinstance(stored.event.body, RunResumed)


@asynccontextmanager
async def before_the_decision(world: World) -> AsyncGenerator[RunId]:
    """The model is still to say what it proposes."""
    async with model_fault(world.stack, world.session, "stall=60,only=chat,once"):
        run = await world.begin(TICKET)
        await world.until(run, calls_model)
        yield run


@asynccontextmanager
async def between_decision_and_effect(world: World) -> AsyncGenerator[RunId]:
    """The decision is written, and the token that the back office wants is not there yet."""
    await asyncio.gather(*(world.anew(part) for part in world.stack.replicas_of("orchestration")))
    for _ in range(4):  # each process gets the tokens that it needs for everything else
        await ended(world.elif_, await world.begin("Good morning"), 60)
    async with world.frozen("identity"):
        run = await world.begin(TICKET)
        await world.until(run, asks_for_ticket)
        await asyncio.sleep(0.5)
        yield run


@asynccontextmanager
async def during_the_effect(world: World) -> AsyncGenerator[RunId]:
    """The back office has the request, and answers when nobody listens."""
    await slow_down(world.stack, world.session, stall_before=2)
    run = await world.begin(TICKET)
    await world.until(run, asks_for_ticket)
    await asyncio.sleep(1)
    yield run
    await slow_down(world.stack, world.session)


@asynccontextmanager
async def after_the_effect(world: World) -> AsyncGenerator[RunId]:
    """The outcome is written, and the model is to be told."""
    async with model_fault(world.stack, world.session, "stall=4,only=chat,once"):
        run = await world.begin(TICKET)
        await world.until(run, lambda stored: isinstance(stored.event.body, ToolFinished))
        yield run


Phase = Callable[[World], AbstractAsyncContextManager[RunId]]


@pytest.mark.parametrize(
    ("phase", "state", "tickets"),
    [
        (between_decision_and_effect, RunState.OUTCOME_UNKNOWN, 0),
        (before_the_decision, RunState.COMPLETED, 1),
        (during_the_effect, RunState.OUTCOME_UNKNOWN, 1),
        (after_the_effect, RunState.COMPLETED, 1),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_a_carrier_that_is_frozen_past_its_lease_has_no_further_effect(
    world: World, phase: Phase, state: RunState, tickets: int
) -> None:
    async with phase(world) as run:
        carrier = await world.carrier(run)
        async with world.frozen(carrier):
            began = time.time()
            resumed = await world.until(run, is_resumed)
            assert await world.rest(run) is state
            by = len(await world.log(run))
    await let_go(world, carrier, run)
    assert parse_timestamp(resumed.event.at).timestamp() - began < TAKEN_OVER_SECONDS + NOISE_SECONDS
    assert len(await world.log(run)) == by, "the frozen process wrote to a run that is another's"
    assert await world.tickets(run) == tickets
    await world.anew(carrier)


async def let_go(world: World, part: str, run: RunId) -> None:
    """Wait until a process says that it let a run go."""
    async with asyncio.timeout(30):
        while not is_let_go(world.stack.log_file(part), run):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.1)


def is_let_go(log: Path, run: RunId) -> bool:
    about = [line for line in log.read_text().splitlines() if run in line and "let go" in line]
    return any("conflict.sequence" in line or "run.lease" in line for line in about)


async def test_what_a_killed_process_carried_the_other_carries_on(world: World) -> None:
    async with model_fault(world.stack, world.session, "stall=5,only=chat,once"):
        runs = [await world.begin(TICKET) for _ in range(4)]
        for run in runs:
            await world.until(run, calls_model)
        carriers = [await world.carrier(run) for run in runs]
        assert len(set(carriers)) == 2, carriers
        began = time.time()
        await world.stack.kill("orchestration-1")
    states = Counter([await world.rest(run) for run in runs])
    took = time.time() - began
    assert states == {RunState.COMPLETED: 4}
    assert took < TAKEN_OVER_SECONDS + NOISE_SECONDS
    for run, carrier in zip(runs, carriers, strict=True):
        resumed = any(is_resumed(stored) for stored in await world.log(run))
        assert resumed == (carrier == "orchestration-1"), "only the runs of the dead process are taken up"
    assert [await world.tickets(run) for run in runs] == [1] * 4
    await world.stack.start_part("orchestration-1")


async def test_a_run_is_cancelled_whichever_process_is_asked(world: World) -> None:
    async with model_fault(world.stack, world.session, "stall=60,only=chat"):
        for asked_in_between in (0, 1):  # requests alternate, so that each kind of process is asked once
            run = await world.begin(TICKET)
            await world.until(run, calls_model)
            for _ in range(asked_in_between):
                assert (await world.elif_.ask("POST", f"/v1/runs/{run[:-1]}0/cancel")).status == 404
            began = time.time()
            assert (await world.elif_.ask("POST", f"/v1/runs/{run}/cancel")).status == 202
            cancelled = await world.until(run, lambda stored: isinstance(stored.event.body, CancelRequested))
            assert parse_timestamp(cancelled.event.at).timestamp() - began < CANCELLED_SECONDS + NOISE_SECONDS
            assert await world.rest(run) is RunState.CANCELLED
            assert not any(is_resumed(stored) for stored in await world.log(run)), "its carrier ended it itself"


async def test_a_decision_and_a_follower_find_the_run_whichever_process_they_ask(world: World) -> None:
    noor = await sign_in(world.session, world.stack.url, NOOR)
    for _ in range(2):
        asked = await world.elif_.ask("POST", "/v1/runs", {"agent": "support", "message": REFUND})
        assert asked.status == 202, asked.body
        pending = asked.body["pending_approval"]
        assert isinstance(pending, dict)
        following = asyncio.create_task(ended(world.elif_, str(asked.body["run"]), 30))
        await asyncio.sleep(0.5)
        body = {"verdict": "approved", "reason": "The carrier confirms it."}
        assert (await noor.ask("POST", f"/v1/approvals/{pending['approval']}/decision", body)).status == 200
        assert (await following).state == RunState.COMPLETED
        assert await world.tickets(RunId(str(asked.body["run"]))) == 1
