"""The whole product in this process, with two tenants that both have some of everything."""

# pyright: reportPrivateUsage=false
# (the product is served as `mandate serve` does it)

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import aiohttp
import apsw
import orjson
import pytest
import yaml
from fastapi import FastAPI

from chosen_store import STORE
from control import contexts
from core import Json, TenantContext, TenantId
from core.parts import RunState
from data import RUNS, Projector, Store
from data.sqlite.connections import Connection
from interaction import InteractionDependencies
from mandate import serve
from mandate.client import Client, File
from mandate.compose import compose
from mandate.host import Host, open_host
from mandate.local.kept import FILES
from mandate.local.seeding import seed
from mandate.local.stack import Stack, free_port
from mandate.local.world import Company, load_companies
from mandate.people import sign_in
from mandate.services import NAMES, Name, Services
from mandate.settings import ROOT, Settings
from orchestration.retention import settle_retention

QUICKLY = {"per_second": 10_000, "burst": 100_000}
SHARED = "handbook"
"""A collection that both tenants have under one name."""

KEY = "the-same-key-1"
"""An idempotency key that both tenants use, for the same question."""

CANARIES = {"alderfinch": "zanzibarquokka", "quillmere": "xylophonemarmot"}
"""A word for each tenant that stands in all that it has, and nowhere else."""

ORDERS = {"alderfinch": "A-20398", "quillmere": "QMI-2026-0371"}


class Emulators(Stack):
    """What is around the product, as processes; the product itself runs where the tests do."""

    @property
    def environment(self) -> dict[str, str]:
        """What a process of the product is told."""
        return self._environment()

    @property
    def ca_file(self) -> Path:
        """The authority of the emulators, which may be those of another process."""
        return Path(os.environ.get("MANDATE_CA_FILE", super().ca_file))

    @property
    def parts(self) -> tuple[str, ...]:
        return ()


@dataclass(frozen=True)
class Product:
    """Attributes:
    urls: of the three services, each on a socket of its own.
    """

    stack: Stack
    host: Host
    session: aiohttp.ClientSession

    @property
    def urls(self) -> dict[Name, str]:
        return {name: f"http://127.0.0.1:{self.stack.ports[name]}" for name in NAMES}

    @property
    def apps(self) -> Mapping[Name, FastAPI]:
        return self.host.apps

    @property
    def store(self) -> Store:
        return self.host.store


@dataclass(frozen=True)
class Tenant:
    """One of the two, and who in it may do the most."""

    company: Company
    owner: Client
    user: Client

    @property
    def id(self) -> TenantId:
        return self.company.tenant

    @property
    def canary(self) -> str:
        return CANARIES[self.company.about.slug]

    @property
    def vault(self) -> str:
        """A collection that only this tenant has."""
        return vault(self.company.about.slug)


def vault(slug: str) -> str:
    return f"vault-{slug}"


def write_root(root: Path) -> None:
    """Write the settings of a product whose demo companies have a canary in everything, and who may ask quickly."""
    for folder in ("environments", "agents"):
        shutil.copytree(ROOT / folder, root / folder)
    plans = root / "environments" / "plans.yaml"
    known = yaml.safe_load(plans.read_text())
    for plan in known["plans"].values():
        plan |= {"per_person": QUICKLY, "per_tenant": QUICKLY}
    plans.write_text(yaml.safe_dump(known))
    agent = root / "agents" / "support" / "agent.yaml"
    manifest = yaml.safe_load(agent.read_text())
    manifest["data"]["collections"] = [SHARED, *map(vault, CANARIES)]
    agent.write_text(yaml.safe_dump(manifest))
    for slug, canary in CANARIES.items():
        _write_company(root / "environments" / "local" / "demo" / slug, slug, canary)


RULE = """@id("of-{slug}") @lane("never") @reason("No orders of {canary}.")
forbid (principal, action == Mandate::Action::"call_tool", resource == Mandate::Tool::"delete_customer")
when {{ context.agent == "{slug}" }};
"""
"""A rule of each company's own, so that not both are under the same rules, which would then be under the same id."""


def _write_company(folder: Path, slug: str, canary: str) -> None:
    about = yaml.safe_load((folder / "tenant.yaml").read_text())
    about["collections"] = [
        {**about["collections"][0], "id": name, "title": f"{canary} collection", "purpose": f"What {canary} is for."}
        for name in (SHARED, vault(slug))
    ]
    (folder / "tenant.yaml").write_text(yaml.safe_dump(about))
    (folder / "tenant_policies.cedar").write_text(RULE.format(canary=canary, slug=slug))
    shutil.rmtree(folder / "documents")
    for name in (SHARED, vault(slug)):
        (folder / "documents" / name).mkdir(parents=True)
        text = f"---\ntitle: The {canary} warranty\n---\n# The warranty\n\nThe warranty of the {canary} is two years.\n"
        (folder / "documents" / name / "warranty.md").write_text(text)


