"""The order of things: start, seed, measure turns, then the parts; end everything, and print."""

import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import aiohttp
import orjson

from core.errors import Unavailable
from mandate.bench import appends, cosmos, decisions, gates, looks, model_client, passthrough, retrieval
from mandate.bench.asked import first_call
from mandate.bench.figures import Figures, spread
from mandate.bench.load import Kind, Level, compare, failures, measure
from mandate.bench.machine import machine
from mandate.bench.programs import program, result_of
from mandate.bench.report import show
from mandate.bench.turns import TURNS, Turns, passthrough_maker, sign_in
from mandate.local.seeding import seed
from mandate.local.stack import Stack, free_port, running
from mandate.local.world import load_companies
from mandate.services import Services, local_client_id
from mandate.settings import ROOT

AZURE = "azure-ai-inference"


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    levels: tuple[Level, ...]
    starts: int
    append_seconds: float
    decisions: int
    client_batches: tuple[int, int]
    """How many, and of how many turns."""
    passages: tuple[int, ...]
    searches: int
    cosmos_turns: int
    """Of each kind on Cosmos DB; 0 for none, since a product of its own has to be set up for them."""


FULL = Plan(
    (Level(1, 10, 20), Level(16, 6, 96), Level(64, 5, 192)), 3, 3.0, 5000, (10, 20), (1_000, 10_000, 100_000), 200, 20
)
QUICK = Plan((Level(1, 2, 6), Level(16, 1, 16)), 1, 0.2, 80, (1, 5), (1_000,), 20, 0)


@dataclass(frozen=True, slots=True)
class _Running:
    """A product with people signed in, and the pass-through beside it."""

    stack: Stack
    session: aiohttp.ClientSession
    turns: Turns
    reference: Kind
    token: str

    def kinds(self, *names: str) -> list[Kind]:
        """Return the reference and the turns `names`, as they alternate."""
        processes = self.stack.processes
        meters = {
            "serving_cpu_ms": processes["product"].pid,
            "model_endpoint_cpu_ms": processes["model"].pid,
            "backoffice_cpu_ms": processes["backoffice"].pid,
        }
        return [
            self.reference,
            *(Kind(name, self.turns.maker(name), meters, slow=name == "rag_turn") for name in names),
        ]


async def bench(*, quick: bool, as_json: bool) -> int:
    """Measure and print. Return 1 if a turn failed, else 0."""
    task = asyncio.current_task()
    assert task
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    data = ROOT / ".mandate"
    data.mkdir(mode=0o700, exist_ok=True)
    # Beside the data of `mandate up`, since /tmp may be memory, and what is measured is a disk.
    with tempfile.TemporaryDirectory(prefix="bench-", dir=data) as folder:
        found = await _measured(Path(folder), QUICK if quick else FULL)
    if as_json:
        print(orjson.dumps(found).decode())
    else:
        show(found)
    return 1 if failures(found) else 0


async def _measured(folder: Path, plan: Plan) -> Figures:
    found: Figures = {"machine": machine()}
    async with _running(folder) as running:
        for level in plan.levels:
            _say(f"Turns, {level.concurrency} at once ...")
            _merge(found, level, await measure(running.session, running.kinds(*TURNS), level))
        _say("Starting again, now with azure-ai-inference ...")
        running.stack.extra = {"MANDATE_MODEL_ADAPTER": AZURE}
        found["start_up"] = await _start_up(running.stack, plan.starts)
        other: Figures = {}
        _merge(other, plan.levels[0], await measure(running.session, running.kinds("two_step_turn"), plan.levels[0]))
        found["azure_ai_inference"] = other
        _say("The model client by itself ...")
        clients = [_model_client(folder, running, plan, adapter) for adapter in ("openai", AZURE)]
        found["model_client"], other["model_client"] = await asyncio.gather(*clients)  # CPU time, each of its own
    _say("Appends and decisions ...")
    levels = tuple(level.concurrency for level in FULL.levels)
    order = appends.Order(folder=folder, seconds=plan.append_seconds, appenders=levels)
    found["append"] = await result_of("appends", order)
    found["decision"] = await result_of("decisions", decisions.Order(decisions=plan.decisions))
    found["gate"] = await result_of("gates", gates.Order(folder=folder, decisions=plan.decisions))
    found["guards"] = await result_of("looks", looks.Order(turns=plan.decisions))
    _say("Searches ...")
    searches = retrieval.Order(folder=folder, sizes=plan.passages, searches=plan.searches)
    found["retrieval"] = await result_of("retrieval", searches)
    if plan.cosmos_turns:
        _say("What turns ask of Cosmos DB ...")
        found["cosmos"] = await cosmos.asked(folder / "cosmos", plan.cosmos_turns)
    return found


