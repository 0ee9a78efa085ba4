"""`mandate emulate`: one emulator as a process of its own. Each refuses to start outside `local`."""

import asyncio
import os
import signal
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import aiohttp
import uvicorn
import yaml
from starlette.types import ASGIApp

from core import SystemClock
from core.errors import Forbidden
from emulators.authority import LocalAuthority
from mandate.client import CLIENT_ID, REDIRECT_URI
from mandate.local.stack import Emulator
from mandate.local.world import Company, load_companies
from mandate.services import Services, local_client_id
from mandate.settings import ROOT, Settings
from telemetry import uvicorn_log_config
from web import EXCHANGE_AUDIENCE, SIGNED_IN, SIGNED_OUT, TokenValidator

if TYPE_CHECKING:
    from emulators import identity

MODEL = "https://cognitiveservices.azure.com"
BACKOFFICE = "api://backoffice"
COSMOS = "https://127.0.0.1"
"""The SDK asks for a token for the account's host, without its port."""

SEARCH = "https://search.azure.com"

DATABASE = "mandate"

AUDIENCES: Mapping[str, str] = {"models.user": MODEL, "backoffice.call": BACKOFFICE, "store.readwrite": COSMOS}
"""Roles of `services.yaml` on what is not ours, and the audience of tokens for it."""

EMBEDDINGS = ROOT / ".mandate" / "embeddings"
"""Vectors of passages by the hash of their text, so that a fresh start does not embed the same documents again."""

Authorize = Callable[[str], Awaitable[None]]


async def emulate(name: Emulator, port: int, folder: Path, settings: Settings) -> None:
    """Serve one emulator on 127.0.0.1 until the process is told to stop."""
    match name:
        case "identity":
            await _serve(_identity(settings, folder), port)
        case "model":
            async with _only(settings, MODEL, "models.user") as authorize:
                await _serve(_model(authorize), port, folder)
        case "backoffice":
            async with _only(settings, BACKOFFICE, "backoffice.call") as authorize:
                await _serve(_backoffice(authorize, folder, load_companies(settings.root)), port, folder)
        case "marketplace":
            from mandate.local.emulated_market import marketplace_app

            async with marketplace_app(settings, folder) as app:
                await _serve(app, port, folder)
        case "cosmos":
            async with _only(settings, COSMOS, "store.readwrite") as authorize:
                await _cosmos(authorize, settings, port, folder)


async def ingress(routes: Mapping[int, Sequence[int]]) -> None:
    """Serve at each port what is at the ports behind it, in turns, until the process is told to stop."""
    from emulators.ingress import create_app

    async with asyncio.TaskGroup() as group:
        for port, behind in routes.items():
            group.create_task(_serve(create_app([f"http://127.0.0.1:{replica}" for replica in behind]), port))


def _identity(settings: Settings, folder: Path) -> ASGIApp:
    from emulators import identity
    from mandate.local.emulated_market import MARKETPLACE, buyers, publishers, seller_identity

    companies = load_companies(settings.root)
    base = f"{settings.public_url}/identity"
    services = _service_identities(Services.load(settings.root / "environments"))
    edge = services[local_client_id("interaction")]
    console = identity.ClientRegistration(
        settings.console_client_id,
        "Mandate",
        [f"{settings.public_url}{path}" for path in (SIGNED_IN, SIGNED_OUT)],
        identity.FederatedCredential(f"{base}/{identity.SERVICE_TID}/v2.0", edge.object_id, EXCHANGE_AUDIENCE),
    )
    trusted = identity.FederatedCredential(
        f"{base}/{identity.SERVICE_TID}/v2.0", services[local_client_id("orchestration")].object_id, EXCHANGE_AUDIENCE
    )
    sources = identity.ClientRegistration(settings.sources_client_id, "Mandate's sources", [], trusted, [SEARCH])
    seller = identity.FederatedCredential(
        f"{base}/{identity.SERVICE_TID}/v2.0", services[local_client_id("control")].object_id, EXCHANGE_AUDIENCE
    )
    offer = identity.ClientRegistration(settings.marketplace_client_id, "The offer", [], seller, [MARKETPLACE])
    command_line = identity.ClientRegistration(CLIENT_ID, "Mandate on the command line", [REDIRECT_URI])
    return identity.create_app(
        issuer_base=base,
        tenants=[
            identity.DirectoryTenant(
                tid=company.about.entra_tenant_id,
                name=company.about.name,
                users=[
                    identity.DirectoryUser(
                        username=user.username,
                        name=user.name,
                        object_id=user.object_id,
                        roles=user.roles,
                        groups=company.object_ids(user.groups),
                    )
                    for user in company.about.users
                ],
            )
            for company in companies
        ]
        + buyers(settings),
        folder=folder / "identity",
        services={**services, MARKETPLACE: seller_identity(settings)},
        clients=[console, sources, offer, command_line],
        publishers=publishers(settings),
        v1_resources=[settings.marketplace_client_id],  # as a registration that says nothing of versions
        header_secret=os.environ["IDENTITY_HEADER"],
    )


