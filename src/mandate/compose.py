"""The composition root: the only place that knows which adapters are in use, and how the services are put together."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta

from fastapi import FastAPI

import control
import interaction
import orchestration
from control import (
    Budgets,
    ControlServices,
    Gate,
    Money,
    Sessions,
)
from core import Effect, TenantContext
from core.errors import MandateError
from data import Projector, verify_one
from data.azure_search import AzureSearch
from interaction import InteractionDependencies, PlanRates, RateLimits
from mandate.configuration.live import Current
from mandate.configuration.tree import CANDIDATE
from mandate.heartbeats import telling_of_itself
from mandate.host import NOWHERE, Host, client_id, product_tools, tls
from mandate.marketplaces import marketplace_services
from mandate.models_and_guards import model_router, open_guards
from mandate.notaries import open_notary
from mandate.plans import Plan, load_units
from mandate.services import Name
from mandate.version import VERSION
from models import catalogue_currency
from orchestration import (
    Carriers,
    Checkpointer,
    Claims,
    Eraser,
    OrchestrationDependencies,
    Readers,
    Sealer,
    StoreDriver,
    Sweeper,
)
from orchestration import Services as TurnServices
from tools import Egress, Executor, Origin, Registry, open_session
from web import (
    SIGNED_IN,
    AssertionSigner,
    AzureServiceTokens,
    Candidate,
    CustomerTokens,
    InProcess,
    Network,
    OpenIdClient,
    OutboundConnector,
    PeerClient,
    Transport,
)

BACKOFFICE_SCOPE = "api://backoffice/.default"

KEY_RENEWAL = timedelta(minutes=20)
"""Well within the hour for which a published key is valid."""


@asynccontextmanager
async def compose(name: Name, host: Host) -> AsyncGenerator[FastAPI]:
    """Give the application of one service, with all that it needs, for as long as the context lasts."""
    host.services.check(name)
    async with _composed(name, host) as app:
        app.state.notes = host.configuration.notes
        host.apps[name] = app
        yield app


@asynccontextmanager
async def _composed(name: Name, host: Host) -> AsyncGenerator[FastAPI]:
    match name:
        case "control":
            async with _control(host) as services:
                yield control.create_app(services)
        case "orchestration":
            async with _orchestration(host) as dependencies:
                yield orchestration.create_app(dependencies)
        case "interaction":
            async with _interaction(host) as dependencies:
                yield interaction.create_app(dependencies)


@asynccontextmanager
async def _control(host: Host) -> AsyncGenerator[ControlServices]:
    tokens = host.tokens("control")
    async with telling_of_itself(host, tokens):
        yield ControlServices(
            store=host.store,
            directory=host.directory,
            policies=host.policies,
            switches=host.switches,
            access=host.access,
            erasures=host.erasures,
            rings=lambda: host.configuration.live.rings,
            entitlements=host.entitlements,
            units=load_units(host.settings),
            authenticate=host.calls("control").caller,
            version=VERSION,
            marketplace=marketplace_services(host, tokens) if host.settings.marketplace_url else None,
        )
    await tokens.aclose()


@asynccontextmanager
async def _orchestration(host: Host) -> AsyncGenerator[OrchestrationDependencies]:
    async with AsyncExitStack() as stack:
        tokens = host.tokens("orchestration")
        stack.push_async_callback(tokens.aclose)
        tool_session = await stack.enter_async_context(
            open_session(connector=OutboundConnector(host.outbound, tls=tls(host.settings), keepalive_seconds=2))
        )
        origin = Origin.parse(host.settings.backoffice_url, scope=BACKOFFICE_SCOPE)
        projector = Projector(host.store.platform)
        carriers = Carriers(host.store, host.clock, host.settings.instance)
        pages = [page.strip() for page in host.settings.pages.split(",") if page.strip()]
        registry = Registry(product_tools(host.settings.backoffice_url))
        host_eraser = eraser(host, registry)
        services = TurnServices(
            store=host.store,
            gate=Gate(
                policies=host.policies,
                switches=host.switches,
                environment=host.settings.environment,
                clock=host.clock,
            ),
            budgets=Budgets(host.clock, lambda context: host.entitlements.budget(context.tenant)),
            money=Money(host.clock),
            models=model_router(host, tokens),
            registry=registry,
            executor=Executor(registry, Egress(tool_session, [origin], tokens.token, pages=pages), host.clock),
            agents=host.agents,
            clock=host.clock,
            code_version=VERSION,
            carriers=carriers,
            driver=StoreDriver(host.store, host.clock, carriers, projector),
            readers=Readers(host.settings.readers),
            guards=open_guards(host, registry, tokens),
            sources=AzureSearch(host.session, _customer_tokens(host, tokens).token),
            entitled=host.entitlements.of,
            features=host.features.on,
        )
        signer, anchor = await stack.enter_async_context(
            open_notary(host.settings, client_id(host.settings, "orchestration"))
        )
        yield OrchestrationDependencies(
            services=services,
            directory=host.directory,
            projector=projector,
            calls=host.calls("orchestration"),
            access=host.access,
            eraser=host_eraser,
            sweeper=Sweeper(
                host.store,
                host.directory,
                host.entitlements,
                host.governance.retention,
                host_eraser,
                Claims(host.switches, host.access, host.agents, host.clock),
                host.clock,
            ),
            checkpointer=Checkpointer(
                host.store, signer, anchor, host.clock, timedelta(minutes=host.settings.checkpoint_minutes)
            ),
            sealer=Sealer(host.store, signer, anchor, host.clock),
        )


def _customer_tokens(host: Host, tokens: AzureServiceTokens) -> CustomerTokens:
    return CustomerTokens(
        issuer=host.settings.identity_issuer,
        client_id=host.settings.sources_client_id,
        identity=tokens,
        session=host.session,
    )


def eraser(host: Host, registry: Registry) -> Eraser:
    def effect_of(tool: str) -> Effect | None:
        found = registry.get(tool)
        return found.effect if found else None

    return Eraser(host.store, host.erasures, host.clock, effect_of)


@asynccontextmanager
async def _interaction(host: Host) -> AsyncGenerator[InteractionDependencies]:
    signer = AssertionSigner("interaction", host.clock)
    await host.keys.publish(signer.key)
    tokens = host.tokens("interaction")
    async with AsyncExitStack() as stack:
        stack.push_async_callback(tokens.aclose)
        provider = _provider(host, tokens)
        candidate = candidate_of(host)
        registry = Registry(product_tools(NOWHERE))
        sessions = Sessions(host.store, host.clock, provider)
        renewal = asyncio.create_task(_renew(host, signer, sessions))
        stack.callback(renewal.cancel)
        yield InteractionDependencies(
            store=host.store,
            directory=host.directory,
            validator=host.validator(host.services.services["interaction"].audience),
            access=host.access,
            policies=host.policies,
            switches=host.switches,
            principals=host.principals,
            agents=host.agents,
            orchestration=_peer(host, "orchestration", host.settings.orchestration_url, tokens, signer, candidate),
            candidate=candidate.transport if candidate else None,
            webhooks=_way(host, "control", host.settings.control_url),
            control=_peer(host, "control", host.settings.control_url, tokens, signer),
            limits=RateLimits(
                Current(lambda: {name: PlanRates(one.per_person, one.per_tenant) for name, one in _plans(host).items()})
            ),
            features=host.features,
            registry=registry,
            eraser=eraser(host, registry),
            governance=host.governance,
            clock=host.clock,
            version=VERSION,
            verify=verify_one,
            environment=host.settings.environment,
            currency=catalogue_currency(host.settings.folder / "models.yaml"),
            sessions=sessions,
            provider=provider,
            sign_ins=host.validator(provider.client_id),
            public_url=host.settings.public_url.rstrip("/"),
            publisher=host.settings.marketplace_tenant,
        )


def _plans(host: Host) -> Mapping[str, Plan]:
    return host.configuration.live.plans


def _provider(host: Host, tokens: AzureServiceTokens) -> OpenIdClient:
    """Return the console as a client of everybody's identity provider, whichever tenant they are from."""
    return OpenIdClient(
        authority=host.settings.identity_issuer.replace("{tid}", "common"),
        client_id=host.settings.console_client_id,
        scope=f"{host.services.services['interaction'].audience}/.default",
        redirect_uri=f"{host.settings.public_url}{SIGNED_IN}",
        identity=tokens,
        session=host.session,
    )


