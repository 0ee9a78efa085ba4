"""What the services of one process share, and how it is opened: the store, the network, time, what files declare."""

import asyncio
import os
import ssl
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from fastapi import FastAPI

from control import (
    AccessLog,
    AgentManifest,
    Calls,
    Directory,
    Entitlements,
    Erasures,
    Features,
    Governance,
    Offered,
    Policies,
    Principals,
    StoreKeys,
    Switches,
    contexts,
    load_agents,
    load_governance,
)
from core import Clock, SystemClock
from core.errors import Defect
from data import Store
from mandate.configuration.app_configuration import AppConfiguration
from mandate.configuration.files import Files
from mandate.configuration.live import Configuration, Current, Source
from mandate.notaries import open_erasure_journal
from mandate.outbound import Destinations
from mandate.services import CALL, Name, Services, local_client_id
from mandate.settings import Settings
from mandate.stores import open_configured
from mandate.version import VERSION
from tools import Tool
from tools.backoffice import backoffice_tools
from tools.web_pages import web_page_tools
from web import (
    AssertionVerifier,
    AzureServiceTokens,
    Outbound,
    OutboundConnector,
    TokenValidator,
)

NOWHERE = "https://nowhere.invalid"
"""For tools that are only described to people: there is no way to call them."""


@dataclass(frozen=True, slots=True)
class Host:
    """What the services of one process share: the store, the network, time."""

    settings: Settings
    services: Services
    store: Store
    session: aiohttp.ClientSession
    outbound: Outbound
    clock: Clock
    directory: Directory
    access: AccessLog
    keys: StoreKeys
    policies: Policies
    switches: Switches
    principals: Principals
    erasures: Erasures
    configuration: Configuration
    features: Features
    entitlements: Entitlements
    agents: Mapping[str, AgentManifest]
    governance: Governance
    apps: dict[Name, FastAPI] = field(default_factory=dict[Name, FastAPI])
    """The services of this process that are composed by now; each comes after its peers."""

    def validator(self, audience: str) -> TokenValidator:
        return TokenValidator(
            issuer_template=self.settings.identity_issuer,
            jwks_uri=self.settings.identity_jwks,
            audience=audience,
            session=self.session,
            clock=self.clock,
        )

    def calls(self, name: Name) -> Calls:
        """Return what authenticates the calls to the internal service `name`."""
        service = self.services.services[name]
        return Calls(
            validator=self.validator(service.audience),
            verifier=AssertionVerifier(audience=name, keys=self.keys, clock=self.clock),
            services={client_id(self.settings, caller): caller for caller in service.accepts},
            role=CALL,
        )

    def tokens(self, name: Name) -> AzureServiceTokens:
        return AzureServiceTokens(client_id(self.settings, self.services.services[name].identity))


def product_tools(backoffice_url: str) -> Sequence[Tool]:
    """Return all tools of the product."""
    return (*backoffice_tools(backoffice_url), *web_page_tools())


def client_id(settings: Settings, identity: str) -> str:
    """Return the client id of an identity of ours: on a laptop derived, elsewhere from `MANDATE_CLIENT_ID_<NAME>`.

    Raises:
        Defect: it is not set (`defect.settings`).
    """
    if settings.is_local:
        return local_client_id(identity)
    name = f"MANDATE_CLIENT_ID_{identity.upper()}"
    if not (found := os.environ.get(name)):
        raise Defect(f"Nothing starts here without {name}, the client id of an identity.", code="defect.settings")
    return found


@asynccontextmanager
async def open_host(settings: Settings, identity: str, clock: Clock | None = None) -> AsyncGenerator[Host]:
    """Open what the services of one process share, and close it again.

    Args:
        settings: of this process.
        identity: ours, for what all of them share.
        clock: the system's if None.
    """
    clock = clock or SystemClock()
    governance = load_governance(settings.root / "environments" / "governance.yaml")
    async with AsyncExitStack() as stack:
        opening = open_configured(settings, client_id(settings, identity), clock, governance)
        store = await stack.enter_async_context(opening)
        journal = await stack.enter_async_context(open_erasure_journal(settings, client_id(settings, identity)))
        outbound = Destinations.load(settings.root / "environments").outbound(local=settings.is_local)
        connector = OutboundConnector(outbound, tls=tls(settings), limit=0, keepalive_seconds=60)
        session = await stack.enter_async_context(
            aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        )
        agents = load_agents(settings.root / "agents")
        tools = [tool.name for tool in product_tools(NOWHERE)]
        claims = [claim.switch for agent in agents.values() for claim in agent.claimed.claims]
        access = AccessLog(store, clock, code=VERSION)
        configuration = await stack.enter_async_context(_configured(settings, identity, store, access))
        directory = Directory(store, clock)
        yield Host(
            settings=settings,
            services=Services.load(settings.root / "environments"),
            store=store,
            session=session,
            outbound=outbound,
            clock=clock,
            directory=directory,
            access=access,
            keys=StoreKeys(store, clock),
            policies=Policies(environment=(settings.folder / "policies.cedar").read_text(), clock=clock),
            switches=Switches(store, clock, agents=agents, tools=tools, claims=claims),
            principals=Principals(store, clock, agents),
            erasures=Erasures(store, clock, journal),
            configuration=configuration,
            features=Features(directory, clock, lambda: configuration.flags, lambda: configuration.live.change_windows),
            entitlements=Entitlements(store, clock, _offered(configuration)),
            agents=agents,
            governance=governance,
        )


def _offered(configuration: Configuration) -> Mapping[str, Offered]:
    """Return what each plan gives, as it is at the moment."""
    return Current(lambda: {name: plan.offered for name, plan in configuration.live.plans.items()})


@asynccontextmanager
async def _configured(
    settings: Settings, identity: str, store: Store, access: AccessLog
) -> AsyncGenerator[Configuration]:
    """Give the configuration, looked at again and again for as long as the context lasts."""
    files = Files(settings.root / "environments", settings.environment)
    source, mine = _source(settings, files, identity), contexts.publisher("configuration")
    configuration = Configuration(
        source, await files.read(), lambda: store.tenant(mine).records, access, settings.environment
    )
    await configuration.start()
    watching = asyncio.create_task(configuration.watch())
    yield configuration
    watching.cancel()
    await configuration.aclose()


def _source(settings: Settings, files: Files, identity: str) -> Source:
    if not settings.configuration:
        return files
    return AppConfiguration(
        settings.configuration, client_id(settings, identity), files, settings.environment, settings.ca_file
    )


def tls(settings: Settings) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if settings.ca_file:
        context.load_verify_locations(settings.ca_file)
    return context