def _service_identities(services: Services) -> "Mapping[str, identity.ServiceIdentity]":
    """Give each identity the app roles that `services.yaml` says it has, and no others."""
    from emulators import identity
    from mandate.local.emulated_market import ARM

    found: dict[str, identity.ServiceIdentity] = {}
    for name in services.identity_names():
        roles: dict[str, Sequence[str]] = {
            service.audience: [service.accepts[name]]
            for service in services.services.values()
            if name in service.accepts
        }
        for service in services.services.values():
            if service.identity == name:
                roles |= {AUDIENCES[role]: [role] for role in service.roles if role in AUDIENCES}
        if name == "control":
            roles[ARM] = []  # what it may read there says the offer, in the customer's subscription
        client_id = local_client_id(name)
        found[client_id] = identity.ServiceIdentity(
            client_id=client_id, object_id=str(uuid.uuid5(uuid.UUID(client_id), "object")), name=name, roles=roles
        )
    return found


def _model(authorize: Authorize) -> ASGIApp:
    from emulators import model_endpoint

    EMBEDDINGS.mkdir(parents=True, exist_ok=True)
    given = os.environ.get("MODEL_DEPLOYMENTS", "")
    return model_endpoint.create_app(
        authorize=authorize,
        embedder=model_endpoint.E5Embedder(EMBEDDINGS),
        deployments=dict(pair.split("=", 1) for pair in given.split(",") if pair),
    )


def _backoffice(authorize: Authorize, folder: Path, companies: Sequence[Company]) -> ASGIApp:
    from emulators import backoffice

    return backoffice.create_app(
        authorize=authorize,
        folder=folder / "backoffice",
        seeds={company.tenant: backoffice.load_seed(company.folder / "backoffice.yaml") for company in companies},
        pages={
            f"{company.folder.name}/{path.stem}": path.read_text("utf-8")
            for company in companies
            for path in sorted(company.folder.glob("pages/*.html"))
        },
    )


async def _cosmos(authorize: Authorize, settings: Settings, port: int, folder: Path) -> None:
    """Serve the store with its containers in it: in Azure a template makes them, and roles on data may not."""
    from emulators import cosmos

    async def data_only(token: str) -> bool:
        await authorize(token)
        return False

    declared = yaml.safe_load((settings.root / "environments" / "containers.yaml").read_text())
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # uvicorn raises it anew when it has ended, and the file is open yet
    async with cosmos.CosmosEmulator(folder / "cosmos.db", authorize=data_only) as emulator:
        await emulator.provision(DATABASE, declared["containers"])
        await _serve(emulator, port, folder, cosmos.DroppingProtocol)


@asynccontextmanager
async def _only(settings: Settings, audience: str, role: str) -> AsyncGenerator[Authorize]:
    """Give a check that lets in only services with a token for `audience` and the app role `role`."""
    async with aiohttp.ClientSession() as session:
        validator = TokenValidator(
            issuer_template=settings.identity_issuer,
            jwks_uri=settings.identity_jwks,
            audience=audience,
            session=session,
            clock=SystemClock(),
        )

        async def authorize(token: str) -> None:
            verified = await validator.verify(token)
            if not verified.is_app or role not in verified.roles:
                raise Forbidden("This token does not let its owner call this.", code="access.not_a_peer")

        yield authorize


async def _serve(
    app: ASGIApp,
    port: int,
    folder: Path | None = None,
    protocol: type[asyncio.Protocol] | Literal["httptools"] = "httptools",
) -> None:
    """Serve over HTTPS, with a certificate of the local authority, where a folder is given that has one."""
    certificate, key = LocalAuthority.open(folder / "authority").issue(["127.0.0.1"]) if folder else (None, None)
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        http=protocol,
        ws="none",
        access_log=False,
        log_config=uvicorn_log_config(),
        ssl_certfile=certificate,
        ssl_keyfile=key,
        timeout_graceful_shutdown=2,
        timeout_keep_alive=75,
    )
    await uvicorn.Server(config).serve()
