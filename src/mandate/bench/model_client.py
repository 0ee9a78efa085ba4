"""What the model client costs by itself: router and adapter in a process of their own, called as a turn calls them."""

import ssl
import time
from datetime import timedelta
from pathlib import Path

import aiohttp
import uvloop
from pydantic import BaseModel

from control import ActionRequest, AgentFacts
from core import ActionKind, Permit, PrincipalKind, SystemClock, new_id
from core.errors import Defect
from data import Store, TenantData
from data.sqlite import open_store
from mandate.bench.appends import throw_away_context
from mandate.bench.asked import first_call, second_call
from mandate.bench.figures import Figures, spread
from mandate.bench.permits import permits_for
from mandate.bench.programs import read_order, tell
from mandate.settings import ROOT
from models import Adapter, Catalogue, ChatRequest, ChatResult, ModelRouter
from models.azure_inference import AzureInferenceAdapter
from models.openai import OpenAIAdapter

_CLOCK = SystemClock()


class Order(BaseModel):
    """Whom to call, with what, over which wire format, how often."""

    folder: Path
    endpoint: str
    adapter: str
    token: str
    ca_file: Path
    batches: int
    turns: int


async def measure(order: Order) -> Figures:
    """Return CPU milliseconds for the two model calls of a two-step turn."""
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=order.ca_file), limit=0)
    async with (
        open_store(order.folder / f"{order.adapter}.db") as store,
        aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        router = _router(order, session)
        data = store.tenant(throw_away_context())
        samples = [await _batch(router, store, data, order.turns) for _ in range(order.batches + 1)]
    return {"two_calls_cpu_ms": spread(samples[1:], scale=1000)}


def _router(order: Order, session: aiohttp.ClientSession) -> ModelRouter:
    async def token(_: str) -> str:
        return order.token

    settings = {"MODEL_ENDPOINT": order.endpoint, "MANDATE_MODEL_ADAPTER": order.adapter}
    file = ROOT / "environments" / "local" / "models.yaml"
    catalogue = Catalogue.load(file, settings=settings, local=True, today=_CLOCK.now().date())
    adapters: dict[str, Adapter] = {
        "openai": OpenAIAdapter(session, token),
        "azure-ai-inference": AzureInferenceAdapter(session, token),
    }
    return ModelRouter(catalogue, adapters, _CLOCK)


async def _batch(router: ModelRouter, store: Store, data: TenantData, turns: int) -> float:
    """Return the CPU seconds of a turn's two calls; permits are got beforehand."""
    requests: list[ChatRequest] = []
    for _ in range(turns):
        first = first_call(f"Look up order A-20417 for caller {new_id('caller')}.")
        requests += [first, second_call(first)]
    asked = [
        ActionRequest(ActionKind.CALL_MODEL, request.logical, 1, request.fingerprint(), {}) for request in requests
    ]
    permits = await permits_for(store, data, AgentFacts(kind=PrincipalKind.USER), asked)
    began = time.process_time()
    for request, permit in zip(requests, permits, strict=True):
        await _call(router, request, permit)
    return (time.process_time() - began) / turns


async def _call(router: ModelRouter, request: ChatRequest, permit: Permit) -> None:
    deadline = _CLOCK.now() + timedelta(seconds=30)
    async for item in router.chat(permit, request, plan="team", region="westeurope", deadline=deadline):
        if isinstance(item, ChatResult) and item.finish == "stop" and not item.text:
            raise Defect("The model said nothing.", code="defect.bench")


def main() -> None:
    tell(uvloop.run(measure(read_order(Order))))