UNDISTURBED = {"MANDATE_CHECKPOINT_MINUTES": "1000"}
"""What is compared before and after an attack changes by itself when checkpoints are made."""


@asynccontextmanager
async def emulators(folder: Path, root: Path) -> AsyncGenerator[Emulators]:
    """Run what is around the product, and tell this process of it as a product's process is told."""
    stack = Emulators(folder, free_port(), store=STORE, extra={"MANDATE_ROOT": str(root), **UNDISTURBED})
    with pytest.MonkeyPatch.context() as patch:
        try:
            await stack.start()
            for name, value in stack.environment.items():
                patch.setenv(name, value)
            yield stack
        finally:
            await stack.stop()


@asynccontextmanager
async def product(stack: Stack) -> AsyncGenerator[Product]:
    """Serve the product from this process, as `mandate serve all` does."""
    async with AsyncExitStack() as ends:
        settings = Settings()
        identity = Services.load(settings.root / "environments").services[NAMES[-1]].identity
        host = await ends.enter_async_context(open_host(settings, identity))
        sockets = {name: ends.enter_context(_listen(stack.ports[name])) for name in NAMES}
        servers: list[serve._Server] = []
        group = await ends.enter_async_context(asyncio.TaskGroup())
        for name in NAMES:
            app = await ends.enter_async_context(compose(name, host))
            servers.append(serve._server(serve._fronted(name, app, host)))
            await servers[-1].start(group, sockets[name])
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
            yield Product(stack, host, session)
        for server in servers:
            server.should_exit = True


def _listen(port: int) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    return bound


@asynccontextmanager
async def beside(world: Path, folder: Path) -> AsyncGenerator[tuple[Product, list[Tenant]]]:
    """Serve a product of one's own, on a copy of the data, beside the emulators that `emulated_world` runs."""
    given = orjson.loads(await asyncio.to_thread(world.read_bytes))
    shutil.copy(given["database"], folder / FILES[STORE])
    ports = {**given["ports"], **{name: free_port() for name in (*NAMES, "cosmos")}}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in given["environment"].items():
            patch.setenv(name, value)
        told = {name: value for name, value in given["environment"].items() if name != "MANDATE_STORE"}
        stack = Emulators(folder, ports["interaction"], store=STORE, ports=ports, extra=told)
        patch.setenv("MANDATE_STORE", stack.environment["MANDATE_STORE"])
        async with _own_store(stack), product(stack) as running:
            yield running, [_known(running, company, given["tokens"]) for company in _companies(running)]


@asynccontextmanager
async def _own_store(stack: Emulators) -> AsyncGenerator[None]:
    """Run what serves the copy of the data, if that is no mere file, under the authority of the other emulators."""
    try:
        if stack.store == "cosmos":
            shutil.copytree(stack.ca_file.parent, stack.folder / "authority")
            await stack.start_emulator("cosmos")
        yield
    finally:
        await stack.stop()


def _known(product: Product, company: Company, tokens: Mapping[str, str]) -> Tenant:
    owner, member = (
        Client(product.session, product.urls["interaction"], tokens[name], name) for name in _people(company)
    )
    return Tenant(company, owner, member)


def _people(company: Company) -> tuple[str, str]:
    """Return the user names of the owner and of somebody who is a user and nothing else."""
    user = next(user for user in company.about.users if [*user.roles] == ["user"])
    return company.admin.username, user.username


def _companies(product: Product) -> list[Company]:
    return load_companies(product.host.settings.root)


async def tenants(product: Product) -> list[Tenant]:
    """Sign in the owner and a user of each tenant."""
    url = product.urls["interaction"]
    return [
        Tenant(company, *[await sign_in(product.session, url, name) for name in _people(company)])
        for company in _companies(product)
    ]


async def context_of(product: Product, client: Client) -> TenantContext:
    """Return the authority of somebody who is signed in, as the edge finds it."""
    edge: InteractionDependencies = product.apps["interaction"].state.dependencies
    return await edge.directory.resolve(await edge.validator.verify(client.token), correlation="test")