@asynccontextmanager
async def _running(folder: Path) -> AsyncGenerator[_Running]:
    """Start the product and the pass-through, seed the product, sign everybody in."""
    stack = Stack(folder, free_port())
    companies, services = load_companies(ROOT), Services.load(ROOT / "environments")
    _say("Starting a product and its emulators ...")
    async with running(stack), aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        _say("Setting up the demo companies; the first time, embedding their documents takes a minute ...")
        await seed(stack, services, companies, _no_progress)
        token = await _model_token(session, stack)
        order = passthrough.Order(endpoint=f"{stack.address('model')}/openai/v1", token=token, ca_file=stack.ca_file)
        async with program("passthrough", order) as (pid, told):
            make = passthrough_maker(f"http://127.0.0.1:{told['port']}/chat", first_call(""))
            meters = {"serving_cpu_ms": pid, "model_endpoint_cpu_ms": stack.processes["model"].pid}
            turns = Turns(stack.url, await sign_in(session, stack.url, companies))
            yield _Running(stack, session, turns, Kind("passthrough", make, meters), token)


def _merge(found: Figures, level: Level, kinds: dict[str, Figures]) -> None:
    """Put each kind's figures of one level in its place, each turn's with its ratio to the reference."""
    for name, figures in kinds.items():
        if name != "passthrough":
            figures["ratio"] = compare(figures, kinds["passthrough"])
        place = found.setdefault(name, {})
        assert isinstance(place, dict)
        place[f"c{level.concurrency}"] = figures


async def _model_token(session: aiohttp.ClientSession, stack: Stack) -> str:
    """Return the product's own token for the model endpoint, by the managed-identity protocol."""
    query = {
        "api-version": "2019-08-01",
        "resource": "https://cognitiveservices.azure.com",
        "client_id": local_client_id("orchestration"),
    }
    headers = {"X-IDENTITY-HEADER": stack.secret}
    async with session.get(f"{stack.address('identity')}/msi/token", params=query, headers=headers) as response:
        if response.status != HTTPStatus.OK:
            raise Unavailable("The local identity provider gives no token for the models.", code="bench.token")
        return orjson.loads(await response.read())["access_token"]


async def _start_up(stack: Stack, starts: int) -> Figures:
    """Return how long the product takes from being started to being ready, with data there, and a command to answer."""
    ready: list[float] = []
    for _ in range(starts):
        await stack.kill_product()
        began = time.perf_counter()
        await stack.start_product()
        ready.append(time.perf_counter() - began)
    command: list[float] = []
    for _ in range(starts):
        began = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "mandate", "version", stdout=asyncio.subprocess.DEVNULL
        )
        await process.wait()
        command.append(time.perf_counter() - began)
    return {"seconds": spread(ready)["median"], "command_seconds": spread(command)["median"]}


async def _model_client(folder: Path, running: _Running, plan: Plan, adapter: str) -> Figures:
    wire = "openai/v1" if adapter == "openai" else "models"
    order = model_client.Order(
        folder=folder,
        endpoint=f"{running.stack.address('model')}/{wire}",
        adapter=adapter,
        token=running.token,
        ca_file=running.stack.ca_file,
        batches=plan.client_batches[0],
        turns=plan.client_batches[1],
    )
    return await result_of("model_client", order)


def _no_progress(name: str, done: int, total: int) -> None:
    pass


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)