def candidate_of(host: Host) -> Candidate | None:
    """Return the revision of orchestration that the flag `candidate` sends tenants to; None where it has no address."""
    if not (url := host.settings.orchestration_candidate_url):
        return None

    async def is_for(context: TenantContext) -> bool:
        flags = host.configuration.flags.all  # without the flag nothing is asked, whichever others there are
        return CANDIDATE in flags and CANDIDATE in await host.features.on(host.store.tenant(context))

    return Candidate(Network(host.session, url), is_for)


def _peer(
    host: Host,
    name: Name,
    url: str,
    tokens: AzureServiceTokens,
    signer: AssertionSigner,
    candidate: Candidate | None = None,
) -> PeerClient:
    return PeerClient(
        transport=_way(host, name, url),
        audience_service=name,
        scope=f"{host.services.services[name].audience}/.default",
        tokens=tokens,
        signer=signer,
        clock=host.clock,
        candidate=candidate,
    )


def _way(host: Host, name: Name, url: str) -> Transport:
    app = host.apps.get(name)
    return InProcess(app) if app else Network(host.session, url)


async def _renew(host: Host, signer: AssertionSigner, sessions: Sessions) -> None:
    """Publish the process's key again and again, each time for another hour; clear away sessions that have ended."""
    while True:
        await asyncio.sleep(KEY_RENEWAL.total_seconds())
        await host.keys.publish(signer.key)
        with suppress(MandateError):  # the keys must be renewed all the same; the next round clears away more
            await sessions.delete_ended()