async def fill(product: Product) -> list[Tenant]:
    """Onboard both tenants and make some of everything in each."""
    companies = _companies(product)
    await seed(product.stack, Services.load(ROOT / "environments"), companies, lambda name, done, total: None)
    both = await tenants(product)
    await asyncio.gather(*(_live(tenant) for tenant in both))
    for tenant in both:
        await _swept(product.host, tenant.id)
    await settled(product.store)
    return both


async def _swept(host: Host, tenant: TenantId) -> None:
    """Settle now how long content stays, which the first sweep does within a minute: no test shall see that come."""
    kept = {**host.governance.retention, **(await host.entitlements.of(tenant)).retention}
    await settle_retention(host.store, host.store.tenant(contexts.from_meter(tenant)), kept, host.clock)


async def _live(tenant: Tenant) -> None:
    """Ask, be shown passages, want something approved, object, upload, search: by two members."""
    canary, order = tenant.canary, ORDERS[tenant.company.about.slug]
    for client in (tenant.owner, tenant.user):
        asked = await client.post(
            "/v1/runs",
            {"agent": "support", "message": f"How long is the warranty of the {canary}?"},
            Idempotency_Key=KEY,
        )
        await client.post(f"/v1/runs/{asked['run']}/flags", {"kind": "wrong", "reason": f"The {canary} has none."})
        hold = {"scope": "run", "target": asked["run"], "reason": f"Somebody sues over the {canary}."}
        await tenant.owner.post("/v1/data/holds", dict(hold))
        title: Json = {"title": f"About the {canary}"}
        answer = await client.ask("PATCH", f"/v1/conversations/{asked['conversation']}", title)
        assert answer.status == 200, answer.body
        wanted = f"Please refund 1.00 EUR for order {order} because the {canary} was torn."
        parked = await client.post("/v1/runs", {"agent": "support", "message": wanted})
        assert parked["state"] == "parked", parked
    await tenant.owner.post("/v1/search", {"text": f"{canary} warranty"})
    deputy = (await tenant.user.get("/v1/me"))["id"]
    since = datetime.now(UTC)
    until = since + timedelta(days=60)
    named: Json = {"deputy": deputy, "since": since.isoformat(), "until": until.isoformat()}
    answer = await tenant.owner.ask("PUT", "/v1/approvals/deputies", named)
    assert answer.status == 200, answer.body
    file = File(f"{canary}.html", "text/html", f"<h1>The {canary}</h1><p>A {canary} is kept dry.</p>".encode())
    _, gone = [await tenant.owner.upload("/v1/documents", file, {"collection": tenant.vault}) for _ in range(2)]
    await tenant.owner.ask("DELETE", f"/v1/documents/{gone['document']}")


async def settled(store: Store) -> None:
    """Wait until the views show all that was appended."""
    await Projector(store.platform).catch_up()


async def quiet(product: Product) -> None:
    """Wait until nothing is under way in either tenant: no run, no record of a refusal, no view behind."""
    platform, after = product.store.platform, ""
    async with asyncio.timeout(30):
        while [row async for row in platform.due(RUNS.view, states=[RunState.RUNNING])]:  # noqa: ASYNC110 - other tasks
            await asyncio.sleep(0.05)
        while (page := await platform.feed(after=after, limit=5000)).events:
            after = page.checkpoint
            await settled(product.store)
            await asyncio.sleep(0.3)


async def share(product: Product, both: Sequence[Tenant], file: Path) -> Path:
    """Write what `beside` needs: where the emulators are, who is signed in, a copy of the data as it is now."""
    copy = file.with_suffix(".db")
    await asyncio.to_thread(_copy, product.stack.folder / FILES[STORE], copy)
    clients = [client for tenant in both for client in (tenant.owner, tenant.user)]
    world = {
        "environment": environment(),
        "database": str(copy),
        "ports": product.stack.ports,
        "tokens": {client.username: client.token for client in clients},
    }
    part = file.with_suffix(".part")
    await asyncio.to_thread(part.write_bytes, orjson.dumps(world))
    part.rename(file)
    return file


def _copy(database: Path, copy: Path) -> None:
    connection = cast("Connection", apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY))
    connection.execute("VACUUM INTO ?", (str(copy),))
    connection.close()


def environment() -> dict[str, str]:
    """Return what a process needs to serve the product beside the emulators that run now."""
    names = ("MANDATE_", "IDENTITY_", "AZURE_", "MODEL_")
    return {name: value for name, value in os.environ.items() if name.startswith(names)}


def json_of(body: bytes) -> dict[str, Json]:
    return cast("dict[str, Json]", orjson.loads(body))
